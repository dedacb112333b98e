/**
 * Ed25519 over the SSHSIG preimage, so that one verifier serves keys of pinsub, OpenSSH and ssh-agent.
 * @see https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.sshsig
 */
import { createHash, createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto'
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { authorOf, keyBlob, rawKey, SSH_ED25519, type Author } from './ssh-key.ts'
import { sshString, sshUint32 } from './ssh-wire.ts'

/** What a signature is for; a signature made for one is void for the others. */
export type Namespace = 'pinsub' | 'pinsub-ack' | 'pinsub-presence'

/** Bytes of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64

/** Bytes of the seed that an Ed25519 private key is made from. @see https://www.rfc-editor.org/rfc/rfc8032#section-5.1.5 */
export const SEED_BYTES = 32

/** Whoever can sign: a key in memory, an ssh-agent. */
export interface Signer {
  /** The SSH wire blob of the public key. */
  readonly blob: Uint8Array
  readonly author: Author
  /** The raw 64 bytes of an Ed25519 signature over {@link signedBytes}. */
  sign(namespace: Namespace, message: Uint8Array): Promise<Uint8Array>
}

const MAGIC = fromString('SSHSIG')
const SIGSIG_VERSION = 1

const headOf = (namespace: Namespace): Uint8Array => concat([MAGIC, sshString(namespace), sshString(''), sshString('sha512')])

const HEADS: Readonly<Record<Namespace, Uint8Array>> = {
  pinsub: headOf('pinsub'),
  'pinsub-ack': headOf('pinsub-ack'),
  'pinsub-presence': headOf('pinsub-presence')
}

/** The bytes that are signed: magic, namespace, reserved, hash name, SHA-512 of the message. */
export function signedBytes(namespace: Namespace, message: Uint8Array): Uint8Array {
  return concat([HEADS[namespace], sshString(createHash('sha512').update(message).digest())])
}

const CACHED_KEYS = 1_024
const cache = new Map<string, KeyObject>()

/** Node's key object costs more to make than a verification; the cache is bounded and forgets the oldest. */
function publicKeyObject(blob: Uint8Array): KeyObject {
  const name = toString(blob, 'base64')
  const known = cache.get(name)
  if (known !== undefined) return known
  const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: toString(rawKey(blob), 'base64url') }, format: 'jwk' })
  if (cache.size >= CACHED_KEYS) cache.delete(cache.keys().next().value as string)
  cache.set(name, key)
  return key
}

/** Whether `signature` was made by the key in `blob` for this message and purpose. Never throws for a well-formed blob. */
export function verifySignature(blob: Uint8Array, namespace: Namespace, message: Uint8Array, signature: Uint8Array): boolean {
  if (signature.byteLength !== SIGNATURE_BYTES) return false
  return verify(null, signedBytes(namespace, message), publicKeyObject(blob), signature)
}

/** A signer over a private key in memory, given as its 32-byte Ed25519 seed. */
export function createSeedSigner(seed: Uint8Array): Signer {
  const key = privateKeyFromSeed(seed)
  const blob = keyBlob(publicFromPrivate(key))
  return {
    blob,
    author: authorOf(blob),
    sign: async (namespace, message) => new Uint8Array(sign(null, signedBytes(namespace, message), key))
  }
}

/** The raw public key that belongs to a 32-byte Ed25519 seed. */
export function publicKeyOfSeed(seed: Uint8Array): Uint8Array {
  return publicFromPrivate(privateKeyFromSeed(seed))
}

/** The armoured SSHSIG of a raw signature, as `ssh-keygen -Y verify` reads it. */
export function toSshsig(blob: Uint8Array, namespace: Namespace, signature: Uint8Array): string {
  const packed = concat([
    MAGIC,
    sshUint32(SIGSIG_VERSION),
    sshString(blob),
    sshString(namespace),
    sshString(''),
    sshString('sha512'),
    sshString(concat([sshString(SSH_ED25519), sshString(signature)]))
  ])
  const lines = toString(packed, 'base64pad').match(/.{1,70}/g) ?? []
  return ['-----BEGIN SSH SIGNATURE-----', ...lines, '-----END SSH SIGNATURE-----', ''].join('\n')
}

/** RFC 8410: the fixed PKCS#8 header of an Ed25519 private key, followed by its seed. */
const PKCS8_HEADER = fromString('302e020100300506032b657004220420', 'hex')

function privateKeyFromSeed(seed: Uint8Array): KeyObject {
  return createPrivateKey({ key: Buffer.from(concat([PKCS8_HEADER, seed])), format: 'der', type: 'pkcs8' })
}

function publicFromPrivate(key: KeyObject): Uint8Array {
  const jwk = createPublicKey(key).export({ format: 'jwk' })
  return fromString(jwk.x as string, 'base64url')
}
