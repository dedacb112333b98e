import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { lagOf, type HeardSets, type Lag } from '../../src/protocol/lag.ts'
import type { SetDigest } from '../../src/protocol/sync/digest.ts'

const root = (n: number): Uint8Array => new Uint8Array(32).fill(n)
const set = (count: number, newest: number, rest: Partial<SetDigest> = {}): SetDigest => ({
  author: 'SHA256:alice',
  pinset: 'default',
  count,
  newest,
  root: root(count % 256),
  ...rest
})
const node = (name: string, sets: readonly SetDigest[] | undefined, online = true): HeardSets => ({
  node: name,
  online,
  ...(sets === undefined ? {} : { sets })
})
const everyone = (): boolean => true
const behind = (nodes: readonly HeardSets[], counts: (node: string) => boolean = everyone): Record<string, number | undefined> =>
  Object.fromEntries([...lagOf(nodes, counts)].map(([name, lag]) => [name, lag.behind]))

describe('a node', () => {
  test('with the same roots is in sync, with fewer commands lacks the difference, with other ones at least one', () => {
    const nodes = [node('a', [set(500, 9)]), node('b', [set(500, 9)]), node('c', [set(188, 5)]), node('d', [set(700, 8)])]
    expect(behind(nodes)).toEqual({ a: 0, b: 0, c: 312, d: 1 })
  })

  test('is measured in each set, and its lags add up', () => {
    const site = { pinset: 'site' }
    const admin = { pinset: undefined }
    const whole = [set(10, 9), set(5, 9, site), set(3, 9, admin)]
    const nodes = [node('a', whole), node('b', [set(8, 7), set(1, 2, site), set(3, 9, admin)])]
    expect(behind(nodes)).toEqual({ a: 0, b: 6 })
  })

  test('is measured by the newest command, then by the most', () => {
    expect(behind([node('a', [set(10, 9)]), node('b', [set(99, 8)])])).toEqual({ a: 0, b: 1 })
    expect(behind([node('a', [set(10, 9)]), node('b', [set(99, 9)])])).toEqual({ a: 89, b: 0 })
  })

  test('that does not announce a set is not behind in it: its file may not cover it', () => {
    const nodes = [node('a', [set(10, 9), set(5, 9, { author: 'SHA256:bob' })]), node('b', [set(10, 9)])]
    expect(behind(nodes)).toEqual({ a: 0, b: 0 })
  })

  test('that announces a set as empty lacks all of it', () => {
    expect(behind([node('a', [set(10, 9)]), node('b', [set(0, 0)])])).toEqual({ a: 0, b: 10 })
  })

  test('that is gone, speaks of no sets, or holds none while others do, is unknown', () => {
    const nodes = [node('a', [set(10, 9)]), node('gone', [set(1, 1)], false), node('old', undefined), node('new', [])]
    expect(behind(nodes)).toEqual({ a: 0, gone: undefined, old: undefined, new: undefined })
    expect(behind([node('a', []), node('b', [])])).toEqual({ a: 0, b: 0 })
  })

  test('that is gone makes nobody look behind', () => {
    expect(behind([node('a', [set(1, 1)]), node('gone', [set(10, 9)], false)])).toEqual({ a: 0, gone: undefined })
  })

  test('that is capped says so, is not behind there, and measures others only where all are', () => {
    const capped = { capped: true, root: root(77) }
    const nodes = [node('a', [set(500, 9)]), node('b', [set(100, 10, capped), set(1, 1, { pinset: 'site' })])]
    const other = node('c', [set(400, 8), set(3, 3, { pinset: 'site' })])
    expect(Object.fromEntries(lagOf([...nodes, other], everyone))).toEqual({
      a: { behind: 0, capped: false },
      b: { behind: 2, capped: true },
      c: { behind: 100, capped: false }
    })
    expect(behind([nodes[1] as HeardSets, node('c', [set(40, 8)])])).toEqual({ b: 0, c: 0 })
  })
})

const digest: fc.Arbitrary<SetDigest> = fc.record({
  author: fc.constantFrom('SHA256:alice', 'SHA256:bob') as fc.Arbitrary<SetDigest['author']>,
  pinset: fc.constantFrom('default', 'site', undefined),
  count: fc.nat({ max: 5 }),
  newest: fc.nat({ max: 3 }),
  root: fc.nat({ max: 3 }).map(root),
  capped: fc.boolean()
})
const heard = (name: fc.Arbitrary<string>): fc.Arbitrary<HeardSets> =>
  fc.record({ node: name, online: fc.boolean(), sets: fc.array(digest, { maxLength: 4 }) }, { requiredKeys: ['node', 'online'] })
const trusted = fc.uniqueArray(heard(fc.constantFrom('a', 'b', 'c')), { selector: (one) => one.node, maxLength: 3 })
const strangers = fc.uniqueArray(heard(fc.constantFrom('x', 'y')), { selector: (one) => one.node, maxLength: 2 })
const isTrusted = (name: string): boolean => 'abc'.includes(name)
const ofTrusted = (lags: ReadonlyMap<string, Lag>): Record<string, Lag> => Object.fromEntries([...lags].filter(([name]) => isTrusted(name)))

describe('whatever is announced', () => {
  test('no stranger changes how a trusted node looks', () => {
    fc.assert(
      fc.property(trusted, strangers, (nodes, others) => {
        expect(ofTrusted(lagOf([...others, ...nodes], isTrusted))).toEqual(ofTrusted(lagOf(nodes, isTrusted)))
      })
    )
  })

  test('the order of nodes changes nothing, and each is told of', () => {
    fc.assert(
      fc.property(trusted, strangers, (nodes, others) => {
        const all = [...nodes, ...others]
        const lags = lagOf(all, everyone)
        expect(Object.fromEntries(lags)).toEqual(Object.fromEntries(lagOf(all.toReversed(), everyone)))
        expect(lags.size).toBe(all.length)
      })
    )
  })

  test('nodes that say the same are in sync, as far as that can be known', () => {
    fc.assert(
      fc.property(fc.uniqueArray(digest, { selector: ({ author, pinset }) => `${author} ${pinset}` }), (sets) => {
        expect(behind([node('a', sets), node('b', sets)])).toEqual({ a: 0, b: 0 })
      })
    )
  })
})
