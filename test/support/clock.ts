import type { Clock } from '../../src/protocol/clock.ts'

/** A clock that stands still until told; timers run in order of their time when it is moved. */
export interface ManualClock extends Clock {
  /** Moves on by `ms`, running what is due on the way. */
  advance(ms: number): void
  /** Timers that wait. */
  pending(): number
}

/** The machine's clock, which can be put forward; its timers run in real time. */
export function createShiftedClock(): Clock & { shift(ms: number): void } {
  let ahead = 0
  return {
    now: () => Date.now() + ahead,
    after(ms, fn) {
      const timer = setTimeout(fn, ms)
      return () => clearTimeout(timer)
    },
    shift(ms) {
      ahead += ms
    }
  }
}

/** Makes a clock that shows `start` (milliseconds since the epoch). */
export function createManualClock(start = 1_700_000_000_000): ManualClock {
  let now = start
  let timers: { at: number; fn: () => void }[] = []
  return {
    now: () => now,
    after(ms, fn) {
      const timer = { at: now + Math.max(0, ms), fn }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    advance(ms) {
      const end = now + ms
      for (;;) {
        const next = timers.toSorted((a, b) => a.at - b.at).find(({ at }) => at <= end)
        if (next === undefined) break
        timers = timers.filter((timer) => timer !== next)
        now = Math.max(now, next.at)
        next.fn()
      }
      now = end
    },
    pending: () => timers.length
  }
}
