import { generateKeyPair } from '@libp2p/crypto/keys'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { createPresenceTable } from '../../src/network/presence-table.ts'
import { sealEnvelope, type Envelope, type Verified } from '../../src/protocol/envelope.ts'
import { MAX_PRESENCE_BYTES } from '../../src/protocol/limits.ts'
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
