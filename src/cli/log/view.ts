/** How an entry of the log looks to people: one line. */
import { stateWord, tally, toldOperation, type LogEntry, type LoggedCommand, type ToldOperation } from '../../protocol/log-entry.ts'
import type { StoredRefusal } from '../../protocol/records.ts'
import { count, duration, shortCid, shortNode } from '../format.ts'

/** Operations of a command that are named; a bulk command has a thousand. */
const MAX_NAMED = 2

/** Characters of a comment or a name: a line is to stay one. */
const MAX_WORD = 24

/** Columns, so that lines that come one by one stand below each other. */
const WIDTHS = [20, 6, 28, 10] as const

/** The line of an entry; `comment` is what the author is called, and the source is told where there are two. */
export function logText(entry: LogEntry, comment: string | undefined, tellsSource: boolean): string {
  const [author, pinset, what, outcome, id] = entry.kind === 'refusal' ? refusalWords(entry.refusal, comment) : commandWords(entry, comment)
  const time = `${new Date(entry.at).toISOString().slice(0, 19)}Z`
  const [timeWidth, sourceWidth, authorWidth, pinsetWidth] = WIDTHS
  const source = tellsSource ? [(entry.source === 'sender' ? 'sent' : 'node').padEnd(sourceWidth)] : []
  const columns = [time.padEnd(timeWidth), ...source, author.padEnd(authorWidth), pinset.padEnd(pinsetWidth), what, outcome, id]
  return columns.filter((column) => column !== '').join('  ')
}

type Words = readonly [author: string, pinset: string, what: string, outcome: string, id: string]

function commandWords(entry: LoggedCommand, comment: string | undefined): Words {
  const { author, pinset, operations, id } = entry.command
  return [authorWords(author, comment), pinset ?? '-', asked(operations.map(toldOperation)), outcome(entry), id.slice(0, 8)]
}

function refusalWords(
  { author, isProven, pinset, code, peer, more, at, until, command }: StoredRefusal,
  comment: string | undefined
): Words {
  const who = author === undefined ? 'unknown' : `${isProven ? '' : 'claims '}${authorWords(author, comment)}`
  const others = more === 0 ? '' : `; ${more} more in ${duration(Math.max(1_000, until - at))}`
  return [who, pinset ?? '-', '', `refused: ${code}, through ${shortNode(peer)}${others}`, command?.slice(0, 8) ?? '']
}

/** `you@laptop VguOwNdp…`: what the key is called here, and enough of its fingerprint. */
function authorWords(author: string, comment: string | undefined): string {
  const short = `${author.slice(0, 'SHA256:'.length + 8)}…`
  return comment === undefined ? short : `${cut(comment)} ${short.slice('SHA256:'.length)}`
}

/** `pin 3 CIDs: bafy… docs, bafy…, …`: what a command asks for, the kinds in the order in which they come. */
function asked(operations: readonly ToldOperation[]): string {
  const kinds = [...new Set(operations.map(({ op }) => op))]
  return kinds
    .map((kind) =>
      askedOfKind(
        kind,
        operations.filter(({ op }) => op === kind)
      )
    )
    .join(', ')
}

function askedOfKind(kind: string, operations: readonly ToldOperation[]): string {
  const named = operations
    .slice(0, MAX_NAMED)
    .map(subject)
    .filter((words) => words !== '')
  if (operations.length === 1) return [cut(kind), ...named].join(' ')
  const rest = operations.length > MAX_NAMED ? ['…'] : []
  const unit = operations.some(({ cid }) => cid !== undefined) ? ` ${operations.length} CIDs` : ` ×${operations.length}`
  return `${cut(kind)}${unit}${named.length === 0 ? '' : `: ${[...named, ...rest].join(', ')}`}`
}

/** What an operation is about. */
function subject({ cid, from, name, subject: whom }: ToldOperation): string {
  if (whom !== undefined) return whom.startsWith('SHA256:') ? `${whom.slice(0, 'SHA256:'.length + 8)}…` : shortNode(whom)
  const cids = [from, cid].flatMap((one) => (one === undefined ? [] : [shortCid(one)])).join(' to ')
  return name === undefined ? cids : `${cids} ${cut(name)}`
}

function outcome({ source, command, states, answers }: LoggedCommand): string {
  const { length } = command.operations
  if (source === 'node') {
    const known = [...states.values()].map(({ state }) => state)
    const [only] = known
    if (length === 1 && only?.status === 'superseded') return `superseded by ${only.by.slice(0, 8)}`
    return known.length === 0 ? 'taken' : tallyWords(tally(known), length === 1)
  }
  if (answers.length === 0) return 'no answer'
  const groups = new Map<string, number>()
  for (const { ack } of answers) {
    const [only] = ack.states
    const words = length === 1 && only !== undefined ? stateWord(only) : tallyWords(tally(ack.states), false)
    groups.set(words, (groups.get(words) ?? 0) + 1)
  }
  return [...groups].map(([words, nodes]) => `${words} on ${count(nodes, 'node')}`).join('; ')
}

/** `pinned 3, failed: timeout 1`; for a single operation the word alone. */
function tallyWords(counts: Readonly<Record<string, number>>, isSingle: boolean): string {
  return Object.entries(counts)
    .map(([word, n]) => (isSingle ? word : `${word} ${n}`))
    .join(', ')
}

function cut(text: string): string {
  const line = text.replaceAll('\n', ' ')
  return line.length > MAX_WORD ? `${line.slice(0, MAX_WORD - 1)}…` : line
}
