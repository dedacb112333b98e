import type { Envelope, Kind, Verified } from '../../src/protocol/envelope.ts'
import { author, node } from '../vectors/source/make.ts'

/** An envelope as if its signature had been checked: what a thief of a key, or a node that lies, can say. */
export function asVerified(kind: Kind, payload: Uint8Array): Verified<Envelope> {
  return {
    kind,
    payload,
    signer: kind === 'command' ? author.blob : node.blob,
    author: author.author,
    signature: new Uint8Array(64),
    bytes: payload
  } as Envelope as Verified<Envelope>
}
