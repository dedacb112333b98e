/**
 * OpenSSH's private key file for Ed25519, with a passphrase or without.
 * @see https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
 */
import { concat } from 'uint8arrays/concat'
import { equals } from 'uint8arrays/equals'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { InvalidTextError } from './errors.ts'
import { CIPHER_BLOCK_BYTES, decrypt, encrypt, type Encrypted, type Encryption, type Unlock } from './openssh-cipher.ts'
import { publicKeyOfSeed, SEED_BYTES } from './signature.ts'
import { keyBlob, rawKey, SSH_ED25519 } from './ssh-key.ts'
import { sshReader, sshString, sshUint32 } from './ssh-wire.ts'

const BEGIN = '-----BEGIN OPENSSH PRIVATE KEY-----'
const END = '-----END OPENSSH PRIVATE KEY-----'
const MAGIC = fromString('openssh-key-v1\0')
const PLAIN_BLOCK_BYTES = 8
const PLAIN: Encryption = { cipher: 'none', kdf: 'none', options: new Uint8Array() }

/** An Ed25519 private key and the comment stored with it. */
export interface PrivateKey {
  /** The 32-byte Ed25519 seed. */
  readonly seed: Uint8Array
  /** The SSH wire blob of the public half. */
  readonly blob: Uint8Array
  readonly comment: string
}

/** A key file as it lies there: its public half can be read by whoever has the file. */
export interface KeyFile {
  /** The SSH wire blob of the public half, on the file's word. */
  readonly blob: Uint8Array
  readonly isEncrypted: boolean
  /**
   * The key itself. Throws {@link InvalidTextError}: `encrypted` where a passphrase is needed and none, or an empty one, was given,
   * `passphrase` for a wrong one, `key` for a file that is damaged or encrypted in a way that is not supported.
   */
  open(unlock?: Unlock): PrivateKey
}

/** Reads the outside of an OpenSSH Ed25519 key file; throws {@link InvalidTextError} `key` and never quotes the key. */
export function readKeyFile(text: string): KeyFile {
  const body = text.trim()
  if (!body.startsWith(BEGIN) || !body.endsWith(END)) {
    const kind = /^-----BEGIN ([A-Z0-9 ]+)-----/.exec(body)?.[1]
    fail(
      kind === undefined
        ? 'not an OpenSSH private key'
        : `a file of kind "${kind}", not an OpenSSH private key (convert it: ssh-keygen -p -f FILE)`
    )
  }
  return soundly(() => readOutside(fromString(body.slice(BEGIN.length, -END.length).replace(/\s/g, ''), 'base64pad')))
}

/** Reads an OpenSSH Ed25519 key file whole; throws as {@link readKeyFile} and {@link KeyFile.open}. */
export function parsePrivateKey(text: string, unlock?: Unlock): PrivateKey {
  return readKeyFile(text).open(unlock)
}

function readOutside(bytes: Uint8Array): KeyFile {
  const outer = sshReader(bytes)
  if (!equals(outer.raw(MAGIC.byteLength), MAGIC)) fail('a damaged OpenSSH private key')
  const encryption = { cipher: outer.text(), kdf: outer.text(), options: outer.string() }
  if (outer.uint32() !== 1) fail('a file with more than one key')
  const blob = outer.string().slice()
  rawKey(blob)
  const sealed: Encrypted = { bytes: outer.string(), tag: outer.raw(outer.left()) }
  const isEncrypted = encryption.cipher !== PLAIN.cipher
  return {
    blob,
    isEncrypted,
    open: (unlock) => soundly(() => readInside(isEncrypted ? decrypt(encryption, sealed, unlock) : sealed.bytes, { blob, isEncrypted }))
  }
}

function readInside(bytes: Uint8Array, { blob, isEncrypted }: Pick<KeyFile, 'blob' | 'isEncrypted'>): PrivateKey {
  const inner = sshReader(bytes)
  // Two equal numbers in front are how the format knows a right passphrase.
  if (inner.uint32() !== inner.uint32()) {
    if (isEncrypted) throw new InvalidTextError('passphrase', 'wrong passphrase')
    fail('a damaged OpenSSH private key')
  }
  if (inner.text() !== SSH_ED25519) fail(`not an ${SSH_ED25519} key`)
  inner.string()
  const seed = inner.string().slice(0, SEED_BYTES)
  const comment = inner.text()
  if (seed.byteLength !== SEED_BYTES || !equals(keyBlob(publicKeyOfSeed(seed)), blob)) fail('a key whose halves do not belong together')
  return { seed, blob, comment }
}

/**
 * Writes the file that `ssh-keygen -t ed25519` would write; `check` is 32 random bits of the caller's. With `locked` it is encrypted:
 * its passphrase is not empty, its salt are `SALT_BYTES` random bytes.
 */
export function formatPrivateKey(
  seed: Uint8Array,
  comment: string,
  check: number,
  locked?: { readonly unlock: Unlock; readonly salt: Uint8Array }
): string {
  const publicKey = publicKeyOfSeed(seed)
  const inner = concat([
    sshUint32(check),
    sshUint32(check),
    sshString(SSH_ED25519),
    sshString(publicKey),
    sshString(concat([seed, publicKey])),
    sshString(comment)
  ])
  const block = locked === undefined ? PLAIN_BLOCK_BYTES : CIPHER_BLOCK_BYTES
  const padding = Uint8Array.from({ length: (block - (inner.byteLength % block)) % block }, (_, i) => i + 1)
  const plain = concat([inner, padding])
  const { cipher, kdf, options, bytes } = locked === undefined ? { ...PLAIN, bytes: plain } : encrypt(plain, locked.unlock, locked.salt)
  const body = concat([
    MAGIC,
    sshString(cipher),
    sshString(kdf),
    sshString(options),
    sshUint32(1),
    sshString(keyBlob(publicKey)),
    sshString(bytes)
  ])
  return [BEGIN, ...(toString(body, 'base64pad').match(/.{1,70}/g) ?? []), END, ''].join('\n')
}

/** Whatever reading stumbles over is damage. */
function soundly<T>(read: () => T): T {
  try {
    return read()
  } catch (err) {
    if (err instanceof InvalidTextError) throw err
    fail('a damaged OpenSSH private key')
  }
}

function fail(why: string): never {
  throw new InvalidTextError('key', why)
}
