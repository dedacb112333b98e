/** What one pull may cost, counted without a network. */
import { describe, expect, test } from 'vitest'
import type { FrameStream } from '../../src/network/frames.ts'
import { createAsker, type Asker } from '../../src/network/sync-asker.ts'
import { createFetcher } from '../../src/network/sync-fetch.ts'
import { MAX_PULL_BYTES, MAX_PULL_COMMANDS, MAX_PULL_MS, MAX_SYNC_ASKS, MAX_SYNC_MESSAGE_BYTES } from '../../src/protocol/limits.ts'
import { encodeSyncAnswer, type SyncAnswer } from '../../src/protocol/sync/messages.ts'
import { createTestClock, NETWORK } from './helpers.ts'
import { alice } from './syncing.ts'

const SET = { author: alice.author, pinset: 'default' }

/** An asker whose peer always says the same; what is asked costs no time. */
function askerOf(answer: SyncAnswer, clock = createTestClock()): Asker {
  const bytes = encodeSyncAnswer(answer)
  const frames: FrameStream = {
    read: async () => bytes,
    write: async () => {},
    end: async () => {},
    close: async () => {},
    abort: () => {}
  }
  return createAsker({ target: 'peer', network: NETWORK }, { frames, clock })
}

describe('a stream is spent', () => {
  test('after so many asks', async () => {
    const asker = askerOf({ answer: 'ids', ids: [], more: false })
    while (!asker.spent()) await asker.ids(SET, undefined)
    expect(asker.roundTrips).toBe(MAX_SYNC_ASKS)
  })

  test('after so many bytes', async () => {
    const asker = askerOf({ answer: 'reconcile', message: new Uint8Array(MAX_SYNC_MESSAGE_BYTES) })
    while (!asker.spent()) await asker.reconcile(SET, new Uint8Array(1))
    expect(asker.bytes).toBeGreaterThanOrEqual(MAX_PULL_BYTES)
    expect(asker.bytes).toBeLessThan(MAX_PULL_BYTES + 2 * MAX_SYNC_MESSAGE_BYTES)
    expect(asker.roundTrips).toBeLessThan(MAX_SYNC_ASKS)
  })

  test('after so long', () => {
    const clock = createTestClock()
    const asker = askerOf({ answer: 'ids', ids: [], more: false }, clock)
    clock.advance(MAX_PULL_MS - 1)
    expect(asker.spent()).toBe(false)
    clock.advance(1)
    expect(asker.spent()).toBe(true)
  })
})

describe('fetching', () => {
  const idsOf = (n: number): string[] => Array.from({ length: n }, (_, i) => i.toString(16).padStart(64, '0'))
  const asker: Asker = {
    ...askerOf({ answer: 'error', error: 'busy' }),
    commands: async (_set, ids) => ({ commands: ids.map(() => ({ acceptedAt: 1, envelope: new Uint8Array(1) })), upTo: ids.length })
  }

  test('ends at so many commands and says that this is not all', async () => {
    const fetcher = createFetcher('peer', { asker, take: async (commands) => commands.length })
    expect(await fetcher.fetch(idsOf(MAX_PULL_COMMANDS - 500), SET)).toBe(true)
    expect(await fetcher.fetch(idsOf(2_500), SET)).toBe(false)
    expect(fetcher.fetched).toBe(MAX_PULL_COMMANDS + 500)
    expect(fetcher.taken).toBe(fetcher.fetched)
    expect(await fetcher.fetch(idsOf(1), SET)).toBe(false)
  })

  test('asks for the next page while one is stored, and for no other', async () => {
    const stored: (() => void)[] = []
    let asks = 0
    const counting: Asker = {
      ...asker,
      commands: (set, ids) => {
        asks++
        return asker.commands(set, ids)
      }
    }
    const take = async (commands: readonly unknown[]): Promise<number> => {
      await new Promise<void>((resolve) => stored.push(resolve))
      return commands.length
    }
    const fetcher = createFetcher('peer', { asker: counting, take })
    const done = fetcher.fetch(idsOf(3_500), SET)
    for (const expected of [2, 3, 4]) {
      await settled()
      expect([asks, stored.length]).toEqual([expected, expected - 1])
      stored.at(-1)?.()
    }
    await settled()
    expect([asks, stored.length]).toEqual([4, 4])
    stored.at(-1)?.()
    expect(await done).toBe(true)
    expect(fetcher.taken).toBe(3_500)
  })

  const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
})
