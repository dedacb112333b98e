/** The part of the package that is used; it has no types of its own. */
declare module 'bcrypt-pbkdf' {
  const bcrypt: {
    /** Fills `key` from a passphrase; returns 0, or -1 where an argument is empty or out of range. */
    pbkdf(
      passphrase: Uint8Array,
      passphraseBytes: number,
      salt: Uint8Array,
      saltBytes: number,
      key: Uint8Array,
      keyBytes: number,
      rounds: number
    ): number
  }
  export default bcrypt
}
