import { createItemSetFrom, type ItemSet } from '../../../src/protocol/sync/item-set.ts'
import { createInitiator, respond } from '../../../src/protocol/sync/negentropy.ts'
import { hex, NOW, sha256 } from './make.ts'

/** An item as `ms id`; `a..b` stands for the items with these numbers: NOW + 1,000 n and the SHA-256 of n in decimal. */
type Items = readonly string[]

const numbered = (n: number): { ms: number; id: Uint8Array } => ({ ms: NOW + n * 1_000, id: sha256(String(n)) })

/** The items of a set in the vectors. */
export function setOf(items: Items): ItemSet {
  return createItemSetFrom(
    items.flatMap((text) => {
      const [first, last] = text.split('..').map(Number)
      if (last !== undefined) return Array.from({ length: last - (first as number) + 1 }, (_, i) => numbered((first as number) + i))
      const [ms, id] = text.split(' ') as [string, string]
      return [{ ms: Number(ms), id: Uint8Array.from(Buffer.from(id, 'hex')) }]
    })
  )
}

/** Ids at one time that start alike. */
const alike = (from: number, to: number): string[] =>
  Array.from({ length: to - from + 1 }, (_, i) => `${NOW} ${'c0'.repeat(30)}${(from + i).toString(16).padStart(2, '0')}${'0d'}`)

const last = (id: string): string => `${Number.MAX_SAFE_INTEGER} ${id.repeat(32)}`

const TALKS: readonly [name: string, comment: string, ours: Items, theirs: Items][] = [
  ['both-empty', 'nothing on either side', [], []],
  ['ours-empty', 'all is needed', [], ['0..1']],
  ['theirs-empty', 'nothing is needed', ['0..1'], []],
  ['one-each', 'a short list is answered with a list', ['0..2'], ['1..3']],
  ['equal', '16 fingerprints, and not a word in answer', ['0..39'], ['0..39']],
  ['one-missing', 'only the part that differs is answered', ['0..8', '10..39'], ['0..39']],
  ['parts', 'two round trips: fingerprints of parts of a part', ['0..699'], ['0..149', '151..640', '642..699']],
  ['alike', 'bounds within one millisecond need long prefixes', alike(0, 39), [...alike(0, 17), ...alike(19, 39)]],
  ['zero', 'the lowest item of all, and all-zero ids', [`0 ${'00'.repeat(32)}`], [`1 ${'00'.repeat(31)}01`]],
  ['last', 'the last millisecond, where varints take eight bytes', [last('0e'), '0..40'], [last('0e'), last('ff'), '0..40']]
]

const BROKEN: readonly [name: string, code: string, message: string][] = [
  ['empty', 'encoding', ''],
  ['no-version', 'encoding', '5f'],
  ['no-mode', 'encoding', '610000'],
  ['mode', 'shape', '61000003'],
  ['fingerprint-cut', 'encoding', `61000001${'00'.repeat(15)}`],
  ['list-cut', 'encoding', `6100000202${'00'.repeat(32)}`],
  ['prefix-long', 'shape', `610121${'01'.repeat(33)}00`],
  ['prefix-cut', 'encoding', '61010501'],
  ['varint-padded', 'encoding', '6180010000'],
  ['varint-large', 'encoding', '6190808080808080010000'],
  ['time-large', 'encoding', '6102000090808080808080000000'],
  ['bounds-back', 'shape', '61050205050001020504' + '00'],
  ['behind-the-end', 'encoding', '61000000010000']
]

function talk([name, comment, ours, theirs]: (typeof TALKS)[number]): unknown {
  const [one, other] = [setOf(ours), setOf(theirs)]
  const initiator = createInitiator(one)
  const messages: string[] = []
  for (let question: Uint8Array | undefined = initiator.start(); question !== undefined;) {
    const answer = respond(other, question)
    messages.push(hex(question), hex(answer))
    question = initiator.next(answer)
  }
  const sums = ([one, other] as const).map((set) => ({ root: hex(set.root()), fingerprint: hex(set.fingerprint(0, set.size)) }))
  return { name, comment, ours, theirs, sums, messages, need: initiator.need.map(hex), have: initiator.have.map(hex) }
}

/** Reconciliations, and messages that are none. */
export function negentropyVectors(): unknown[] {
  return [...TALKS.map(talk), ...BROKEN.map(([name, code, message]) => ({ name, comment: 'refused', code, message }))]
}
