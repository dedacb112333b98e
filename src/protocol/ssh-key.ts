/** Ed25519 public keys as OpenSSH and libp2p write them. */
import { createHash } from 'node:crypto'
import { publicKeyFromRaw } from '@libp2p/crypto/keys'
import { peerIdFromPublicKey, peerIdFromString } from '@libp2p/peer-id'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { InvalidTextError } from './errors.ts'
import { sshReader, sshString } from './ssh-wire.ts'
import { concat } from 'uint8arrays/concat'

/** The one key type that commands are signed with today; certificates and FIDO keys are specified and refused. */
export const SSH_ED25519 = 'ssh-ed25519'

/** Bytes of an Ed25519 public key. @see https://www.rfc-editor.org/rfc/rfc8032 */
const PUBLIC_KEY_BYTES = 32

/** An Ed25519 peer id takes 52 characters in base58 and 65 as a CID in base32. */
const MAX_NODE_ID_TEXT = 128

const PREFIX = sshString(SSH_ED25519)

/** Length of the blob of an `ssh-ed25519` key. */
export const KEY_BLOB_BYTES = PREFIX.byteLength + 4 + PUBLIC_KEY_BYTES

/** An author: the OpenSSH fingerprint of the signing key, `SHA256:` and 43 characters of base64. */
export type Author = `SHA256:${string}`

/** A libp2p peer id in its usual text form, `12D3KooW…`. */
export type NodeId = string

/** The SSH wire blob of a raw Ed25519 public key. @see https://www.rfc-editor.org/rfc/rfc8709#section-4 */
export function keyBlob(publicKey: Uint8Array): Uint8Array {
  if (publicKey.byteLength !== PUBLIC_KEY_BYTES)
    throw new InvalidTextError('key', `an Ed25519 key has ${PUBLIC_KEY_BYTES} bytes, not ${publicKey.byteLength}`)
  return concat([PREFIX, sshString(publicKey)])
}

/** The raw Ed25519 public key in an SSH wire blob; throws {@link InvalidTextError} `key` for any other blob. */
export function rawKey(blob: Uint8Array): Uint8Array {
  let type: string
  try {
    const reader = sshReader(blob)
    type = reader.text()
    if (type === SSH_ED25519) {
      const raw = reader.string()
      if (raw.byteLength === PUBLIC_KEY_BYTES && reader.left() === 0) return raw
    }
  } catch {
    throw new InvalidTextError('key', 'not an SSH public key')
  }
  throw new InvalidTextError(
    'key',
    type === SSH_ED25519
      ? 'a broken ssh-ed25519 key'
      : `key type ${JSON.stringify(type.slice(0, 40))} is not supported, only ${SSH_ED25519}`
  )
}

/** SHA-256 of a key blob: how a payload names its signer. */
export function keyHash(blob: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha256').update(blob).digest())
}

/** The fingerprint that `ssh-keygen -l` prints for the key. */
export function authorOf(blob: Uint8Array): Author {
  return authorFromHash(keyHash(blob))
}

/** The author whose key blob has this SHA-256. */
export function authorFromHash(hash: Uint8Array): Author {
  return `SHA256:${toString(hash, 'base64')}`
}

/** 32 bytes in base64 without padding: the last character carries four bits of them. */
const AUTHOR = /^SHA256:[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]$/

/** Whether text is a fingerprint as `ssh-keygen -l` prints it; each key has one form of it only. */
export function isAuthor(text: unknown): text is Author {
  return typeof text === 'string' && AUTHOR.test(text)
}

/** A fingerprint as `ssh-keygen -l` prints it; throws {@link InvalidTextError} `key` for any other text. */
export function parseAuthor(text: string): Author {
  if (isAuthor(text)) return text
  throw new InvalidTextError('key', `"${text.slice(0, 60)}" is not the fingerprint of a key (SHA256:…, ssh-keygen -l prints it)`)
}

/** The 32 bytes behind `SHA256:`. */
export function authorHash(author: Author): Uint8Array {
  return fromString(author.slice('SHA256:'.length), 'base64')
}

/** One line as `ssh-keygen` writes it to a `.pub` file: type, base64 blob, comment. */
export function formatPublicKey(blob: Uint8Array, comment = ''): string {
  return `${SSH_ED25519} ${toString(blob, 'base64pad')}${comment === '' ? '' : ` ${comment}`}`
}

/** The blob in the base64 of a public key line; throws {@link InvalidTextError} `key`. */
export function parseKeyBase64(base64: string): Uint8Array {
  let blob: Uint8Array
  try {
    blob = fromString(base64, base64.endsWith('=') ? 'base64pad' : 'base64')
  } catch {
    throw new InvalidTextError('key', `"${base64.slice(0, 20)}…" is not base64`)
  }
  rawKey(blob)
  return blob
}

/** The peer id of a libp2p host whose Ed25519 key has this blob. */
export function nodeIdOf(blob: Uint8Array): NodeId {
  return peerIdFromPublicKey(publicKeyFromRaw(rawKey(blob))).toString()
}

/** The key blob in an Ed25519 peer id; throws {@link InvalidTextError} `key` for any other text. */
export function blobOfNodeId(text: string): Uint8Array {
  let raw: Uint8Array
  try {
    // Before it is decoded: base58 takes time in the square of the length.
    if (text.length > MAX_NODE_ID_TEXT) throw new RangeError('too long')
    const peer = peerIdFromString(text)
    if (peer.type !== 'Ed25519') throw new TypeError(peer.type)
    raw = peer.publicKey.raw
  } catch {
    throw new InvalidTextError('key', `"${text.slice(0, MAX_NODE_ID_TEXT)}" is not a peer id with an Ed25519 key (12D3KooW…)`)
  }
  return keyBlob(raw)
}
