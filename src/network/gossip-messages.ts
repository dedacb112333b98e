/** What gossipsub knows a message by, and what it keeps of it. */
import type { RPC } from '@libp2p/gossipsub/message'

/** Bytes of a signature that tell it from all others. */
const TELLING = 64

const BYTES = ['from', 'data', 'seqno', 'signature', 'key'] as const

/**
 * A name for what comes in, before anything of it is checked: its signature. gossipsub remembers those that were sound and drops what has
 * one of them as a copy, where it would verify each copy anew: in a mesh most of what comes is copies.
 */
export function signatureName({ signature }: RPC.Message): string {
  return signature === undefined ? '' : Buffer.from(signature.subarray(0, TELLING)).toString('latin1')
}

/** The same message in memory of its own: what came in is a view into its whole frame, which would stay as long as the message is kept. */
export function ownMessage(message: RPC.Message): RPC.Message {
  const own = { ...message }
  for (const field of BYTES) if (own[field] !== undefined) own[field] = new Uint8Array(own[field])
  return own
}
