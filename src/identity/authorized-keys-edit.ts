/** The three changes to an authorized_keys file: a key comes in, is closed, or is voided. All may be made again without harm. */
import { parseAuthorizedKeys, parseKeyLine } from '../protocol/authorized-keys.ts'
import { addLine, keyedLines, removeKeys, revokeKeys } from '../protocol/key-edit.ts'
import type { Author } from '../protocol/ssh-key.ts'
import { rewriteAuthorizedKeys } from './authorized-keys-file.ts'
import { IdentityError } from './errors.ts'

/**
 * Adds one line, all else stays. `present` when the key has a good line already, whatever that grants. Throws `InvalidTextError` for a
 * bad line, {@link IdentityError} `revoked` where the file voids the key, and as {@link rewriteAuthorizedKeys}.
 */
export async function addAuthorizedLine(file: string, line: string): Promise<'added' | 'present'> {
  const { author } = parseKeyLine(line)
  let result: 'added' | 'present' = 'present'
  await rewriteAuthorizedKeys(file, (text) => {
    const { grants, revoked, lines } = parseAuthorizedKeys(text)
    if (revoked.has(author))
      throw new IdentityError('revoked', file, `${file}:${lines.get(author)} revokes this key: remove that line first`)
    result = grants.has(author) ? 'present' : 'added'
    return result === 'present' ? undefined : addLine(text, line)
  })
  return result
}

/** Takes the lines of keys away, all at once, and returns the keys that had one. A line `@revoked` stays. Throws as {@link rewriteAuthorizedKeys}. */
export async function removeAuthorizedKeys(file: string, authors: ReadonlySet<Author>): Promise<ReadonlySet<Author>> {
  let gone: ReadonlySet<Author> = new Set()
  await rewriteAuthorizedKeys(file, (text) => {
    const change = removeKeys(text, authors)
    gone = change?.authors ?? new Set()
    return change
  })
  return gone
}

/**
 * Puts `@revoked` before the lines of keys, all at once, and returns the keys that were not revoked before. A key without a line gets one,
 * made of the line that is given with it. Throws {@link IdentityError} `unknown` where there is none, and as {@link rewriteAuthorizedKeys}.
 */
export async function revokeAuthorizedKeys(file: string, keys: ReadonlyMap<Author, string | undefined>): Promise<ReadonlySet<Author>> {
  let voided: ReadonlySet<Author> = new Set()
  await rewriteAuthorizedKeys(file, (text) => {
    const there = new Set(keyedLines(text).map(({ author }) => author))
    for (const [author, line] of keys) {
      if (line !== undefined || there.has(author)) continue
      throw new IdentityError(
        'unknown',
        file,
        `${file} has no line of ${author}: give the whole key (ssh-ed25519 AAAA…), and it is written there`
      )
    }
    const change = revokeKeys(text, keys)
    voided = change?.authors ?? new Set()
    return change
  })
  return voided
}
