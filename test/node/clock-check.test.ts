import { describe, expect, test } from 'vitest'
import { createPresenceTable, type PresenceTable } from '../../src/network/presence-table.ts'
import { createClockCheck, type ClockCheck } from '../../src/node/clock-check.ts'
import type { Hlc } from '../../src/protocol/order.ts'
import type { Signer } from '../../src/protocol/signature.ts'
import { nodeIdOf, type NodeId } from '../../src/protocol/ssh-key.ts'
import { NETWORK } from '../network/helpers.ts'
import { presenceOf } from '../network/presences.ts'
import { author } from '../support/author.ts'
import { createManualClock, type ManualClock } from '../support/clock.ts'
import { keepLog } from '../support/log.ts'

const HOUR = 3_600_000
const [a, b, c, stranger] = ['a', 'b', 'c', 'stranger'].map(author) as [Signer, Signer, Signer, Signer]
const idOf = (signer: Signer): NodeId => nodeIdOf(signer.blob)

interface Bench {
  readonly clock: ManualClock
  readonly presence: PresenceTable
  readonly check: ClockCheck
  readonly said: readonly string[]
  turns: number
  newest: Hlc | undefined
  /** A node is heard whose clock is ahead of ours by `ahead`. */
  hear(signer: Signer, ahead: number): Promise<void>
}

function bench(known: readonly Signer[]): Bench {
  const clock = createManualClock()
  const presence = createPresenceTable({ network: NETWORK }, { clock })
  const log = keepLog()
  let sequence = 0
  const made: Bench = {
    clock,
    presence,
    said: log.lines,
    turns: 0,
    newest: undefined,
    check: createClockCheck({ knownNodes: new Set(known.map(idOf)) }, { presence, clock, log, newest: () => made.newest }),
    async hear(signer, ahead) {
      presence.offer(await presenceOf(signer, { sequence: ++sequence, time: clock.now() + ahead }))
    }
  }
  made.check.start(() => made.turns++)
  return made
}

describe('a clock that is off its known nodes', () => {
  test.each([
    [HOUR, "this machine's clock is 60 min behind the median of its known nodes: commands look as if from the future and are refused"],
    [-HOUR, "this machine's clock is 60 min ahead of the median of its known nodes: keys would expire too early"]
  ])('by %d ms is told of once, holds expiries back, and is told to be right again', async (ahead, words) => {
    const { check, said, hear } = bench([a, b])
    await hear(a, ahead)
    await hear(b, ahead)
    expect(check.offset()).toBe(ahead)
    expect([check.isOff(), check.mayExpire()]).toEqual([true, false])
    await hear(b, ahead)
    expect(said).toEqual([expect.stringContaining(words)])
    expect(said[0]).toMatch(/^warn .* and no pin expires here until it is right: set the clock \(timedatectl set-ntp true\)$/)

    await hear(a, 0)
    await hear(b, 3_000)
    expect([check.isOff(), check.mayExpire()]).toEqual([false, true])
    expect(said.slice(1)).toEqual([expect.stringMatching(/^info .*agrees with its known nodes again/)])
  })

  test('is not off because one of two is, and is off when most are', async () => {
    const { check, hear } = bench([a, b, c])
    await hear(a, 0)
    await hear(b, HOUR)
    expect([check.offset(), check.isOff(), check.mayExpire()]).toEqual([0, false, true])
    await hear(c, HOUR)
    expect([check.offset(), check.isOff(), check.mayExpire()]).toEqual([HOUR, true, false])
  })

  test('stays off when all known nodes fall silent', async () => {
    const { check, clock, hear } = bench([a])
    await hear(a, -HOUR)
    clock.advance(10 * HOUR)
    expect(check.offset()).toBeUndefined()
    expect([check.isOff(), check.mayExpire()]).toEqual([true, false])
  })
})

describe('strangers', () => {
  test('count for nothing, where nodes are known and where none are', async () => {
    for (const known of [[], [a]]) {
      const { check, clock, said, hear } = bench(known)
      if (known.length > 0) await hear(a, 0)
      await hear(stranger, HOUR)
      await hear(b, HOUR)
      clock.advance(5_000)
      expect([check.isOff(), check.mayExpire()]).toEqual([false, true])
      expect(said).toEqual([])
    }
  })
})

describe('expiries wait', () => {
  test('at the start until a known node is heard, at most two minutes', async () => {
    const heard = bench([a])
    expect(heard.check.mayExpire()).toBe(false)
    await heard.hear(a, 0)
    expect([heard.check.mayExpire(), heard.turns]).toEqual([true, 1])

    const alone = bench([a])
    alone.clock.advance(119_999)
    expect(alone.check.mayExpire()).toBe(false)
    alone.clock.advance(1)
    expect([alone.check.mayExpire(), alone.turns]).toEqual([true, 1])

    expect(bench([]).check.mayExpire()).toBe(true)
  })

  test('when the clock jumps, until a known node is heard by the new time', async () => {
    const steady = createManualClock()
    let ahead = 0
    const clock = { now: () => steady.now() + ahead, after: steady.after }
    const presence = createPresenceTable({ network: NETWORK }, { clock })
    const check = createClockCheck({ knownNodes: new Set([idOf(a)]) }, { presence, clock, log: keepLog(), newest: () => undefined })
    check.start(() => {})
    presence.offer(await presenceOf(a, { sequence: 1, time: steady.now() }))
    expect(check.mayExpire()).toBe(true)
    const before = clock.now()
    ahead = HOUR
    expect([check.mayExpire(), check.expiryNow(clock.now())]).toEqual([false, before])
    presence.offer(await presenceOf(a, { sequence: 2, time: steady.now() }))
    expect([check.mayExpire(), check.isOff()]).toEqual([false, true])
    ahead = 0
    presence.offer(await presenceOf(a, { sequence: 3, time: steady.now() }))
    expect([check.mayExpire(), check.isOff()]).toEqual([true, false])
    check.stop()
  })
})

describe('pins are judged', () => {
  test('by the clock while it is believed, and else no later than commands or known nodes prove', async () => {
    const made = bench([a])
    const { check, clock, hear } = made
    expect(check.expiryNow(clock.now())).toBe(clock.now())
    await hear(a, -HOUR)
    expect(check.expiryNow(clock.now())).toBe(0)
    made.newest = { ms: clock.now() - 5 * HOUR, counter: 3 }
    expect(check.expiryNow(clock.now())).toBe(clock.now() - 5 * HOUR)
    made.newest = { ms: clock.now() + HOUR, counter: 0 }
    expect(check.expiryNow(clock.now())).toBe(clock.now())

    await hear(a, 0)
    made.newest = { ms: 5, counter: 0 }
    const rightAt = clock.now()
    clock.advance(60_000)
    await hear(a, -HOUR)
    // What expired while the clock was right stays so.
    expect(check.expiryNow(clock.now())).toBe(rightAt)
  })
})

test('ends with what it started', async () => {
  const { check, clock, hear } = bench([a])
  await hear(a, 0)
  clock.advance(100_000)
  check.stop()
  expect(clock.pending()).toBe(0)
})

test('known nodes may come and go: the first is listened to, and the last takes its word with it', async () => {
  const clock = createManualClock()
  const presence = createPresenceTable({ network: NETWORK }, { clock })
  const known = new Set<NodeId>()
  const check = createClockCheck({ knownNodes: known }, { presence, clock, log: keepLog(), newest: () => undefined })
  check.start(() => {})
  expect([check.isOff(), check.mayExpire()]).toEqual([false, true])
  known.add(idOf(a))
  presence.offer(await presenceOf(a, { sequence: 1, time: clock.now() + HOUR }))
  expect([check.isOff(), check.mayExpire()]).toEqual([true, false])
  known.clear()
  clock.advance(2_000)
  expect([check.mayExpire(), check.isOff()]).toEqual([true, false])
})
