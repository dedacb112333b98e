/**
 * Why a file of keys or nodes cannot be used: `missing`, `empty`, `permissions` (others may read a private key, or write a list of
 * keys), `unreadable` (by this user, or no regular file), `size`, `key` (its content), `encrypted` (a passphrase is needed),
 * `passphrase` (a wrong one was given), `exists` (never overwritten), `foreign` (not made by pinsub, so not rewritten), `revoked` (the
 * file voids the key), `busy` (another program writes it), `encoding` (not UTF-8, so not rewritten), `unknown` (a key without a line).
 */
export type IdentityCode =
  | 'missing'
  | 'empty'
  | 'permissions'
  | 'unreadable'
  | 'size'
  | 'key'
  | 'encrypted'
  | 'passphrase'
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

/**
 * Why an agent does not sign: `no-agent` (none is named, or nothing listens), `no-answer` (in time), `no-key` (it holds none like that),
 * `ambiguous` (it holds several), `key` (of a type that cannot sign here), `refused` (by the agent), `broken` (what it said).
 */
export type AgentCode = 'no-agent' | 'no-answer' | 'no-key' | 'ambiguous' | 'key' | 'refused' | 'broken'

/** An ssh-agent that does not sign; the message says why and what to do. */
export class AgentError extends Error {
  override readonly name = 'AgentError'
  readonly code: AgentCode

  constructor(code: AgentCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}
