/** Reconciliations of two sets: what differs is found, exactly; and whatever arrives, there is an answer or a refusal. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_SYNC_MESSAGE_BYTES } from '../../src/protocol/limits.ts'
import type { ItemSet } from '../../src/protocol/sync/item-set.ts'
import { createInitiator, respond } from '../../src/protocol/sync/negentropy.ts'
import { compareBounds, createRangeWriter, HIGHEST, readRanges, type Bound } from '../../src/protocol/sync/ranges.ts'
import { createRandom, type Random } from '../support/random.ts'
import { hex, idsOf, pairs, reconcile, setsOf } from '../support/reconciling.ts'
import { RUNS } from './arbitrary.ts'

const runs = { ...RUNS, numRuns: 100 }
const bytes = fc.constantFrom(4_096, 7_000, 128 * 1024)

/** What a message says of ranges is what its writer has there. */
function expectTrue(set: ItemSet, message: Uint8Array): void {
  for (const range of readRanges(message)) {
    const [from, to] = [range.lower, range.upper].map(({ ms, prefix }) => set.rankOf(ms, prefix)) as [number, number]
    if (range.mode === 'fingerprint') expect(hex(range.fingerprint)).toBe(hex(set.fingerprint(from, to)))
    else if (range.mode === 'list') expect(hex(range.ids)).toBe(hex(set.ids(from, to)))
  }
}

describe('what differs is found', () => {
  test('whatever the sets, and however little fits a message', () =>
    fc.assert(
      fc.property(pairs(2_500), bytes, bytes, (pair, ourBytes, theirBytes) => {
        const { ours, theirs } = setsOf(pair)
        const { need, have, messages } = reconcile(ours, theirs, { ourBytes, theirBytes })
        expect([need, have]).toEqual([idsOf(pair.theirs), idsOf(pair.ours)])
        for (const [i, message] of messages.entries()) expectTrue(i % 2 === 0 ? ours : theirs, message)
      }),
      runs
    ))

  test('of what did not change, where either set changes between messages', () =>
    fc.assert(
      fc.property(pairs(1_000), pairs(500), bytes, bytes, fc.nat(), (pair, moving, ourBytes, theirBytes, seed) => {
        const random = createRandom(seed)
        const { ours, theirs } = setsOf(pair)
        const still = new Set(
          Object.values(pair)
            .flat()
            .map((item) => hex(item.id))
        )
        const restless = Object.values(moving)
          .flat()
          .filter(({ id }) => !still.has(hex(id)))
        const between = (): void => {
          for (const set of [ours, theirs]) {
            for (const { ms, id } of random.some(restless, random.between(0, 40))) if (!set.add(ms, id)) set.remove(ms, id)
          }
        }
        for (let i = 0; i < 5; i++) between()
        const { need, have } = reconcile(ours, theirs, { ourBytes, theirBytes, between })
        const ofStill = (ids: readonly string[]): string[] => ids.filter((id) => still.has(id))
        expect([ofStill(need), ofStill(have)]).toEqual([idsOf(pair.theirs), idsOf(pair.ours)])
      }),
      runs
    ))
})

/** An answer, a next message or one of our refusals. */
function survives(work: () => Uint8Array | undefined): void {
  try {
    expect(work()?.byteLength ?? 0).toBeLessThanOrEqual(MAX_SYNC_MESSAGE_BYTES)
  } catch (err) {
    if (!(err instanceof InvalidMessageError)) throw err
  }
}

/** Bytes changed, left out, put in or cut off. */
function spoilt(message: Uint8Array, random: Random): Uint8Array {
  const at = random.between(0, message.byteLength)
  const put = Uint8Array.from({ length: random.between(0, 3) }, () => random.pick([0, 1, 2, 127, 128, 255, random.between(0, 255)]))
  const rest = random.chance(0.2) ? message.subarray(0, 0) : message.subarray(at + random.between(0, 3))
  return Buffer.concat([message.subarray(0, at), put, rest])
}

/** Ranges in order that nobody asked for, lies in all of them. */
function lies(random: Random, bounds: readonly Bound[]): Uint8Array {
  const out = createRangeWriter()
  const noise = (length: number): Uint8Array => Uint8Array.from({ length }, () => random.between(0, 255))
  for (const bound of [...random.some(bounds, 30).toSorted(compareBounds), HIGHEST]) {
    const mode = random.between(0, 3)
    if (mode === 0) out.skip(bound)
    else if (mode === 1) out.list(bound, noise(32 * random.between(0, 3)))
    else out.fingerprint(bound, noise(16))
  }
  return out.finish()
}

describe('whatever arrives is answered or refused', () => {
  const both = pairs(400)

  test('a message of a reconciliation that was spoilt', () =>
    fc.assert(
      fc.property(both, fc.nat(), (pair, seed) => {
        const random = createRandom(seed)
        const { ours, theirs } = setsOf(pair)
        for (const message of reconcile(ours, theirs).messages) {
          const bad = spoilt(message, random)
          survives(() => respond(ours, bad))
          const initiator = createInitiator(ours)
          initiator.start()
          survives(() => initiator.next(bad))
        }
      }),
      { ...runs, numRuns: 300 }
    ))

  test('bytes of any kind', () =>
    fc.assert(
      fc.property(both, fc.uint8Array({ maxLength: 300, size: 'max' }), (pair, noise) => {
        const { ours } = setsOf(pair)
        const message = Uint8Array.of(0x61, ...noise)
        survives(() => respond(ours, message))
        const initiator = createInitiator(ours)
        initiator.start()
        survives(() => initiator.next(message))
      }),
      { ...runs, numRuns: 300 }
    ))

  test('lies in good order, round after round', () =>
    fc.assert(
      fc.property(both, fc.nat(), (pair, seed) => {
        const random = createRandom(seed)
        const { ours, theirs } = setsOf(pair)
        const bounds = [...theirs.items(0, theirs.size)].map(({ ms, id }) => ({ ms, prefix: id.subarray(0, random.between(0, 27)) }))
        const sound = bounds.filter(({ prefix }) => prefix.at(-1) !== 0)
        const initiator = createInitiator(ours)
        let question: Uint8Array | undefined = initiator.start()
        survives(() => {
          for (let round = 0; round < 20 && question !== undefined; round++) {
            survives(() => respond(ours, lies(random, sound)))
            question = initiator.next(random.chance(0.3) ? respond(theirs, question) : lies(random, sound))
          }
          return question
        })
      }),
      runs
    ))
})
