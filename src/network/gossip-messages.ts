/** What gossipsub knows a message by, and what it keeps of it. */
import type { RPC } from '@libp2p/gossipsub/message'
import type { PeerId } from '@libp2p/interface'
import { equals } from 'uint8arrays/equals'

/** Bytes of a signature that tell it from all others. */
const TELLING = 64

/** What the id of a peer with an Ed25519 key begins with, in which the key stands whole: identity multihash, length, and the key's protobuf. */
const ED25519_ID = Uint8Array.of(0x00, 0x24, 0x08, 0x01, 0x12, 0x20)
const ED25519_ID_BYTES = ED25519_ID.length + 32

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

/**
 * Whether a node or sender can have signed it: with an Ed25519 key, that of its id. The time that other keys take is up to whoever made
 * them: RSA with a long exponent takes fifty times as long.
 */
export function isByNode({ from, key }: RPC.Message): boolean {
  if (from?.length !== ED25519_ID_BYTES || !ED25519_ID.every((byte, i) => from[i] === byte)) return false
  return key === undefined || equals(key, from.subarray(2))
}

/** Whether it says that the peer published it. */
export function isBy({ from }: RPC.Message, peer: PeerId): boolean {
  return from !== undefined && equals(from, peer.toMultihash().bytes)
}
