import type { Clock } from '../protocol/clock.ts'

/** The machine's clock. Its timers never keep a program alive that has nothing else to do. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after: (ms, fn) => {
    // The shortest timer takes a millisecond, and a pin would wait for several of them.
    if (ms <= 0) {
      const immediate = setImmediate(fn)
      return () => clearImmediate(immediate)
    }
    const timer = setTimeout(fn, ms)
    timer.unref()
    return () => clearTimeout(timer)
  }
}
