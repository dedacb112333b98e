/** Watches the backend: whether it answers, and whether it has room. The one place that asks for its health, so that nobody else has to. */
import type { Clock } from '../protocol/clock.ts'
import type { BackendError, BackendHealth, Log, PinBackend } from './ports.ts'

/** How often it asks; milliseconds. Waits are spread by a quarter to each side. */
export interface BackendWatchOptions {
  /** Between questions while it answers. */
  readonly upMs?: number
  /** Between questions while it does not. */
  readonly downMs?: number
  /** What takes longer to answer hangs. */
  readonly answerMs?: number
}

/** What the watch works with. */
export interface BackendWatchPorts {
  readonly backend: Pick<PinBackend, 'kind' | 'health'>
  readonly clock: Clock
  readonly log: Log
  /** A number in [0, 1). */
  random(): number
}

/** Why nothing can be done now. */
export interface Outage {
  readonly reason: string
  /** Milliseconds since the epoch. */
  readonly since: number
  /** Whether something answers that cannot be used (too old, no permission): no start of a daemon would change that. */
  readonly answers: boolean
}

/** How the backend is now. */
export interface BackendState {
  readonly down?: Outage
  /** Whether a pin waits for space. */
  readonly full: boolean
}

/**
 * What happened. `down`: it does not answer, or answers otherwise than before without being of use. `back`: it is of use again.
 * `sound`: a job had found it away, and it is there. `full`: something did not fit. `room`: while full, more is free than before.
 * `fits`: nothing waits for space any more.
 */
export type BackendChange = 'down' | 'back' | 'sound' | 'full' | 'room' | 'fits'

/** The watch. */
export interface BackendWatch {
  start(): void
  stop(): void
  /** Before the first answer it counts as up: a job that finds otherwise says so. */
  state(): BackendState
  /** The last answer; waits for the first. */
  health(): Promise<BackendHealth>
  /** Asks now. */
  ask(): Promise<BackendHealth>
  /** A job could not be done. `unavailable` counts as down until it was asked, `no-space` as full. */
  failed(error: BackendError): void
  /** Nothing waits for space any more. */
  fits(): void
  /** Calls `listener` at each change; the returned function ends that. */
  onChange(listener: (change: BackendChange) => void): () => void
}

/** A growth of free space that is worth a new try: less is the breathing of a disk in use. Bytes. */
const ROOM_BYTES = 1024 * 1024

/** Makes a watch; it asks nothing before {@link BackendWatch.start}. */
export function createBackendWatch(options: BackendWatchOptions, ports: BackendWatchPorts): BackendWatch {
  const { upMs = 5_000, downMs = 1_000, answerMs = 2_000 } = options
  const { backend, clock, log } = ports
  const name = backend.kind === 'kubo' ? 'Kubo' : 'the built-in storage'
  const listeners = new Set<(change: BackendChange) => void>()
  const first = Promise.withResolvers<void>()
  let last: BackendHealth | undefined
  let down: Outage | undefined
  /** Whether only a job said that it is down. */
  let isDoubt = false
  let fullSince: number | undefined
  let leastFree = Infinity
  let calling: Promise<BackendHealth> | undefined
  let asking: Promise<BackendHealth> | undefined
  let cancelNext = (): void => {}
  let started = false

  const tell = (change: BackendChange): void => listeners.forEach((listener) => listener(change))

  /** One call at a time: one that hangs may hold a thread of this process. */
  const call = (): Promise<BackendHealth> => (calling ??= backend.health().finally(() => (calling = undefined)))

  const answer = async (): Promise<BackendHealth> => {
    const { promise: late, resolve } = Promise.withResolvers<BackendHealth>()
    const cancel = clock.after(answerMs, () => resolve({ ok: false, reason: `no answer in ${answerMs / 1_000} s: does it hang?` }))
    try {
      return await Promise.race([call(), late])
    } finally {
      cancel()
    }
  }

  const ask = (): Promise<BackendHealth> =>
    (asking ??= answer().then((health) => {
      asking = undefined
      if (started) take(health)
      return health
    }))

  const take = (health: BackendHealth): void => {
    last = health
    cancelNext()
    cancelNext = clock.after((health.ok ? upMs : downMs) * (0.75 + ports.random() / 2), () => void ask())
    first.resolve()
    if (health.ok) {
      up()
      if (health.freeBytes !== undefined) space(health.freeBytes)
    } else {
      away(health.reason, health.answers === true)
    }
  }

  const up = (): void => {
    if (down === undefined) return
    const change = isDoubt ? 'sound' : 'back'
    if (change === 'back') log.info(`${name} is back after ${lasted(clock.now() - down.since)}: its jobs go on`)
    down = undefined
    isDoubt = false
    tell(change)
  }

  const away = (reason: string, answers: boolean): void => {
    const isNews = down === undefined || isDoubt || down.answers !== answers
    down = { reason, answers, since: down?.since ?? clock.now() }
    isDoubt = false
    if (!isNews) return
    log.warn(`${name} ${answers ? 'cannot be used' : 'is down'}, its jobs wait: ${reason}`)
    tell('down')
  }

  const space = (free: number): void => {
    if (fullSince === undefined) return
    const hasGrown = free >= leastFree + ROOM_BYTES
    leastFree = hasGrown ? free : Math.min(leastFree, free)
    if (hasGrown) tell('room')
  }

  return {
    start() {
      started = true
      void ask()
    },
    stop() {
      started = false
      cancelNext()
      last ??= { ok: false, reason: 'the agent stops' }
      first.resolve()
    },
    state: () => ({ ...(down === undefined ? {} : { down }), full: fullSince !== undefined }),
    health: async () => {
      await first.promise
      return last as BackendHealth
    },
    ask,
    failed({ code, message }) {
      if (!started) return
      if (code === 'unavailable' && down === undefined) {
        isDoubt = true
        down = { reason: message, answers: false, since: clock.now() }
        void ask()
      }
      if (code === 'no-space' && fullSince === undefined) {
        fullSince = clock.now()
        leastFree = Infinity
        log.warn(`${name} has no space left, what is to be pinned waits: unpin something or give it more room (${message})`)
        tell('full')
        void ask()
      }
    },
    fits() {
      if (fullSince === undefined) return
      log.info(`${name} has room again after ${lasted(clock.now() - fullSince)}: nothing waits for space any more`)
      fullSince = undefined
      tell('fits')
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    }
  }
}

function lasted(ms: number): string {
  return ms < 120_000 ? `${(ms / 1_000).toFixed(1)} s` : `${Math.round(ms / 60_000)} min`
}
