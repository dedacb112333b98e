/** What admins said by message, noted in an authorized_keys file for whoever reads it. A note grants nothing: only comments. Pure. */
import type { AdminOutcome, KeyOutcome } from './admin.ts'
import type { Author } from './ssh-key.ts'
import { appendLines, splitLines } from './text-lines.ts'

const BEGIN = '# by message, '
const END = '# end of what came by message'

/** Keys that a note names; `keys list` has them all. */
const MAX_NOTED = 100

const SAYS = { authorize: 'let in ', close: 'closed ', revoke: 'revoked' } as const

/** The lines of the note; none where no message about a key is in force. */
export function messageNote({ keys }: Pick<AdminOutcome, 'keys'>): readonly string[] {
  const said = [...keys].flatMap(([author, { word, standing }]) =>
    word === undefined ? [] : [{ author, word, comment: standing.grant.comment }]
  )
  if (said.length === 0) return []
  said.sort((a, b) => a.word.at - b.word.at || (a.author < b.author ? -1 : 1))
  const newest = said.at(-1) as (typeof said)[number]
  const shown = said.slice(-MAX_NOTED).map((one) => `#   ${wordsOf(one)}`)
  const rest = said.length > MAX_NOTED ? [`#   and ${said.length - MAX_NOTED} before: pinsub keys list`] : []
  const head = `${BEGIN}last on ${day(newest.word.at)}, in force beside the lines above; changed by message alone (pinsub keys … --everywhere):`
  return [head, ...rest, ...shown, END]
}

/** The text with this note in the place of the one that was there, else at its end; undefined where it says so already. */
export function withNote(text: string, note: readonly string[]): string | undefined {
  const { mark, lines } = splitLines(text)
  const from = lines.findIndex((line) => line.startsWith(BEGIN))
  const end = lines.findIndex((line, i) => i >= from && line.trimEnd() === END)
  // Where somebody took its end away, what stands below it may be his.
  const after = from < 0 ? lines.length : end < 0 ? from + 1 : end + 1
  const before = from < 0 ? lines.length : from
  const changed = appendLines(mark + lines.slice(0, before).join(''), note) + lines.slice(after).join('')
  return changed === text ? undefined : changed
}

function wordsOf({ author, word, comment }: { author: Author; word: NonNullable<KeyOutcome['word']>; comment: string }): string {
  const by = word.by === author ? 'itself' : word.by
  return `${SAYS[word.says]}  ${author}${comment === '' ? '' : ` ${comment}`}, by ${by} on ${day(word.at)}`
}

function day(ms: number): string {
  return new Date(Math.min(ms, 8.64e15)).toISOString().slice(0, 10)
}
