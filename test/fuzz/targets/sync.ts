/** Messages of reconciliations, against sets of every size: each answer is bounded, and each round ends. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { InvalidMessageError } from '../../../src/protocol/errors.ts'
import { MAX_SYNC_MESSAGE_BYTES } from '../../../src/protocol/limits.ts'
import { createItemSet, type ItemSet } from '../../../src/protocol/sync/item-set.ts'
import { createInitiator, respond } from '../../../src/protocol/sync/negentropy.ts'
import { compareBounds, createRangeWriter, LOWEST, readRanges, type Range } from '../../../src/protocol/sync/ranges.ts'
import { decodeVarint, encodeVarint } from '../../../src/protocol/sync/varint.ts'
import { NOW } from '../../vectors/source/make.ts'
import { requireSame, type Target } from '../target.ts'
import { reconciliations } from './vectors.ts'

const setOf = (from: number, to: number): ItemSet => {
  const set = createItemSet()
  for (let n = from; n < to; n++) set.add(NOW + 1_000 * n, createHash('sha256').update(String(n)).digest())
  return set
}
const sets = [setOf(0, 0), setOf(0, 5), setOf(0, 600), setOf(100, 3_000)]
const [empty, few, some, many] = sets as [ItemSet, ItemSet, ItemSet, ItemSet]

const errors = [InvalidMessageError]

/** What honest sides say to each other. */
function dialogue(a: ItemSet, b: ItemSet): readonly Uint8Array[] {
  const initiator = createInitiator(a)
  const said: Uint8Array[] = []
  for (let message: Uint8Array | undefined = initiator.start(); message !== undefined;) {
    const answer = respond(b, message)
    said.push(message, answer)
    message = initiator.next(answer)
  }
  return said
}
const said = [...dialogue(some, many), ...dialogue(few, some), ...dialogue(empty, few), ...dialogue(many, empty)].filter(
  ({ byteLength }) => byteLength < 8_192
)

/** The ranges of a message are one behind the other, and written and read again they are the same. */
function readMessage(bytes: Uint8Array): number {
  const ranges = [...readRanges(bytes)]
  const out = createRangeWriter()
  let end = LOWEST
  for (const range of ranges) {
    requireSame(compareBounds(range.lower, end), 0)
    assert.ok(compareBounds(end, range.upper) <= 0)
    end = range.upper
    if (range.mode === 'fingerprint') out.fingerprint(range.upper, range.fingerprint)
    else if (range.mode === 'list') out.list(range.upper, range.ids)
    else out.skip(range.upper)
  }
  const told = (all: readonly Range[]): readonly Range[] => all.filter(({ mode }) => mode !== 'skip')
  requireSame(told([...readRanges(out.finish())]), told(ranges))
  return Math.min(ranges.length, 4)
}

/** Messages of a reconciliation. */
export const SYNC: readonly Target[] = [
  {
    name: 'varint',
    form: 'bytes',
    errors,
    seeds: [0, 127, 128, 2 ** 32, 2 ** 53].map((value) => Uint8Array.from(encodeVarint(value))),
    run(bytes) {
      const { value, end } = decodeVarint(bytes, 0)
      requireSame(encodeVarint(value), [...bytes.subarray(0, end)])
    }
  },
  { name: 'reconcile-ranges', form: 'bytes', errors, seeds: [...reconciliations, ...said], cost: 2, run: readMessage },
  {
    name: 'reconcile-answer',
    form: 'bytes',
    errors,
    seeds: [...reconciliations, ...said],
    cost: 20,
    run(bytes) {
      for (const set of sets) assert.ok(respond(set, bytes).byteLength <= MAX_SYNC_MESSAGE_BYTES)
      return respond(few, bytes).byteLength > 1
    }
  },
  {
    name: 'reconcile-next',
    form: 'bytes',
    errors,
    seeds: [...reconciliations, ...said],
    cost: 10,
    run(bytes) {
      for (const set of [empty, few, some]) {
        const initiator = createInitiator(set)
        initiator.start()
        const next = initiator.next(bytes)
        assert.ok(next === undefined || next.byteLength <= MAX_SYNC_MESSAGE_BYTES)
        assert.ok(initiator.need.length <= 4_096 && initiator.have.length <= set.size)
      }
      return 'went on'
    }
  }
]
