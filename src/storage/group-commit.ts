import type { DatabaseSync } from 'node:sqlite'
import { inTransaction } from './open.ts'

/** After a commit of no more writes than this the next goes out at once: somebody waits for it alone. */
const FEW = 8

/** The pause after a larger commit, in times of what it took: a commit blocks the event loop, and shall not take more than a fifth of it. */
const PAUSE = 4

/** The longest pause, milliseconds. */
const MAX_PAUSE_MS = 50

/** Writes in one transaction: it bounds how long one commit holds up the event loop (about 10 ms). */
const MAX_BATCH = 1_000

interface Write {
  readonly work: () => void
  readonly resolve: () => void
  readonly reject: (err: unknown) => void
}

/**
 * Runs queued writes in the order of the calls, many in one transaction, since a durable commit costs the same for one
 * as for hundreds. While there are few they go out with what the event loop holds ready; while there are many a pause
 * gathers them. `onUndone` is called when a transaction was undone, before the next one begins.
 */
export function createGroupCommit(db: DatabaseSync, onUndone: () => void) {
  let queue: Write[] = []
  let scheduled = false
  let pause = 0
  let ended = 0

  function commit(): void {
    const batch = queue.splice(0, MAX_BATCH)
    if (batch.length === 0) return
    const began = performance.now()
    try {
      inTransaction(db, () => batch.forEach((write) => write.work()))
      batch.forEach((write) => write.resolve())
    } catch (err) {
      batch.forEach((write) => write.reject(err))
      onUndone()
    }
    ended = performance.now()
    pause = batch.length <= FEW ? 0 : Math.min(MAX_PAUSE_MS, PAUSE * (ended - began))
  }

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    const run = (): void => {
      scheduled = false
      commit()
      if (queue.length > 0) schedule()
    }
    const wait = pause - (performance.now() - ended)
    if (wait > 1) setTimeout(run, wait)
    else setImmediate(run)
  }

  /** Commits all that is queued now, before it returns. */
  function flush(): void {
    while (queue.length > 0) commit()
  }

  return {
    flush,

    /** Queues `work`; resolves when it is durable, rejects when its transaction was undone, with the others in it. */
    write(work: () => void): Promise<void> {
      return new Promise((resolve, reject) => {
        queue.push({ work, resolve, reject })
        schedule()
      })
    }
  }
}
