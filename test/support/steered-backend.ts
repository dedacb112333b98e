import type { BackendError, BackendHealth, PinBackend } from '../../src/node/ports.ts'

/** A real backend whose calls can be held up and made to fail. */
export interface SteeredBackend extends PinBackend {
  /** `pin CID` and `unpin CID`, in the order of the calls. */
  readonly calls: string[]
  /** Calls that are under way now, and the most there ever were. */
  readonly running: { now: number; most: number }
  /** From now on calls wait until the returned function lets them go. */
  hold(): () => void
  /** The next calls fail with this, until it is called without an error. */
  failWith(error?: BackendError): void
}

/** Steers `real`; with `concurrency` calls at a time. */
export function steer(real: PinBackend, concurrency: number): SteeredBackend {
  let gate: Promise<void> = Promise.resolve()
  let failure: BackendError | undefined
  const calls: string[] = []
  const running = { now: 0, most: 0 }
  const guarded = async <T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> => {
    calls.push(name)
    running.most = Math.max(running.most, ++running.now)
    try {
      const aborted = new Promise<never>((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
      )
      aborted.catch(() => {})
      await Promise.race([gate, aborted])
      if (failure !== undefined) throw failure
      return await work()
    } finally {
      running.now--
    }
  }
  return {
    ...real,
    concurrency,
    calls,
    running,
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>()
      gate = promise
      return resolve
    },
    failWith(error) {
      failure = error
    },
    pin: (cid, options) => guarded(`pin ${cid}`, options.signal, () => real.pin(cid, options)),
    unpin: (cid, options) => guarded(`unpin ${cid}`, options.signal, () => real.unpin(cid, options)),
    health: async (): Promise<BackendHealth> => (failure?.code === 'unavailable' ? { ok: false, reason: failure.message } : real.health())
  }
}
