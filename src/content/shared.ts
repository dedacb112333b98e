import { orAbort } from './abort.ts'

interface Job<T> {
  readonly result: Promise<T>
  readonly controller: AbortController
  callers: number
  ended: boolean
}

/**
 * Runs work once for all who ask for the same key at the same time. It is aborted when the last of them has gone,
 * and who comes after that starts it anew when it has ended.
 */
export function createShared<T>() {
  const jobs = new Map<string, Job<T>>()

  function begin(key: string, work: (signal: AbortSignal) => Promise<T>): Job<T> {
    const controller = new AbortController()
    const result = work(controller.signal).finally(() => {
      job.ended = true
      jobs.delete(key)
    })
    const job: Job<T> = { result, controller, callers: 0, ended: false }
    jobs.set(key, job)
    return job
  }

  const ended = (job: Job<T>): Promise<void> =>
    job.result.then(
      () => undefined,
      () => undefined
    )

  return {
    /**
     * The result of `work` for this key, or of the one that runs already. When the signal ends first it rejects with its
     * reason; for the last caller, once the aborted work has ended.
     */
    async run(key: string, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
      signal.throwIfAborted()
      for (let job = jobs.get(key); job?.controller.signal.aborted; job = jobs.get(key)) {
        await orAbort(ended(job), signal)
      }
      const job = jobs.get(key) ?? begin(key, work)
      job.callers += 1
      try {
        return await orAbort(job.result, signal)
      } finally {
        job.callers -= 1
        if (job.callers === 0 && !job.ended) {
          job.controller.abort(signal.reason)
          await ended(job)
        }
      }
    },

    /** Aborts what runs for a key and waits until it has ended. */
    async cancel(key: string, reason: unknown): Promise<void> {
      const job = jobs.get(key)
      if (job === undefined) return
      job.controller.abort(reason)
      await ended(job)
    },

    /** Waits until nothing runs any more. */
    async idle(): Promise<void> {
      while (jobs.size > 0) await Promise.allSettled([...jobs.values()].map((job) => job.result))
    },

    /** Aborts everything that runs; {@link idle} tells when it has ended. */
    cancelAll(reason: unknown): void {
      for (const job of jobs.values()) job.controller.abort(reason)
    }
  }
}
