/** Item sets against a plain sorted array. */
import fc from 'fast-check'
import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { createItemSet, createItemSetFrom, type ItemSet } from '../../src/protocol/sync/item-set.ts'
import { createRandom, type Random } from '../support/random.ts'
import { hex, pairs, type TestItem } from '../support/reconciling.ts'
import { RUNS } from './arbitrary.ts'

const runs = { ...RUNS, numRuns: 40 }
const order = (a: TestItem, b: TestItem): number => a.ms - b.ms || Buffer.compare(a.id, b.id)
const sha256 = (...parts: Uint8Array[]): string => hex(createHash('sha256').update(Buffer.concat(parts)).digest())

const numberOf = ({ id }: TestItem): bigint => BigInt(`0x${hex(id.toReversed())}`)

function fingerprintOf(items: readonly TestItem[]): string {
  return fingerprintOfSum(
    items.reduce((total, item) => total + numberOf(item), 0n),
    items.length
  )
}

function fingerprintOfSum(sum: bigint, count: number): string {
  const varint = count < 128 ? [count] : [0x80 + (count >> 7), count & 127]
  return sha256(Buffer.from((sum % 2n ** 256n).toString(16).padStart(64, '0'), 'hex').reverse(), Uint8Array.from(varint)).slice(0, 32)
}

/** All that a set says, looked up in the model. */
function expectSame(set: ItemSet, model: readonly TestItem[], random: Random): void {
  expect(set.size).toBe(model.length)
  expect(set.newest()).toBe(model.at(-1)?.ms ?? 0)
  expect(hex(set.root())).toBe(sha256(...model.map(({ id }) => id)))
  for (let i = 0; i < 4; i++) {
    const somewhere = [random.between(0, model.length), random.between(0, model.length)].toSorted((a, b) => a - b)
    const [from, to] = (i === 0 ? [0, model.length] : somewhere) as [number, number]
    const part = model.slice(from, to)
    expect(hex(set.fingerprint(from, to))).toBe(fingerprintOf(part))
    expect(hex(set.ids(from, to))).toBe(part.map(({ id }) => hex(id)).join(''))
    expect([...set.items(from, to)].map(({ ms, id }) => `${ms} ${hex(id)}`)).toEqual(part.map(({ ms, id }) => `${ms} ${hex(id)}`))
    const bound = { ms: random.chance(0.1) ? Infinity : (model[from]?.ms ?? 5), id: new Uint8Array(32) }
    const prefix = (model[random.between(0, model.length)]?.id ?? bound.id).subarray(0, random.between(0, 32))
    bound.id.set(prefix)
    expect(set.rankOf(bound.ms, prefix)).toBe(
      model.filter((item) => item.ms < bound.ms || (item.ms === bound.ms && order(item, bound) < 0)).length
    )
  }
}

test('grow and shrink as a sorted array would', () =>
  fc.assert(
    fc.property(pairs(1_500), fc.nat(), fc.constantFrom('sorted', 'reversed', 'any'), ({ both, ours, theirs }, seed, how) => {
      const random = createRandom(seed)
      const items = [...both, ...ours, ...theirs]
      if (how !== 'any') items.sort(how === 'sorted' ? order : (a, b) => order(b, a))
      const set = createItemSet()
      const model = new Map<string, TestItem>()
      const sortedModel = (): TestItem[] => [...model.values()].toSorted(order)
      for (const item of items) {
        expect(set.has(item.ms, item.id)).toBe(false)
        expect([set.add(item.ms, item.id), set.add(item.ms, item.id)]).toEqual([true, false])
        model.set(hex(item.id), item)
        if (random.chance(0.01)) expectSame(set, sortedModel(), random)
        if (random.chance(0.2)) {
          const gone = random.pick(items)
          expect(set.remove(gone.ms, gone.id)).toBe(model.delete(hex(gone.id)))
        }
      }
      expectSame(set, sortedModel(), random)
      for (const item of random.some(items, 300).concat(random.chance(0.5) ? items : [])) {
        expect(set.has(item.ms, item.id)).toBe(model.has(hex(item.id)))
        expect(set.remove(item.ms, item.id)).toBe(model.delete(hex(item.id)))
        if (random.chance(0.01)) expectSame(set, sortedModel(), random)
      }
      expectSame(set, sortedModel(), random)
    }),
    runs
  ))

test('know their sum after every change', () =>
  fc.assert(
    fc.property(pairs(1_500), fc.nat(), ({ both, ours, theirs }, seed) => {
      const items = createRandom(seed).some([...both, ...ours, ...theirs], 1_500)
      const set = createItemSet()
      let sum = 0n
      for (const item of [...items, ...items.toReversed()]) {
        sum += set.add(item.ms, item.id) ? numberOf(item) : set.remove(item.ms, item.id) ? -numberOf(item) : 0n
        expect(hex(set.fingerprint(0, set.size))).toBe(fingerprintOfSum(sum, set.size))
      }
      expect(set.size).toBe(0)
    }),
    { ...runs, numRuns: 15 }
  ))

test('come out the same from items in any order, with repeats', () =>
  fc.assert(
    fc.property(pairs(1_500), fc.nat(), ({ both }, seed) => {
      const random = createRandom(seed)
      const set = createItemSetFrom([...random.some(both, 1_500), ...random.some(both, 100)])
      expectSame(set, both.toSorted(order), random)
    }),
    runs
  ))

test('fall back to what was newest before, down to nothing', () => {
  const items = Array.from({ length: 1_100 }, (_, ms) => ({ ms, id: new Uint8Array(32).fill(ms) }))
  const set = createItemSetFrom(items)
  for (const { ms, id } of items.toReversed()) {
    expect(set.newest()).toBe(ms)
    set.remove(ms, id)
  }
  expect([set.newest(), set.size, ...set.items(0, 1)]).toEqual([0, 0])
})

test('keep no hold of the bytes that they are given, and give none away', () => {
  const id = new Uint8Array(32).fill(7)
  const set = createItemSetFrom([{ ms: 1, id }])
  const [before, fingerprint] = [hex(set.root()), hex(set.fingerprint(0, 1))]
  for (const bytes of [id, set.root(), ...[...set.items(0, 1)].map((item) => item.id), set.ids(0, 1), set.fingerprint(0, 1)]) bytes.fill(0)
  expect([hex(set.root()), hex(set.fingerprint(0, 1))]).toEqual([before, fingerprint])
  expect(set.has(1, new Uint8Array(32).fill(7))).toBe(true)
})

test.each([
  [1, new Uint8Array(31)],
  [-1, new Uint8Array(32)],
  [0.5, new Uint8Array(32)],
  [2 ** 53, new Uint8Array(32)],
  [NaN, new Uint8Array(32)]
])('take no item of (%d, %o)', (ms, id) => {
  const set = createItemSet()
  for (const method of [set.add, set.remove, set.has]) expect(() => method(ms, id)).toThrow(RangeError)
})
