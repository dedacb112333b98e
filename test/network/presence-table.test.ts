import { generateKeyPair } from '@libp2p/crypto/keys'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { createPresenceTable } from '../../src/network/presence-table.ts'
import { sealEnvelope, type Envelope, type Verified } from '../../src/protocol/envelope.ts'
import { MAX_PRESENCE_AGE_MS, MAX_PRESENCE_BYTES } from '../../src/protocol/limits.ts'
import { nodeIdOf } from '../../src/protocol/ssh-key.ts'
import type { Signer } from '../../src/protocol/signature.ts'
import { createTestClock, NETWORK } from './helpers.ts'
import { presenceOf, signerOf } from './presences.ts'

const signers: Signer[] = []
const at = (i: number): Signer => signers[i] as Signer
const node = (i: number): string => nodeIdOf(at(i).blob)
/** By signer and sequence, each once: signing is what costs. */
const made = new Map<string, Verified<Envelope>>()
const envelope = (i: number, sequence: number): Verified<Envelope> => made.get(`${i} ${sequence}`) as Verified<Envelope>

beforeAll(async () => {
  for (let i = 0; i < 8; i++) signers.push(signerOf(await generateKeyPair('Ed25519')))
  for (let i = 0; i < 8; i++) for (let s = 1; s <= 5; s++) made.set(`${i} ${s}`, await presenceOf(at(i), { sequence: s, time: 10_000 - s }))
})

describe('the table', () => {
  test('keeps the highest sequence of each node, whatever the order and repeats', () => {
    const offers = fc.array(fc.tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 1, max: 5 })), { maxLength: 60 })
    fc.assert(
      fc.property(offers, (list) => {
        const table = createPresenceTable({ network: NETWORK }, { clock: createTestClock() })
        const best = new Map<number, number>()
        for (const [i, sequence] of list) {
          expect(table.offer(envelope(i, sequence))).toBe(sequence > (best.get(i) ?? 0))
          best.set(i, Math.max(sequence, best.get(i) ?? 0))
        }
        for (const [i, sequence] of best) expect(table.get(node(i))?.presence.sequence).toBe(sequence)
        expect(table.all()).toHaveLength(best.size)
      })
    )
  })

  test('never grows above its capacity, and a stranger never pushes out a known node', () => {
    const offers = fc.array(fc.tuple(fc.integer({ min: 0, max: 7 }), fc.integer({ min: 1, max: 5 })), { maxLength: 60 })
    fc.assert(
      fc.property(offers, (list) => {
        const known = new Set([node(0), node(1)])
        const table = createPresenceTable({ network: NETWORK, capacity: 3, isKnown: (id) => known.has(id) }, { clock: createTestClock() })
        const seen = new Set<string>()
        for (const [i, sequence] of list) {
          table.offer(envelope(i, sequence))
          if (known.has(node(i))) seen.add(node(i))
          expect(table.all().length).toBeLessThanOrEqual(3)
          for (const id of seen) expect(table.get(id)).toBeDefined()
        }
      })
    )
  })

  test('drops the stranger that was silent longest, and says so', () => {
    const table = createPresenceTable({ network: NETWORK, capacity: 2 }, { clock: createTestClock() })
    const told: string[] = []
    table.onChange((id) => told.push(id))
    table.offer(envelope(0, 1))
    table.offer(envelope(1, 1))
    table.offer(envelope(0, 2))
    table.offer(envelope(2, 1))
    expect(table.get(node(1))).toBeUndefined()
    expect(told).toEqual([node(0), node(1), node(0), node(1), node(2)])
  })

  test('full of known nodes, it takes no stranger', () => {
    const table = createPresenceTable({ network: NETWORK, capacity: 2, isKnown: (id) => id !== node(2) }, { clock: createTestClock() })
    for (const i of [0, 1]) table.offer(envelope(i, 1))
    expect(table.offer(envelope(2, 1))).toBe(false)
    expect(table.offer(envelope(3, 1))).toBe(true)
    expect(table.get(node(0))).toBeUndefined()
  })

  test('has a node online for three intervals by our clock, whatever its own says', () => {
    const clock = createTestClock()
    const table = createPresenceTable({ network: NETWORK, intervalMs: 1_000 }, { clock })
    const told: string[] = []
    const off = table.onChange((id) => told.push(`${id === node(0) ? 'a' : 'b'} ${table.get(id)?.online}`))
    table.offer(envelope(0, 1))
    clock.advance(1_500)
    table.offer(envelope(1, 1))
    clock.advance(1_499)
    expect(table.get(node(0))).toMatchObject({ online: true, heardAt: 1_000_000 })
    clock.advance(1)
    expect(told).toEqual(['a true', 'b true', 'a false'])
    table.offer(envelope(0, 2))
    clock.advance(10_000)
    expect(told).toEqual(['a true', 'b true', 'a false', 'a true', 'b false', 'a false'])
    expect(table.all().map(({ online }) => online)).toEqual([false, false])
    off()
    clock.advance(10_000)
  })

  test('what another heard earlier takes its place in the order, and goes offline in its time', () => {
    const clock = createTestClock()
    const table = createPresenceTable({ network: NETWORK, intervalMs: 1_000 }, { clock })
    const told: string[] = []
    const name = (id: string): string => 'abcdefgh'[signers.findIndex((_, i) => node(i) === id)] as string
    table.onChange((id) => told.push(`${name(id)} ${table.get(id)?.online}`))
    table.offer(envelope(0, 1))
    table.offer(envelope(1, 1), { age: 2_000 })
    table.offer(envelope(2, 1), { age: 240_000 })
    expect(told).toEqual(['a true', 'b true', 'c false'])
    expect(table.all().map(({ presence, heardAt }) => [name(presence.node), heardAt])).toEqual([
      ['c', 760_000],
      ['b', 998_000],
      ['a', 1_000_000]
    ])
    clock.advance(999)
    expect(told).toHaveLength(3)
    clock.advance(1)
    expect(told.slice(3)).toEqual(['b false'])
    clock.advance(10_000)
    expect(told.slice(4)).toEqual(['a false'])
    table.offer(envelope(1, 2), { age: 500 })
    expect(told.slice(5)).toEqual(['b true'])
    clock.advance(2_500)
    expect(told.slice(6)).toEqual(['b false'])
  })

  test('a node never counts as heard earlier than before, nor later than now, and no age is beyond the bounds', () => {
    const clock = createTestClock(MAX_PRESENCE_AGE_MS + 1_000)
    const table = createPresenceTable({ network: NETWORK }, { clock })
    const heardAt = (): number => (table.get(node(0))?.heardAt ?? NaN) - MAX_PRESENCE_AGE_MS
    table.offer(envelope(0, 1), { age: Number.MAX_SAFE_INTEGER })
    expect(heardAt() + MAX_PRESENCE_AGE_MS).toBe(1_000)
    table.offer(envelope(0, 2), { age: 300 })
    expect(heardAt()).toBe(700)
    table.offer(envelope(0, 3), { age: 900 })
    expect(table.get(node(0))?.presence.sequence).toBe(3)
    expect(heardAt()).toBe(700)
    expect(table.offer(envelope(0, 3), { age: 0 })).toBe(false)
    expect(heardAt()).toBe(700)
    table.offer(envelope(0, 4), { age: -50 })
    expect(heardAt()).toBe(1_000)
    // Our clock was ahead, and is put right.
    clock.advance(-600)
    table.offer(envelope(0, 5))
    expect(heardAt()).toBe(400)
  })

  test('full, it takes no stranger that was silent for longer than all it has', () => {
    const table = createPresenceTable({ network: NETWORK, capacity: 2, isKnown: (id) => id === node(3) }, { clock: createTestClock() })
    for (const i of [0, 1]) table.offer(envelope(i, 1), { age: 100 })
    expect(table.offer(envelope(2, 1), { age: 101 })).toBe(false)
    expect(table.offer(envelope(2, 1), { age: 99 })).toBe(true)
    expect(table.offer(envelope(3, 1), { age: 500 })).toBe(true)
    expect(table.all().map(({ presence }) => presence.node)).toEqual([node(3), node(2)])
  })

  test('whatever comes in whatever order: ordered by hearing, each told of once when it falls silent, none too late', () => {
    const step = fc.oneof(
      fc.record({ i: fc.integer({ min: 0, max: 7 }), s: fc.integer({ min: 1, max: 5 }), age: fc.nat({ max: 6_000 }) }),
      fc.record({ advance: fc.nat({ max: 2_000 }) })
    )
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const clock = createTestClock()
        const table = createPresenceTable({ network: NETWORK, intervalMs: 1_000 }, { clock })
        const online = new Map<string, boolean>()
        let advancing = false
        table.onChange((id) => {
          const entry = table.get(id)
          if (advancing) expect([online.get(id), clock.now()]).toEqual([true, (entry?.heardAt ?? NaN) + 3_000])
          online.set(id, entry?.online === true)
        })
        const heard = new Map<string, number>()
        for (const each of steps) {
          advancing = 'advance' in each
          if ('advance' in each) clock.advance(each.advance)
          else table.offer(envelope(each.i, each.s), { age: each.age })
          const all = table.all()
          expect(all.map(({ heardAt }) => heardAt)).toEqual(all.map(({ heardAt }) => heardAt).toSorted((a, b) => a - b))
          for (const { presence, heardAt, online: isOnline } of all) {
            expect(online.get(presence.node)).toBe(isOnline)
            expect(heardAt).toBeGreaterThanOrEqual(heard.get(presence.node) ?? 0)
            heard.set(presence.node, heardAt)
          }
        }
      })
    )
  })

  test('lists neither itself nor another network, nor what is too large', async () => {
    const table = createPresenceTable({ network: NETWORK, self: node(0) }, { clock: createTestClock() })
    expect(table.offer(envelope(0, 1))).toBe(false)
    const foreign = await presenceOf(at(1), {}, 'other')
    expect(() => table.offer(foreign)).toThrow('network')
    const ack = await sealEnvelope('ack', foreign.payload, at(1))
    expect(() => table.offer(ack)).toThrow('version')
    const large = await sealEnvelope('presence', new Uint8Array(MAX_PRESENCE_BYTES), at(1))
    expect(() => table.offer(large)).toThrow('at most')
    expect(table.all()).toEqual([])
  })
})
