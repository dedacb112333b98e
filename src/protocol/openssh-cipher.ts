/**
 * How OpenSSH encrypts private key files: a key derived from the passphrase with bcrypt, and one of SSH's ciphers.
 * @see https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
 */
import { createCipheriv, createDecipheriv, type CipherGCMTypes } from 'node:crypto'
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import { InvalidTextError } from './errors.ts'
import { sshReader, sshString, sshUint32 } from './ssh-wire.ts'

interface Cipher {
  readonly algorithm: string
  readonly keyBytes: number
  readonly ivBytes: number
  /** Of the tag behind what is encrypted; none where the cipher proves nothing. */
  readonly tagBytes?: number
}

const CIPHERS: ReadonlyMap<string, Cipher> = new Map(
  Object.entries({
    'aes256-ctr': { algorithm: 'aes-256-ctr', keyBytes: 32, ivBytes: 16 },
    'aes192-ctr': { algorithm: 'aes-192-ctr', keyBytes: 24, ivBytes: 16 },
    'aes128-ctr': { algorithm: 'aes-128-ctr', keyBytes: 16, ivBytes: 16 },
    'aes256-cbc': { algorithm: 'aes-256-cbc', keyBytes: 32, ivBytes: 16 },
    'aes192-cbc': { algorithm: 'aes-192-cbc', keyBytes: 24, ivBytes: 16 },
    'aes128-cbc': { algorithm: 'aes-128-cbc', keyBytes: 16, ivBytes: 16 },
    'aes256-gcm@openssh.com': { algorithm: 'aes-256-gcm', keyBytes: 32, ivBytes: 12, tagBytes: 16 },
    'aes128-gcm@openssh.com': { algorithm: 'aes-128-gcm', keyBytes: 16, ivBytes: 12, tagBytes: 16 }
  } satisfies Record<string, Cipher>)
)

/** What `ssh-keygen` writes unless told otherwise, and what is written here. */
const WRITTEN = { cipher: 'aes256-ctr', kdf: 'bcrypt', rounds: 24 } as const

/** A round takes 10 to 20 ms: as many as somebody would wait for, and no file can hold us longer. */
const MAX_ROUNDS = 500
const MAX_SALT_BYTES = 1_024

/** To what a plain text is padded before it is encrypted. */
export const CIPHER_BLOCK_BYTES = 16

/** Bytes of the random salt that {@link encrypt} takes. */
export const SALT_BYTES = 16

/** `bcrypt_pbkdf`: `length` bytes from a passphrase. An argument, as its tables are much to load. */
export type Derive = (passphrase: Uint8Array, salt: Uint8Array, rounds: number, length: number) => Uint8Array

/** What opens a key file that is encrypted. */
export interface Unlock {
  readonly passphrase: string
  readonly derive: Derive
}

/** The head of a private key file: how the rest is encrypted. */
export interface Encryption {
  readonly cipher: string
  readonly kdf: string
  /** As the kdf has them: a salt and a number of rounds for bcrypt. */
  readonly options: Uint8Array
}

/** What was encrypted, and what stands behind it in the file. */
export interface Encrypted {
  readonly bytes: Uint8Array
  readonly tag: Uint8Array
}

/** Encrypts padded text as `ssh-keygen` does; `salt` is {@link SALT_BYTES} of the caller's randomness. */
export function encrypt(plain: Uint8Array, unlock: Unlock, salt: Uint8Array): Encryption & { readonly bytes: Uint8Array } {
  const { cipher, kdf, rounds } = WRITTEN
  const { algorithm, keyBytes, ivBytes } = CIPHERS.get(cipher) as Cipher
  const secret = secretOf(unlock, { salt, rounds, length: keyBytes + ivBytes })
  const encryption = createCipheriv(algorithm, secret.subarray(0, keyBytes), secret.subarray(keyBytes)).setAutoPadding(false)
  const bytes = concat([encryption.update(plain), encryption.final()])
  secret.fill(0)
  return { cipher, kdf, options: concat([sshString(salt), sshUint32(rounds)]), bytes }
}

/**
 * Decrypts the private part of a key file. Throws {@link InvalidTextError}: `encrypted` without a passphrase, `passphrase` where the
 * cipher knows that it is wrong (others decrypt to nonsense), `key` for what this version does not read, and for more rounds than
 * anybody would wait for.
 */
export function decrypt({ cipher, kdf, options }: Encryption, { bytes, tag }: Encrypted, unlock: Unlock | undefined): Uint8Array {
  const known = CIPHERS.get(cipher)
  if (known === undefined || kdf !== 'bcrypt') {
    const what = known === undefined ? `the cipher ${quote(cipher)}` : `the key derivation ${quote(kdf)}`
    throw new InvalidTextError('key', `encrypted with ${what}, which is not supported: ssh-keygen -p -Z ${WRITTEN.cipher} -f FILE`)
  }
  const { algorithm, keyBytes, ivBytes, tagBytes = 0 } = known
  const { salt, rounds } = readOptions(options)
  if (tag.byteLength !== tagBytes || bytes.byteLength % CIPHER_BLOCK_BYTES !== 0) throw new RangeError('cut')
  if (unlock === undefined || unlock.passphrase === '') throw new InvalidTextError('encrypted', 'encrypted with a passphrase')
  const secret = secretOf(unlock, { salt, rounds, length: keyBytes + ivBytes })
  const [key, iv] = [secret.subarray(0, keyBytes), secret.subarray(keyBytes)]
  try {
    if (tagBytes === 0) {
      const decryption = createDecipheriv(algorithm, key, iv).setAutoPadding(false)
      return concat([decryption.update(bytes), decryption.final()])
    }
    const decryption = createDecipheriv(algorithm as CipherGCMTypes, key, iv, { authTagLength: tagBytes }).setAuthTag(tag)
    const plain = decryption.update(bytes)
    try {
      decryption.final()
    } catch {
      throw new InvalidTextError('passphrase', 'wrong passphrase')
    }
    return new Uint8Array(plain)
  } finally {
    secret.fill(0)
  }
}

interface Kdf {
  readonly salt: Uint8Array
  readonly rounds: number
}

function readOptions(options: Uint8Array): Kdf {
  const reader = sshReader(options)
  const salt = reader.string()
  const rounds = reader.uint32()
  if (salt.byteLength === 0 || salt.byteLength > MAX_SALT_BYTES || rounds === 0) throw new RangeError('options')
  if (rounds > MAX_ROUNDS) {
    const message = `encrypted with ${rounds} rounds of bcrypt, and at most ${MAX_ROUNDS} are waited for: ssh-keygen -p -a 100 -f FILE`
    throw new InvalidTextError('key', message)
  }
  return { salt, rounds }
}

function secretOf({ passphrase, derive }: Unlock, { salt, rounds, length }: Kdf & { readonly length: number }): Uint8Array {
  const bytes = fromString(passphrase)
  const secret = derive(bytes, salt, rounds, length)
  bytes.fill(0)
  return secret
}

function quote(name: string): string {
  return JSON.stringify(name.slice(0, 40))
}
