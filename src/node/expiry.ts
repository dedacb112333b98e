/** Lets pins go when their time is up. */
import type { Clock } from '../protocol/clock.ts'
import type { Log } from './ports.ts'
import { noChanges, type Changes, type Settler } from './settle.ts'
import type { Store } from './store.ts'

/** Timers of JavaScript end at 2^31 ms; looking once an hour costs nothing. */
const LOOK_MS = 3_600_000

/** After a failed write, a full disk most likely, it is tried again this much later. */
const RETRY_MS = 60_000

/** CIDs settled in one transaction: bounds how long others wait for the store. */
const BATCH = 500

/** The watcher of expiries. */
export interface Expiry {
  start(): void
  stop(): void
  /** A pin that expires may have come, or pins may expire again. */
  changed(): void
}

/** Makes the watcher; `onChanges` is called after each durable step. While pins may not expire it looks at nothing. */
export function createExpiry(ports: {
  readonly store: Store
  readonly settler: Settler
  readonly clock: Clock
  readonly log: Log
  /** Whether the clock can be believed. */
  mayExpire(): boolean
  onChanges(changes: Changes): void
}): Expiry {
  const { store, settler, clock, log } = ports
  let lookedAt = 0
  let cancel: (() => void) | undefined

  const look = (): void => {
    if (!ports.mayExpire()) {
      lookLater(LOOK_MS)
      return
    }
    const now = clock.now()
    const due = store.expiring(lookedAt, now)
    try {
      for (let at = 0; at < due.length; at += BATCH) {
        const changes = noChanges()
        store.transaction(() => due.slice(at, at + BATCH).forEach((cid) => settler.settle(cid, now, changes)))
        ports.onChanges(changes)
      }
    } catch (err) {
      log.warn(`cannot write which pins expired, will look again: ${err instanceof Error ? err.message : String(err)}`)
      lookLater(RETRY_MS)
      return
    }
    lookedAt = now
    schedule()
  }

  const schedule = (): void => {
    const next = store.nextExpiry(lookedAt) ?? Infinity
    lookLater(Math.min(LOOK_MS, Math.max(0, next - clock.now())))
  }

  const lookLater = (ms: number): void => {
    cancel?.()
    cancel = clock.after(ms, look)
  }

  return {
    start: look,
    stop() {
      cancel?.()
      cancel = undefined
    },
    changed() {
      if (cancel !== undefined) schedule()
    }
  }
}
