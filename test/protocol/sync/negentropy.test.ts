import { describe, expect, test } from 'vitest'
import { InvalidMessageError } from '../../../src/protocol/errors.ts'
import { MAX_SYNC_MESSAGE_BYTES, MAX_SYNC_RANGES, MAX_SYNC_ROUNDS } from '../../../src/protocol/limits.ts'
import { createItemSet, createItemSetFrom, type ItemSet } from '../../../src/protocol/sync/item-set.ts'
import { createInitiator, respond, type Initiator } from '../../../src/protocol/sync/negentropy.ts'
import { createRangeWriter, HIGHEST, readRanges, type Bound } from '../../../src/protocol/sync/ranges.ts'
import { encodeVarint } from '../../../src/protocol/sync/varint.ts'
import { hex, reconcile } from '../../support/reconciling.ts'

const MILLION = 1_000_000
const NOW = 1_795_219_200_000
const ZEROS = new Uint8Array(32)
const NONE = new Uint8Array(0)
const SUM = new Uint8Array(16).fill(0xee)

/** An id of its own for each number, with nothing regular in its first bytes. */
function idOf(n: number, bytes: Uint8Array = new Uint8Array(32)): Uint8Array {
  const view = new DataView(bytes.buffer)
  for (let i = 0; i < 7; i++) view.setUint32(i * 4, Math.imul(n + 1, 0x9e3779b1 + 2 * i) ^ Math.imul(n >>> 7, 0x85ebca6b))
  view.setUint32(28, n)
  return bytes
}

/** Items ten milliseconds apart; `copies` says how often each is there, the second time a millisecond later. */
function* itemsOf(count: number, copies: (n: number) => number = () => 1): Generator<{ ms: number; id: Uint8Array }> {
  const id = new Uint8Array(32)
  for (let n = 0; n < count; n++) {
    for (let copy = 0; copy < copies(n); copy++) yield { ms: NOW + n * 10 + copy, id: idOf(n + copy * MILLION, id) }
  }
}

/** All but one. */
const without = (gone: number) => (n: number) => Number(n !== gone)

function faultOf(work: () => unknown): string {
  try {
    work()
  } catch (err) {
    if (err instanceof InvalidMessageError) return err.code
    throw err
  }
  return 'none'
}

/** One that has asked its first question. */
function asking(set: ItemSet): Initiator {
  const initiator = createInitiator(set)
  initiator.start()
  return initiator
}

describe('a million items', () => {
  const all = createItemSetFrom(itemsOf(MILLION))

  test('a hundred scattered differences take four round trips and 250 KiB at most', () => {
    const theirs = createItemSetFrom(itemsOf(MILLION, (n) => (n % 10_000 === 7 ? (n % 20_000 === 7 ? 0 : 2) : 1)))
    const { need, have, bytes, roundTrips } = reconcile(all, theirs)
    expect([need.length, have.length]).toEqual([50, 50])
    expect(bytes).toBeLessThanOrEqual(250 * 1024)
    expect(roundTrips).toBeLessThanOrEqual(4)
  })

  test('equal sets take one round trip and 400 bytes at most', () => {
    const { bytes, roundTrips, need, have } = reconcile(all, all)
    expect([roundTrips, need.length, have.length]).toEqual([1, 0, 0])
    expect(bytes).toBeLessThanOrEqual(400)
  })

  test('the newest thousand missing takes four round trips and 50 KiB at most', () => {
    const ours = createItemSetFrom(itemsOf(MILLION - 1_000))
    const { need, have, bytes, roundTrips } = reconcile(ours, all)
    expect([need.length, have.length]).toEqual([1_000, 0])
    expect(bytes).toBeLessThanOrEqual(50 * 1024)
    expect(roundTrips).toBeLessThanOrEqual(4)
  })

  test('all that a peer with none lacks is known after one round trip', () => {
    const initiator = asking(all)
    expect(initiator.next(respond(createItemSet(), createInitiator(all).start()))).toBeUndefined()
    expect([initiator.have.length, initiator.need.length]).toEqual([MILLION, 0])
    expect(initiator.have.slice(MILLION - 1).map(hex)).toEqual([hex(idOf(MILLION - 1))])
  })
})

describe('refused', () => {
  const few = createItemSetFrom(itemsOf(3))
  const time = encodeVarint(NOW + 1)
  const list = (count: number, ...ids: Uint8Array[]): number[] => [0, 0, 2, ...encodeVarint(count), ...ids.flatMap((id) => [...id])]
  const cases: readonly [what: string, code: string, message: readonly number[]][] = [
    ['nothing', 'encoding', []],
    ['another protocol', 'encoding', [0x60 - 1]],
    ['a range without a mode', 'encoding', [0x61, 0, 0]],
    ['an unknown mode', 'shape', [0x61, 0, 0, 3]],
    ['half a fingerprint', 'encoding', [0x61, 0, 0, 1, ...SUM.subarray(8)]],
    ['fewer ids than said', 'encoding', [0x61, ...list(2, ZEROS)]],
    ['more ids than there could be', 'encoding', [0x61, ...list(2 ** 52)]],
    ['an id of 33 bytes in a bound', 'shape', [0x61, 1, 33, ...ZEROS, 0, 0]],
    ['a prefix that is cut', 'encoding', [0x61, 1, 5, 0]],
    ['a time above the last', 'encoding', [0x61, 2, 0, 0, ...encodeVarint(2 ** 53), 0, 0]],
    ['an integer above 2^53', 'encoding', [0x61, 0x90, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0, 0]],
    ['an integer of nine bytes', 'encoding', [0x61, 0x81, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0, 0]],
    ['an integer that never ends', 'encoding', [0x61, ...Array.from({ length: 1_000 }, () => 0xff)]],
    ['an integer with a zero in front', 'encoding', [0x61, 0x80, 0x01, 0, 0]],
    ['ranges that overlap', 'shape', [0x61, ...time, 2, 5, 5, 0, 1, 2, 5, 4, 0]],
    ['a range behind the end that goes on', 'encoding', [0x61, 0, 0, 0, 1, 0, 0]],
    ['too large a message', 'size', Array.from({ length: MAX_SYNC_MESSAGE_BYTES + 1 }, () => 0x61)]
  ]

  test.each(cases)('%s, by both sides', (_what, code, message) => {
    const bytes = Uint8Array.from(message)
    expect(faultOf(() => respond(few, bytes))).toBe(code)
    expect(faultOf(() => asking(few).next(bytes))).toBe(code)
  })

  test('a list that names an id twice', () => {
    expect(faultOf(() => asking(few).next(Uint8Array.of(0x61, ...list(2, ZEROS, ZEROS))))).toBe('shape')
  })

  test('a list of what was not asked about', () => {
    const ours = createItemSetFrom(itemsOf(1_000))
    const initiator = asking(ours)
    const theirs = createItemSetFrom(itemsOf(1_000, without(500)))
    const question = initiator.next(respond(theirs, createInitiator(ours).start())) as Uint8Array
    expect([...readRanges(question)].filter(({ mode }) => mode !== 'skip')).toHaveLength(1)
    expect(faultOf(() => initiator.next(Uint8Array.of(0x61, ...list(1, ZEROS))))).toBe('shape')
  })

  test('an answer of another version, while a question of one is answered by ours', () => {
    const other = Uint8Array.of(0x62, 1, 2, 3)
    expect(faultOf(() => asking(few).next(other))).toBe('shape')
    expect(hex(respond(few, other))).toBe('61')
  })

  test('messages of our own that are too small to say anything', () => {
    expect(() => createInitiator(few, { maxBytes: 4_095 })).toThrow(RangeError)
    expect(() => respond(few, Uint8Array.of(0x61), { maxBytes: 4_095 })).toThrow(RangeError)
  })
})

describe('taken as other implementations write it', () => {
  test('a list that fills a message, and a sum of nothing behind it', () => {
    const initiator = asking(createItemSet())
    const empty = createItemSet().fingerprint(0, 0)
    expect(initiator.next(Uint8Array.of(0x61, 0, 0, 2, 1, ...idOf(1), 0, 0, 1, ...empty))).toBeUndefined()
    expect(initiator.need.map(hex)).toEqual([hex(idOf(1))])
  })

  test('bounds that are filled up with zeros', () => {
    const [ours, theirs] = [createItemSetFrom(itemsOf(200, without(77))), createItemSetFrom(itemsOf(200))]
    const initiator = createInitiator(ours)
    for (let question: Uint8Array | undefined = initiator.start(); question !== undefined;) {
      question = initiator.next(padded(respond(theirs, question)))
    }
    expect(initiator.need.map(hex)).toEqual([hex(idOf(77))])
  })

  test('an answer that skips a list because it holds the same', () => {
    expect(asking(createItemSetFrom(itemsOf(3))).next(Uint8Array.of(0x61, 0, 0, 0))).toBeUndefined()
  })

  /** The same message with every bound at its longest. */
  function padded(message: Uint8Array): Uint8Array {
    const out = createRangeWriter()
    for (const range of readRanges(message)) {
      const prefix = new Uint8Array(32)
      prefix.set(range.upper.prefix)
      const upper = { ms: range.upper.ms, prefix }
      if (range.mode === 'skip') out.skip(upper)
      else if (range.mode === 'list') out.list(upper, range.ids)
      else out.fingerprint(upper, range.fingerprint)
    }
    return out.finish()
  }
})

describe('a peer that never comes to an end is cut off', () => {
  /** How many answers it took. */
  function roundsOf(set: ItemSet, answer: (question: Uint8Array) => Uint8Array): { rounds: number; message: string; initiator: Initiator } {
    const initiator = createInitiator(set)
    let question: Uint8Array | undefined = initiator.start()
    for (let rounds = 1; ; rounds++) {
      try {
        question = initiator.next(answer(question))
      } catch (err) {
        if (!(err instanceof InvalidMessageError)) throw err
        return { rounds, message: err.message, initiator }
      }
      if (question === undefined) throw new Error('it came to an end')
    }
  }

  const sums = (bounds: readonly Bound[]): Uint8Array => {
    const out = createRangeWriter()
    for (const bound of bounds) out.fingerprint(bound, SUM)
    return out.finish()
  }

  test('with one sum that never fits', () => {
    const { rounds, message } = roundsOf(createItemSetFrom(itemsOf(1_000)), () => sums([HIGHEST]))
    expect([rounds, message]).toEqual([MAX_SYNC_ROUNDS + 1, `a reconciliation without end: ${MAX_SYNC_ROUNDS} rounds`])
  })

  test('with sums of ever smaller ranges', () => {
    // Bounds within one millisecond, as numbers of five bytes.
    const steps = 2 ** 40
    const bytesOf = (step: number): number[] => [32, 24, 16, 8, 0].map((bits) => Math.floor(step / 2 ** bits) % 256)
    const boundAt = (step: number): Bound => ({ ms: NOW, prefix: Uint8Array.from(bytesOf(step - (step % 256) + 1)) })
    const stepOf = ({ ms, prefix }: Bound): number =>
      ms < NOW ? 0 : ms > NOW ? steps : [0, 1, 2, 3, 4].reduce((step, i) => step * 256 + (prefix[i] ?? 0), 0)
    const dense = createItemSet()
    for (let n = 0; n < 20_000; n++) dense.add(NOW, Uint8Array.from([...bytesOf((n * steps) / 20_000), ...ZEROS.subarray(5)]))
    const { message, rounds } = roundsOf(dense, (question) => {
      const asked = [...readRanges(question)].filter(({ mode }) => mode !== 'skip')
      const each = Math.max(1, 5_300 / asked.length)
      const bounds = asked.flatMap(({ lower, upper }, i) => {
        const [from, cuts] = [stepOf(lower), Math.floor((i + 1) * each) - Math.floor(i * each)]
        const width = (stepOf(upper) - from) / cuts
        return [...Array.from({ length: width < 512 ? 0 : cuts - 1 }, (_, cut) => boundAt(from + width * (cut + 1))), upper]
      })
      return sums(bounds)
    })
    expect(Number.parseInt(message, 10)).toBeGreaterThan(MAX_SYNC_RANGES)
    expect(message).toContain('ranges to compare')
    expect(rounds).toBeLessThan(MAX_SYNC_ROUNDS)
  })

  test('with ids that it makes up', () => {
    let made = 0
    const { rounds, initiator } = roundsOf(createItemSet(), () => {
      const ids = new Uint8Array(100 * 32)
      for (let i = 0; i < 100; i++) ids.set(idOf(made++), i * 32)
      const out = createRangeWriter()
      out.skip({ ms: made - 100, prefix: NONE })
      out.list({ ms: made, prefix: NONE }, ids)
      out.fingerprint(HIGHEST, SUM)
      return out.finish()
    })
    expect([rounds, initiator.need.length]).toEqual([MAX_SYNC_ROUNDS + 1, MAX_SYNC_ROUNDS * 100])
  })
})
