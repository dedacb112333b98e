/** bcrypt's key derivation, loaded when a key file needs it: loading it takes longer than all else about a key. */
import type { Derive } from '../protocol/openssh-cipher.ts'

/** Loads it. */
export async function loadBcrypt(): Promise<Derive> {
  const { default: bcrypt } = await import('bcrypt-pbkdf')
  return (passphrase, salt, rounds, length) => {
    const key = new Uint8Array(length)
    const { byteLength: passphraseBytes } = passphrase
    if (bcrypt.pbkdf(passphrase, passphraseBytes, salt, salt.byteLength, key, length, rounds) !== 0) throw new RangeError('bcrypt')
    return key
  }
}
