/** Another implementation of Negentropy, in both roles. It cuts times at 32 bits, so these stay below. */
import type * as Oracle from '@nostr-dev-kit/sync'
import fc from 'fast-check'
import { createRequire } from 'node:module'
import { describe, expect, test } from 'vitest'
import { createItemSetFrom, type ItemSet } from '../../../src/protocol/sync/item-set.ts'
import { createInitiator, respond } from '../../../src/protocol/sync/negentropy.ts'
import { RUNS } from '../../property/arbitrary.ts'
import { hex, idsOf, pairs, setsOf, sorted } from '../../support/reconciling.ts'

// Not imported: what it imports by name for talking to relays is replaced by an empty package.
const require = createRequire(import.meta.url)
const { Negentropy, NegentropyStorage } = require('@nostr-dev-kit/sync') as typeof Oracle

const MAX_MS = 2 ** 31 - 2
const runs = { ...RUNS, numRuns: 60 }

function storageOf(set: ItemSet): InstanceType<typeof NegentropyStorage> {
  const storage = new NegentropyStorage()
  for (const { ms, id } of set.items(0, set.size)) storage.insert(ms, id)
  storage.seal()
  return storage
}

function oracle(set: ItemSet, maxBytes = 0): InstanceType<typeof Negentropy> {
  return new Negentropy(storageOf(set), maxBytes)
}

describe('against @nostr-dev-kit/sync', () => {
  // It has no limit as the one that answers: it then leaves out ids without a word.
  test.each([128 * 1024, 4_096])('it answers us, who write %d bytes at most', (maxBytes) =>
    fc.assert(
      fc.asyncProperty(pairs(1_200, MAX_MS), async (pair) => {
        const { ours, theirs } = setsOf(pair)
        const initiator = createInitiator(ours, { maxBytes })
        const peer = oracle(theirs)
        for (let question: Uint8Array | undefined = initiator.start(); question !== undefined;) {
          question = initiator.next((await peer.reconcile(question)).nextMessage as Uint8Array)
        }
        expect([sorted(initiator.need), sorted(initiator.have)]).toEqual([idsOf(pair.theirs), idsOf(pair.ours)])
      }),
      runs
    )
  )

  test.each([
    [0, 128 * 1024],
    [0, 4_096],
    [4_096, 4_096]
  ])('it asks us, with messages of %d bytes at most (0: any), and %d of ours', (theirBytes, maxBytes) =>
    fc.assert(
      fc.asyncProperty(pairs(1_200, MAX_MS), async (pair) => {
        const { ours, theirs } = setsOf(pair)
        const peer = oracle(theirs, theirBytes)
        const [need, have] = [new Set<string>(), new Set<string>()]
        for (let question: Uint8Array | undefined = await peer.initiate(); question !== undefined;) {
          const answer = respond(ours, question, { maxBytes })
          expect(answer.byteLength).toBeLessThanOrEqual(maxBytes)
          const found = await peer.reconcile(answer)
          // What does not fit is compared again, and named again.
          for (const id of found.need) need.add(hex(id))
          for (const id of found.have) have.add(hex(id))
          question = found.nextMessage
        }
        expect([[...need].toSorted(), [...have].toSorted()]).toEqual([idsOf(pair.ours), idsOf(pair.theirs)])
      }),
      runs
    )
  )

  test('the first message is the same, byte by byte', () =>
    fc.assert(
      fc.asyncProperty(pairs(1_200, MAX_MS), async (pair) => {
        const { ours } = setsOf(pair)
        expect(hex(createInitiator(ours).start())).toBe(hex(await oracle(ours).initiate()))
      }),
      runs
    ))

  test('fingerprints of any range are the same', () =>
    fc.assert(
      fc.asyncProperty(pairs(1_200, MAX_MS), fc.nat(), fc.nat(), async ({ both }, a, b) => {
        const set = createItemSetFrom(both)
        const [from, to] = [a % (set.size + 1), b % (set.size + 1)].toSorted((x, y) => x - y) as [number, number]
        expect(hex(set.fingerprint(from, to))).toBe(hex(await storageOf(set).fingerprint(from, to)))
      }),
      runs
    ))
})
