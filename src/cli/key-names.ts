/** Keys as people name them on a command line. */
import { parseKeyLine } from '../protocol/authorized-keys.ts'
import { InvalidTextError } from '../protocol/errors.ts'
import { keyedLines, type KeyedLine } from '../protocol/key-edit.ts'
import { findKey, joinKeyWords } from '../protocol/key-lookup.ts'
import type { Author } from '../protocol/ssh-key.ts'
import { CliError, EXIT } from './exit.ts'

/** A key that somebody named. */
export interface NamedKey {
  readonly author: Author
  /** The bare key line, where the key itself was given. */
  readonly line: string | undefined
  /** Its lines in the file, before the change. */
  readonly lines: readonly KeyedLine[]
}

/** The keys that the words name, each once; a usage error that lists what they may mean where that is not one. */
export function namedKeys(file: string, text: string, words: readonly string[]): readonly NamedKey[] {
  const all = keyedLines(text)
  const found = joinKeyWords(words).map((word) => {
    const key = findKey(all, word)
    if (key.kind === 'none') throw new CliError(EXIT.usage, 'key', `no key ${JSON.stringify(word)} in ${file}`, listed(file, all))
    if (key.kind === 'several')
      throw new CliError(
        EXIT.usage,
        'key',
        `${JSON.stringify(word)} may mean several keys: say more of the fingerprint`,
        listed(file, key.candidates)
      )
    return { author: key.author, line: key.line, lines: all.filter(({ author }) => author === key.author) }
  })
  return [...Map.groupBy(found, ({ author }) => author).values()].map((same) => ({
    ...(same[0] as NamedKey),
    line: same.find(({ line }) => line !== undefined)?.line
  }))
}

/** Keys that are shown with an error. */
const MAX_LISTED = 20

function listed(file: string, lines: readonly KeyedLine[]): string {
  if (lines.length === 0) return 'it names no key: pinsub keys list'
  const rows = lines.slice(0, MAX_LISTED).map(({ number, author, comment }) => `${file}:${number}: ${author} ${comment}`.trimEnd())
  return [...rows, ...(lines.length > MAX_LISTED ? [`and ${lines.length - MAX_LISTED} more: pinsub keys list`] : [])].join('\n  ')
}

/** The key by fingerprint, and what its line calls it. */
export function nameOf({ author, lines: [line] }: NamedKey): string {
  return line === undefined || line.comment === '' ? author : `${author} ${line.comment}`
}

/** Each word is a line, or all of them are one that was not quoted. */
export function addedLines(words: readonly string[]): readonly string[] {
  const areLines = words.every((word) => {
    try {
      return parseKeyLine(word) !== undefined
    } catch (err) {
      if (err instanceof InvalidTextError) return false
      throw err
    }
  })
  if (areLines) return words
  const joined = words.join(' ')
  // Several quoted lines: the bad one is to be named, and none is added.
  if (words.length > 1 && words.some((word) => /\s/.test(word))) words.forEach(parseKeyLine)
  parseKeyLine(joined)
  return [joined]
}
