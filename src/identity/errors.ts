/**
 * Why a file of keys or nodes cannot be used: `missing`, `empty`, `permissions` (others may read a private key, or write a list of
 * keys), `unreadable` (by this user, or no regular file), `size`, `key` (its content), `exists` (never overwritten),
 * `foreign` (not made by pinsub, so not rewritten), `revoked` (the file voids the key), `busy` (another program writes it),
 * `encoding` (not UTF-8, so not rewritten), `unknown` (a key without a line).
 */
export type IdentityCode =
  | 'missing'
  | 'empty'
  | 'permissions'
  | 'unreadable'
  | 'size'
  | 'key'
  | 'exists'
  | 'foreign'
  | 'revoked'
  | 'busy'
  | 'encoding'
  | 'unknown'

/** A file of keys or nodes that cannot be used; the message names it and the way out, and never quotes a private key. */
export class IdentityError extends Error {
  override readonly name = 'IdentityError'
  readonly code: IdentityCode
  readonly file: string

  constructor(code: IdentityCode, file: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.file = file
  }
}
