import { expect, test } from 'vitest'
import { createLinkGuard } from '../../src/network/link-guard.ts'
import {
  MAX_USELESS_BACKLOG,
  MAX_USELESS_BURST,
  MAX_USELESS_PER_SECOND,
  MAX_WATCHED_PEERS,
  USELESS_OWN_COST
} from '../../src/protocol/limits.ts'
import { createTestClock } from './helpers.ts'

function createGuarded(known: readonly string[] = []) {
  const clock = createTestClock()
  const cut: string[] = []
  const guard = createLinkGuard({ clock, isKnown: (peer) => known.includes(peer), shun: (peer) => cut.push(peer) })
  /** Useless messages of one peer, evenly, for so long; how many of them were not looked at. */
  const run = (perSecond: number, seconds: number, isOwn: boolean, peer = 'peer'): number => {
    let unread = 0
    for (let i = 0; i < seconds * 10 && !cut.includes(peer); i++) {
      for (let n = 0; n < perSecond / 10; n++) {
        if (!guard.reads(peer)) unread++
        guard.useless(peer, isOwn)
      }
      clock.advance(100)
    }
    return unread
  }
  return { guard, clock, cut, run }
}

test('a peer that forwards all that a mesh carries, of no use here, is listened to for an hour', () => {
  const { run, cut } = createGuarded()
  expect(run(MAX_USELESS_PER_SECOND, 3_600, false)).toBe(0)
  expect(run(MAX_USELESS_PER_SECOND / USELESS_OWN_COST, 3_600, true, 'other')).toBe(0)
  expect(cut).toEqual([])
})

test('what comes at once after a pause is looked at, more is dropped, and the peer stays', () => {
  const { run, cut, guard, clock } = createGuarded()
  for (let i = 0; i < 1_500; i++) guard.useless('peer', false)
  expect(guard.reads('peer')).toBe(false)
  // Goes on as busily as before.
  run(MAX_USELESS_PER_SECOND, 60, false)
  expect(cut).toEqual([])
  clock.advance(2_000)
  expect(guard.reads('peer')).toBe(true)
  expect(guard.reads('other')).toBe(true)
})

test('500 a second are too much: dropped unread first, then the link ends', () => {
  for (const isOwn of [true, false]) {
    const { run, cut, clock } = createGuarded()
    const begun = clock.now()
    expect(run(500, 20, isOwn)).toBeGreaterThan(0)
    expect(cut).toEqual(['peer'])
    expect(clock.now() - begun).toBeLessThan(isOwn ? 3_500 : 17_000)
  }
})

test('a known node is not cut off, and is read again once it says less', () => {
  const { run, cut, guard, clock } = createGuarded(['peer'])
  expect(run(1_000, 60, true)).toBeGreaterThan(0)
  expect(guard.reads('peer')).toBe(false)
  guard.cut('peer')
  expect(cut).toEqual([])
  clock.advance((MAX_USELESS_BACKLOG - MAX_USELESS_BURST) * (1_000 / MAX_USELESS_PER_SECOND) + 1)
  expect(guard.reads('peer')).toBe(true)
})

test('strangers that come and go cost no memory: the oldest are forgotten', () => {
  const { guard } = createGuarded()
  const fill = (peer: string): void => {
    for (let i = 0; i < MAX_USELESS_BURST; i++) guard.useless(peer, false)
  }
  fill('first')
  fill('second')
  for (let i = 0; i < MAX_WATCHED_PEERS - 1; i++) guard.useless(`peer ${i}`, false)
  expect(guard.reads('first')).toBe(true)
  expect(guard.reads('second')).toBe(false)
})
