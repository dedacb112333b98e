/** Lets go of commands that hold no register any more, a while after they could last be asked about. */
import type { Clock } from '../protocol/clock.ts'
import { MAX_PASSED, PASSED_MS } from '../protocol/limits.ts'
import type { Log } from './ports.ts'
import type { SetChange } from './settle.ts'
import type { Store } from './store.ts'

/** How often it looks; milliseconds. */
const LOOK_MS = 600_000

/** It looks at once after as many commands passed: an author that repeats itself fills no disk between two looks. */
const MANY = 1_000

/** Commands removed in one transaction. */
const BATCH = 500

/** The keeper of the bound. */
export interface Retention {
  start(): void
  stop(): void
  /** What became durable. */
  apply(changes: readonly SetChange[]): void
}

/** Makes it. */
export function createRetention(ports: { readonly store: Store; readonly clock: Clock; readonly log: Log }): Retention {
  const { store, clock, log } = ports
  let started = false
  let passed = 0
  let cancel = (): void => {}

  const look = (): void => {
    passed = 0
    let removed = 0
    try {
      removed = store.transaction(() => store.forgetPassed(clock.now() - PASSED_MS, MAX_PASSED, BATCH))
    } catch (err) {
      log.warn(`cannot remove old commands, will try again: ${err instanceof Error ? err.message : String(err)}`)
    }
    schedule(removed === BATCH ? 0 : LOOK_MS)
  }

  const schedule = (delay: number): void => {
    cancel()
    if (started) cancel = clock.after(delay, look)
  }

  return {
    start() {
      started = true
      schedule(0)
    },
    stop() {
      started = false
      cancel()
    },
    apply(changes) {
      passed += changes.filter(({ kind }) => kind === 'left').length
      if (passed >= MANY) schedule(0)
    }
  }
}
