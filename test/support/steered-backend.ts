import type { BackendError, BackendHealth, PinBackend } from '../../src/node/ports.ts'

/** A real backend whose calls can be held up and made to fail. */
export interface SteeredBackend extends PinBackend {
  /** `pin CID` and `unpin CID`, in the order of the calls. */
  readonly calls: string[]
  /** Addresses it was told of. */
  readonly reached: string[]
  /** Calls that are under way now, and the most there ever were. */
  readonly running: { now: number; most: number }
  /** From now on calls wait until the returned function lets them go. */
  hold(): () => void
  /** The next calls fail with this, until it is called without an error; only those of a name, where it is given. */
  failWith(error?: BackendError, only?: string): void
  /** What its health says from now on; undefined: what is so. */
  feign(health?: BackendHealth | Promise<BackendHealth>): void
}

/** Steers `real`; with `concurrency` calls at a time. */
export function steer(real: PinBackend, concurrency: number): SteeredBackend {
  let gate: Promise<void> = Promise.resolve()
  let failure: BackendError | undefined
  let failing: string | undefined
  let feigned: BackendHealth | Promise<BackendHealth> | undefined
  const calls: string[] = []
  const reached: string[] = []
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
      if (failure !== undefined && (failing ?? name) === name) throw failure
      return await work()
    } finally {
      running.now--
    }
  }
  return {
    ...real,
    concurrency,
    calls,
    reached,
    running,
    reach: (addresses) => void reached.push(...addresses),
    hold() {
      const { promise, resolve } = Promise.withResolvers<void>()
      gate = promise
      return resolve
    },
    failWith(error, only) {
      failure = error
      failing = only
    },
    feign(health) {
      feigned = health
    },
    pin: (cid, options) => guarded(`pin ${cid}`, options.signal, () => real.pin(cid, options)),
    unpin: (cid, options) => guarded(`unpin ${cid}`, options.signal, () => real.unpin(cid, options)),
    async health(): Promise<BackendHealth> {
      if (feigned !== undefined) return feigned
      return failure?.code === 'unavailable' && failing === undefined ? { ok: false, reason: failure.message } : real.health()
    }
  }
}
