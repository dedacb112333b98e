/** The signed frame around every message: the exact payload bytes, who signed them, and the signature. */
import { createHash } from 'node:crypto'
import { InvalidMessageError } from './errors.ts'
import { MAX_ENVELOPE_BYTES } from './limits.ts'
import { SIGNATURE_BYTES, verifySignature, type Namespace, type Signer } from './signature.ts'
import { authorOf, KEY_BLOB_BYTES, rawKey, type Author } from './ssh-key.ts'
import * as wire from './wire.ts'

/** What an envelope carries. Commands travel on their own topic; acks and presence share the other and say which they are. */
export type Kind = 'command' | 'ack' | 'presence'

const NAMESPACES: Readonly<Record<Kind, Namespace>> = { command: 'pinsub', ack: 'pinsub-ack', presence: 'pinsub-presence' }

/** An envelope whose frame is sound and whose signature nobody has looked at yet. */
export interface Envelope {
  readonly kind: Kind
  readonly payload: Uint8Array
  /** SSH wire blob of the signing key. */
  readonly signer: Uint8Array
  readonly author: Author
  readonly signature: Uint8Array
  /** The bytes as received: what is stored and forwarded. */
  readonly bytes: Uint8Array
}

declare const verified: unique symbol

/** A value whose signature was checked. Only {@link verifyEnvelope} and {@link sealEnvelope} make one. */
export type Verified<T> = T & { readonly [verified]: true }

/** SHA-256(`pinsub/1` ‖ payload), lower-case hex: the name of a command. */
export type CommandId = string

/** The id of a command from its payload. */
export function commandId(payload: Uint8Array): CommandId {
  return createHash('sha256').update('pinsub/1').update(payload).digest('hex')
}

/** The 32 bytes of a command id. */
export function commandIdBytes(id: CommandId): Uint8Array {
  return new Uint8Array(Buffer.from(id, 'hex'))
}

/** A command id from its 32 bytes. */
export function commandIdFrom(bytes: Uint8Array): CommandId {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** Opens the frame: size, then encoding, then the signer's key type. Throws {@link InvalidMessageError}; verifies nothing. */
export function openEnvelope(bytes: Uint8Array, maxBytes: number = MAX_ENVELOPE_BYTES): Envelope {
  if (bytes.byteLength > maxBytes) throw new InvalidMessageError('size', `${bytes.byteLength} bytes, at most ${maxBytes}`)
  const map = wire.fields(wire.decode(bytes), 'envelope')
  const kind = map['kind'] === undefined ? 'command' : map['kind']
  if (kind !== 'command' && kind !== 'ack' && kind !== 'presence') wire.malformed('kind')
  if (Object.keys(map).length !== (map['kind'] === undefined ? 3 : 4) || map['kind'] === 'command') wire.malformed('envelope')
  const payload = wire.bytes(map['payload'], 'payload', { max: maxBytes })
  const signer = map['signer']
  if (!(signer instanceof Uint8Array) || signer.byteLength !== KEY_BLOB_BYTES)
    throw new InvalidMessageError('signer', 'not an ssh-ed25519 key')
  try {
    rawKey(signer)
  } catch {
    throw new InvalidMessageError('signer', 'not an ssh-ed25519 key')
  }
  // Behind the signer: those of other kinds of key are longer.
  const signature = wire.bytes(map['signature'], 'signature', { length: SIGNATURE_BYTES })
  return { kind, payload, signer, author: authorOf(signer), signature, bytes }
}

/** Checks the signature for the envelope's kind; throws a `signature` fault. */
export function verifyEnvelope(envelope: Envelope): Verified<Envelope> {
  if (!verifySignature(envelope.signer, NAMESPACES[envelope.kind], envelope.payload, envelope.signature)) {
    throw new InvalidMessageError('signature', 'the signature does not fit the payload')
  }
  return envelope as Verified<Envelope>
}

/** Signs a payload and frames it. Throws a `size` fault where the result would not travel. */
export async function sealEnvelope(kind: Kind, payload: Uint8Array, signer: Signer): Promise<Verified<Envelope>> {
  const signature = await signer.sign(NAMESPACES[kind], payload)
  const frame = { payload, signer: signer.blob, signature }
  const bytes = wire.encode(kind === 'command' ? frame : { kind, ...frame })
  if (bytes.byteLength > MAX_ENVELOPE_BYTES)
    throw new InvalidMessageError('size', `${bytes.byteLength} bytes, at most ${MAX_ENVELOPE_BYTES}`)
  return { kind, ...frame, author: signer.author, bytes } as Envelope as Verified<Envelope>
}
