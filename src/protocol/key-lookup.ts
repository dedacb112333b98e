/** Which key somebody means: a fingerprint or its beginning, a key line, a peer id, or a comment that one key has. Pure. */
import { keyInLine } from './authorized-keys.ts'
import type { KeyedLine } from './key-edit.ts'
import { isAuthor, SSH_ED25519, type Author } from './ssh-key.ts'

/** What was found. */
export type KeyLookup =
  /** `line`: the bare key line, where the key itself was given and not a name for it. */
  | { readonly kind: 'found'; readonly author: Author; readonly line?: string }
  | { readonly kind: 'none' }
  | { readonly kind: 'several'; readonly candidates: readonly KeyedLine[] }

/** Looks among the lines of a file. A whole fingerprint, key line or peer id is found whether or not it stands there. */
export function findKey(lines: readonly KeyedLine[], wanted: string): KeyLookup {
  const text = wanted.trim()
  if (/[\r\n]/.test(text)) return { kind: 'none' }
  if (isAuthor(text)) return { kind: 'found', author: text }
  const key = keyInLine(text)
  if (key !== undefined) return { kind: 'found', author: key.author, line: key.key }
  const isPrefix = text.startsWith('SHA256:') && text.length > 'SHA256:'.length
  const candidates = text === '' ? [] : lines.filter(({ author, comment }) => (isPrefix ? author.startsWith(text) : comment === text))
  const authors = new Set(candidates.map(({ author }) => author))
  if (authors.size > 1) return { kind: 'several', candidates }
  const [author] = authors
  return author === undefined ? { kind: 'none' } : { kind: 'found', author }
}

/** Words of a command line as keys: each is one, but for a key line that was not quoted, which is many words. */
export function joinKeyWords(words: readonly string[]): readonly string[] {
  return words.includes(SSH_ED25519) ? [words.join(' ')] : words
}
