/** Changes to the text of an authorized_keys file: which lines are of which key, and the text without or with others. Pure. */
import { keyInLine, parseAuthorizedKeys, type LineKey } from './authorized-keys.ts'
import type { Author } from './ssh-key.ts'
import { appendLines, splitLines } from './text-lines.ts'

/** A line of the file that is about a key. */
export interface KeyedLine extends LineKey {
  /** Counted from 1. */
  readonly number: number
  /** As it stands there, without its end. */
  readonly text: string
}

/** What a change is. */
export interface KeyChange {
  /** The whole file afterwards; every line that the change is not about is as before, byte for byte. */
  readonly text: string
  /** Whose lines it changes. */
  readonly authors: ReadonlySet<Author>
  /** The same for a person with an editor. */
  readonly byHand: string
}

/** Every line of the file that is about a key. */
export function keyedLines(text: string): readonly KeyedLine[] {
  return splitLines(text).lines.flatMap((raw, index) => {
    const line = bare(raw)
    const key = keyInLine(line)
    return key === undefined ? [] : [{ ...key, number: index + 1, text: line }]
  })
}

/** The file with a line more, at its end. */
export function addLine(text: string, line: string): KeyChange {
  const bareLine = line.trim()
  const key = keyInLine(bareLine)
  return {
    text: appendLines(text, [bareLine]),
    authors: new Set(key === undefined ? [] : [key.author]),
    byHand: `add the line  ${bareLine}`
  }
}

/** The file without the lines that let these keys in, or would but for a mistake in them; `@revoked` ones stay. Undefined where there are none. */
export function removeKeys(text: string, authors: ReadonlySet<Author>): KeyChange | undefined {
  const gone = keyedLines(text).filter(({ author, state }) => authors.has(author) && state !== 'revoked')
  if (gone.length === 0) return undefined
  const numbers = new Set(gone.map(({ number }) => number))
  const { mark, lines } = splitLines(text)
  return {
    text: mark + lines.filter((_, index) => !numbers.has(index + 1)).join(''),
    authors: new Set(gone.map(({ author }) => author)),
    byHand: gone.map((line) => `remove line ${line.number}  ${line.text}`).join('\n')
  }
}

/**
 * The file with `@revoked` before every line of these keys; a key that stands in no line gets one of its own, made of the bare key line
 * that is given with it. Undefined where all are revoked already. The caller sees to it that each key has a line there or here.
 */
export function revokeKeys(text: string, keys: ReadonlyMap<Author, string | undefined>): KeyChange | undefined {
  const revoked = parseAuthorizedKeys(text).revoked
  const due = new Map([...keys].filter(([author]) => !revoked.has(author)))
  if (due.size === 0) return undefined
  const { mark, lines } = splitLines(text)
  const found = keyedLines(text).filter(({ author, state }) => due.has(author) && state !== 'revoked')
  const changed = [...lines]
  for (const { number } of found) changed[number - 1] = `@revoked ${lines[number - 1]}`
  const steps = found.map((line) => `make line ${line.number}  @revoked ${line.text.trim()}`)
  let result = mark + changed.join('')
  // Also where `@revoked` before a line does not reach its key, for what stands between.
  const without = [...due].filter(([author]) => !parseAuthorizedKeys(result).revoked.has(author))
  for (const [author, line] of without) {
    const added = addLine(result, `@revoked ${found.find((one) => one.author === author)?.key ?? line}`)
    result = added.text
    steps.push(added.byHand)
  }
  return { text: result, authors: new Set(due.keys()), byHand: steps.join('\n') }
}

function bare(line: string): string {
  return line.replace(/\r?\n$/, '')
}
