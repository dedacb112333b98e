/** The authorized_keys file: OpenSSH's format with pinsub's own options. Pure text in, grants and named problems out. */
import { InvalidTextError } from './errors.ts'
import type { Grant, Right } from './grants.ts'
import { parseKeyOptions, splitOptions } from './key-options.ts'
import { MAX_KEY_LINES } from './limits.ts'
import { authorOf, blobOfNodeId, formatPublicKey, parseKeyBase64, SSH_ED25519, type Author } from './ssh-key.ts'

/** A line that does not hold, and why; the message never repeats more than a few words of the line. */
export interface KeyProblem {
  /** Counted from 1. */
  readonly line: number
  readonly message: string
}

/** What an authorized_keys file says. */
export interface AuthorizedKeys {
  /** In file order. Never holds a revoked key. */
  readonly grants: ReadonlyMap<Author, Grant>
  /** Keys behind `@revoked`, wherever they stand. */
  readonly revoked: ReadonlySet<Author>
  /** Lines that grant nothing because of a mistake in them, in file order. */
  readonly problems: readonly KeyProblem[]
  /** Well-formed lines of key types that cannot sign commands: RSA, ECDSA, FIDO (`sk-`), certificates. */
  readonly skipped: number
  /** The line (from 1) of each granted or revoked key. */
  readonly lines: ReadonlyMap<Author, number>
}

/** One key of the file, read. */
export interface KeyLine {
  /** SSH wire blob. */
  readonly blob: Uint8Array
  readonly author: Author
  readonly comment: string
  /** As they stand before the key; '' where there are none. */
  readonly options: string
  readonly grant: Grant
}

/** Characters of one line: four times the longest RSA line in use; longer is a file of another kind. */
const MAX_LINE_CHARS = 16 * 1024

/** Characters kept of a comment: it is shown in tables. */
const MAX_COMMENT_CHARS = 255

const OTHER_TYPES = /^(ssh-(rsa|dss)|ecdsa-sha2-\S+|(webauthn-)?sk-\S+|\S+-cert-v0[01]@openssh\.com)$/
const PEER_ID = /^(12D3KooW|16Uiu2HA|Qm[1-9A-HJ-NP-Za-km-z]{44}$)/

/** What every right that can be granted today is worth when a line names none. */
const ALL_RIGHTS: readonly Right[] = ['pin', 'unpin']

/**
 * Reads a whole file. Never throws: a bad line grants nothing and is reported, the others hold. A byte order mark and
 * CRLF are accepted. Of a key that stands twice the first good line counts and the next is reported. A file of more
 * than `MAX_KEY_LINES` lines grants nothing at all, since a `@revoked` beyond the bound would go unread.
 */
export function parseAuthorizedKeys(text: string): AuthorizedKeys {
  const grants = new Map<Author, Grant>()
  const revoked = new Map<Author, number>()
  const lines = new Map<Author, number>()
  const problems: KeyProblem[] = []
  let skipped = 0
  const all = text.replace(/^\uFEFF/, '').split('\n', MAX_KEY_LINES + 2)
  if (all.at(-1) === '') all.pop()
  for (const [index, raw] of all.slice(0, MAX_KEY_LINES).entries()) {
    const line = index + 1
    try {
      const found = readLine(raw)
      if (found === 'skipped') skipped++
      else if (found?.kind === 'revoked') revoked.set(found.author, line)
      else if (found !== undefined && grants.has(found.author)) {
        problems.push({ line, message: `the key of line ${lines.get(found.author)} again: the first line counts` })
      } else if (found !== undefined) {
        grants.set(found.author, found.grant)
        lines.set(found.author, line)
      }
    } catch (err) {
      if (!(err instanceof InvalidTextError)) throw err
      problems.push({ line, message: err.message })
    }
  }
  for (const [author, line] of revoked) {
    grants.delete(author)
    lines.set(author, line)
  }
  if (all.length > MAX_KEY_LINES) {
    problems.push({ line: MAX_KEY_LINES + 1, message: `more than ${MAX_KEY_LINES} lines: the whole file grants nothing` })
    for (const author of grants.keys()) lines.delete(author)
    grants.clear()
  }
  return { grants, revoked: new Set(revoked.keys()), problems, skipped, lines }
}

/** The keys with lines that count besides the file: after its own, which may revoke them. */
export function withExtra(keys: AuthorizedKeys, extra: readonly Grant[]): AuthorizedKeys {
  const grants = new Map(keys.grants)
  for (const grant of extra) {
    if (!grants.has(grant.author) && !keys.revoked.has(grant.author)) grants.set(grant.author, grant)
  }
  return { ...keys, grants }
}

/**
 * Reads one line as given to `--authorize` or `keys add`: options, key, comment.
 * Throws {@link InvalidTextError} `key` or `options` for anything else, `@revoked` and key types that cannot sign included.
 */
export function parseKeyLine(text: string): KeyLine {
  const found = text.trim().includes('\n') ? undefined : readLine(text)
  if (found === undefined) throw new InvalidTextError('key', `one line "${SSH_ED25519} AAAA… comment" was expected`)
  if (found === 'skipped') throw new InvalidTextError('key', `a key type that cannot sign commands: only ${SSH_ED25519} can`)
  if (found.kind === 'revoked') throw new InvalidTextError('key', '@revoked stands in an authorized_keys file only')
  const { blob, author, comment, options, grant } = found
  return { blob, author, comment, options, grant }
}

/** The key that a line is about. */
export interface LineKey {
  readonly author: Author
  readonly comment: string
  /** `broken`: the key can be read, and what stands before it is a mistake, so the line grants nothing. */
  readonly state: 'grant' | 'revoked' | 'broken'
  /** The key and its comment as a line of their own, without options. */
  readonly key: string
}

/** Whose line it is, whatever it grants; undefined for blank lines, comments, other types of keys, and where no key can be read. */
export function keyInLine(raw: string): LineKey | undefined {
  const found = tryTo(() => readLine(raw))
  if (found === 'skipped') return undefined
  if (found !== undefined) return { ...lineKey(found), state: found.kind }
  const key = tryTo(() => keyAt(splitOptions(raw.trim()).rest))
  return key === undefined || key === 'skipped' ? undefined : { ...lineKey(key), state: 'broken' }
}

function lineKey({ blob, comment }: Key): Omit<LineKey, 'state'> {
  return { author: authorOf(blob), comment, key: formatPublicKey(blob, comment) }
}

function tryTo<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (err) {
    if (err instanceof InvalidTextError) return undefined
    throw err
  }
}

type Found = ({ readonly kind: 'grant' } & KeyLine) | ({ readonly kind: 'revoked'; readonly author: Author } & Key)

/** Undefined for a blank line or a comment. */
function readLine(raw: string): Found | 'skipped' | undefined {
  if (raw.length > MAX_LINE_CHARS) throw new InvalidTextError('key', `longer than ${MAX_LINE_CHARS} characters`)
  const line = raw.trim()
  if (line === '' || line.startsWith('#')) return undefined
  if (line.includes('\0')) throw new InvalidTextError('key', 'a NUL byte: is the file UTF-16? Save it as UTF-8')
  if (line.startsWith('@')) return readMarked(line)
  const bare = keyAt(line)
  if (bare === 'skipped') return bare
  if (bare !== undefined) return granted(bare, '')
  const { options, rest } = splitOptions(line)
  const key = keyAt(rest)
  if (key === 'skipped') return key
  if (key === undefined) throw new InvalidTextError('key', `no key found: "[options] ${SSH_ED25519} AAAA… comment" was expected`)
  return granted(key, options)
}

interface Key {
  readonly blob: Uint8Array
  readonly comment: string
}

function granted({ blob, comment }: Key, options: string): Found {
  const author = authorOf(blob)
  const { rights = ALL_RIGHTS, ...limits } = parseKeyOptions(options)
  return { kind: 'grant', blob, author, comment, options, grant: { author, comment, rights, ...limits } }
}

/** The key that `text` begins with; undefined where it begins with something else. */
function keyAt(text: string): Key | 'skipped' | undefined {
  const [type = '', ...words] = text.split(/[ \t]+/)
  if (PEER_ID.test(type)) return { blob: blobOfNodeId(type), comment: cleanComment(words) }
  if (OTHER_TYPES.test(type)) return words.length > 0 ? 'skipped' : undefined
  if (type !== SSH_ED25519) return undefined
  const [base64 = '', ...comment] = words
  return { blob: parseKeyBase64(base64), comment: cleanComment(comment) }
}

/** Whoever voids a key puts `@revoked` before its line, options and all: what stands between must not save the key. */
function readMarked(line: string): Found | 'skipped' {
  const [marker = '', ...words] = line.split(/[ \t]+/)
  if (marker.toLowerCase() !== '@revoked') throw new InvalidTextError('key', 'an unknown marker: only @revoked is known')
  const start = words.findIndex((word) => word === SSH_ED25519 || PEER_ID.test(word) || OTHER_TYPES.test(word))
  const key = start < 0 ? undefined : keyAt(words.slice(start).join(' '))
  if (key === undefined) throw new InvalidTextError('key', '@revoked without a key behind it: nothing is revoked')
  return key === 'skipped' ? key : { kind: 'revoked', author: authorOf(key.blob), ...key }
}

/** Comments reach terminals and tables: no control characters, and not for ever. */
function cleanComment(words: readonly string[]): string {
  return words
    .join(' ')
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD')
    .slice(0, MAX_COMMENT_CHARS)
    .trim()
}
