/**
 * Does the jobs: a bounded number at a time, fresh ones before retried ones, and each until it is done or replaced. While the backend is
 * down nothing starts; what finds it away or full waits, and has not failed.
 */
import { CID } from 'multiformats/cid'
import type { FailureCode } from '../protocol/ack.ts'
import type { Clock } from '../protocol/clock.ts'
import type { Job } from '../protocol/records.ts'
import type { BackendChange, BackendWatch } from './backend-watch.ts'
import type { Caps } from './caps.ts'
import { BackendError, type Log, type PinBackend, type PinStat } from './ports.ts'
import { noChanges, type Changes, type Settler } from './settle.ts'
import type { Store } from './store.ts'

/** How patient the queue is; milliseconds. */
export interface PinQueueOptions {
  /** A try ends when no byte came for this long. */
  readonly stallMs?: number
  /** The wait after the first failure; doubles with each, with up to half of it added at random. */
  readonly retryMs?: number
  /** The longest wait between tries. */
  readonly retryMaxMs?: number
}

/** What the queue works with. */
export interface PinQueuePorts {
  readonly store: Store
  readonly settler: Settler
  readonly caps: Caps
  readonly backend: PinBackend
  /** Runs before the queue starts. */
  readonly watch: BackendWatch
  readonly clock: Clock
  readonly log: Log
  /** A number in [0, 1). */
  random(): number
  /** Called after each durable step. */
  onChanges(changes: Changes): void
  /** Called when a running pin has come further; often. */
  onProgress(cid: string): void
}

/** The queue. */
export interface PinQueue {
  start(): void
  /** Aborts what runs; its jobs stay and start again with the next start. */
  stop(): Promise<void>
  /** Looks for work, and gives up running jobs among `cids` that were replaced. */
  changed(cids: Iterable<string>): void
  /** Bytes fetched by a running pin; undefined when none runs for the CID. */
  progress(cid: string): number | undefined
}

/** While more jobs than this run, outcomes are gathered for {@link GATHER_MS} before they are written: a commit blocks the event loop. */
const FEW = 4
const GATHER_MS = 25

/** Jobs read from the store at a time. */
const READ_AHEAD = 256

/** Unpins make room one after the other: what waits for it is tried again once for all of this time. */
const ROOM_MS = 1_000

interface Run {
  readonly job: Job
  readonly abort: AbortController
  bytes: number
  readonly ended: Promise<void>
}

interface Outcome {
  readonly job: Job
  readonly stat?: PinStat
  readonly failure?: FailureCode
}

/** Makes a queue; nothing runs before {@link PinQueue.start}. */
export function createPinQueue(options: PinQueueOptions, ports: PinQueuePorts): PinQueue {
  const { stallMs = 120_000, retryMs = 5_000, retryMaxMs = 3_600_000 } = options
  const { store, settler, caps, backend, watch, clock, log } = ports
  const running = new Map<string, Run>()
  let outcomes: Outcome[] = []
  let ready: Job[] = []
  let isRead = false
  let started = false
  let cancelTimer = (): void => {}
  let cancelCommit: (() => void) | undefined
  let cancelRoom: (() => void) | undefined
  let stopWatching = (): void => {}

  const fill = (): void => {
    cancelTimer()
    if (!started || watch.state().down !== undefined) return
    const now = clock.now()
    while (running.size < backend.concurrency) {
      const job = nextReady(now)
      if (job === undefined) break
      launch(job)
    }
    if (ready.length > 0) return
    const next = store.nextDue()
    if (next !== undefined && next > now) cancelTimer = clock.after(next - now, look)
  }

  /** Reads the jobs anew, then fills. */
  const look = (): void => {
    ready = []
    isRead = false
    fill()
  }

  /** The next job that is due and not under way. The rows are read many at a time, and again when there may be others. */
  const nextReady = (now: number): Job | undefined => {
    for (;;) {
      if (ready.length === 0) {
        if (isRead) return undefined
        const busy = new Set([...running.keys(), ...outcomes.map(({ job }) => job.cid)])
        ready = readDue(now, READ_AHEAD + busy.size).filter(({ cid }) => !busy.has(cid))
        isRead = ready.length === 0
        if (isRead) return undefined
      }
      const job = ready.shift() as Job
      if (!running.has(job.cid) && store.job(job.cid)?.id === job.id) return job
    }
  }

  /** What makes room goes before all that needs it, while there is none. */
  const readDue = (now: number, limit: number): readonly Job[] => {
    const jobs = store.dueJobs(now, limit)
    if (!watch.state().full) return jobs
    return [...store.dueJobs(now, limit, 'unpin'), ...jobs.filter(({ action }) => action === 'pin')]
  }

  const launch = (job: Job): void => {
    const abort = new AbortController()
    const run: Run = { job, abort, bytes: 0, ended: Promise.resolve() }
    running.set(job.cid, run)
    Object.assign(run, { ended: work(run) })
  }

  const work = async (run: Run): Promise<void> => {
    const { job, abort } = run
    let cancelStall = (): void => {}
    let moves = 0
    const expectProgress = (): void => {
      const move = ++moves
      cancelStall()
      cancelStall = clock.after(stallMs, () => void stalled(move))
    }
    /** A daemon that hangs moves nothing either: that is no fault of the content. */
    const stalled = async (move: number): Promise<void> => {
      const health = await watch.ask()
      if (move !== moves) return
      abort.abort(
        health.ok ? new BackendError('timeout', `no progress in ${stallMs / 1000} s`) : new BackendError('unavailable', health.reason)
      )
    }
    expectProgress()
    try {
      const cid = CID.parse(job.spelled)
      if (job.action === 'unpin') {
        await backend.unpin(cid, { signal: abort.signal })
        finish({ job })
      } else {
        const onProgress = ({ bytes }: { bytes: number }): void => {
          run.bytes = bytes
          expectProgress()
          ports.onProgress(job.cid)
          if (!abort.signal.aborted && caps.fetched(job.cid, bytes)) stopBeyond(job.cid)
        }
        finish({ job, stat: await backend.pin(cid, { signal: abort.signal, origins: job.origins, onProgress }) })
      }
    } catch (err) {
      const failed = abort.signal.aborted ? (abort.signal.reason as unknown) : err
      if (failed instanceof BackendError) fail(job, failed)
      else if (!abort.signal.aborted) fail(job, new BackendError('failed', failed instanceof Error ? failed.message : String(failed)))
    } finally {
      moves = 0
      cancelStall()
      running.delete(job.cid)
      if (abort.signal.aborted) {
        caps.ended(job.cid)
        // What was given up has its row, or another in its place, that was passed over while it ran.
        look()
      } else fill()
    }
  }

  /** A running pin has come further than a cap of those who want it: it is stopped, unless others want it, too. */
  const stopBeyond = (cid: string): void => {
    const changes = noChanges()
    try {
      store.transaction(() => settler.settle(cid, clock.now(), changes))
    } catch (err) {
      // A full disk: with its next bytes it is tried again.
      log.debug(`cannot write that ${cid} is beyond a cap: ${err instanceof Error ? err.message : String(err)}`)
      return
    }
    ports.onChanges(changes)
  }

  const fail = (job: Job, error: BackendError): void => {
    log.debug(`${job.action} ${job.cid}: ${error.message}`)
    watch.failed(error)
    finish({ job, failure: error.code })
  }

  const finish = (outcome: Outcome): void => {
    outcomes.push(outcome)
    // One that ran alone is written at once; while many run, what ends about the same time shares one commit.
    if (outcomes.length >= backend.concurrency) {
      // A crash would have it all done again.
      cancelCommit?.()
      cancelCommit = clock.after(0, commit)
    } else cancelCommit ??= clock.after(running.size > FEW ? GATHER_MS : 0, commit)
  }

  const commit = (): void => {
    cancelCommit = undefined
    const batch = outcomes
    outcomes = []
    if (batch.length === 0) return
    const now = clock.now()
    const changes = noChanges()
    try {
      store.transaction(() => {
        for (const outcome of batch) {
          record(outcome, now, changes)
          caps.ended(outcome.job.cid)
        }
      })
    } catch (err) {
      for (const { job } of batch) caps.ended(job.cid)
      // A full disk or a lock: the jobs are still rows, and repeating them is harmless.
      log.warn(`cannot write what was done, will do it again: ${err instanceof Error ? err.message : String(err)}`)
      cancelTimer()
      cancelTimer = clock.after(retryMs, look)
      return
    }
    if (started && watch.state().full) seeRoom(batch)
    ports.onChanges(changes)
    fill()
  }

  /** An unpin, or a pin that had waited for space and found it, is a reason to try the others. */
  const seeRoom = (batch: readonly Outcome[]): void => {
    if (!store.isPutOff('no-space')) watch.fits()
    else if (batch.some(({ job, failure }) => failure === undefined && (job.action === 'unpin' || job.code === 'no-space'))) {
      cancelRoom ??= clock.after(ROOM_MS, hasten)
    }
  }

  /** Tries what waited for the backend now. */
  const hasten = (): void => {
    cancelRoom?.()
    cancelRoom = undefined
    const now = clock.now()
    try {
      store.hastenJobs('unavailable', now)
      store.hastenJobs('no-space', now)
    } catch (err) {
      // A full disk: each is tried when its own wait is over.
      log.debug(`cannot bring forward what waits: ${err instanceof Error ? err.message : String(err)}`)
    }
    look()
  }

  const onBackend = (change: BackendChange): void => {
    // What ran while the daemon hung may have lost the peers it was told of.
    if (change === 'back') for (const { job } of running.values()) backend.reach(job.origins)
    if (change === 'back' || change === 'room') hasten()
    else if (change === 'sound') look()
  }

  const record = ({ job, stat, failure }: Outcome, now: number, changes: Changes): void => {
    if (isReplaced(job)) return
    const bytes = stat?.bytes ?? 0
    if (stat !== undefined && caps.fetched(job.cid, bytes)) {
      settler.settle(job.cid, now, changes)
      if (isReplaced(job)) return
    }
    if (failure !== undefined) {
      const attempt = job.attempt + 1
      const wait = Math.min(retryMs * 2 ** (attempt - 1), retryMaxMs) * (1 + ports.random() / 2)
      store.retryJob(job.id, attempt, failure, Math.ceil(now + wait))
    } else {
      store.removeJob(job.cid)
      if (job.action === 'unpin') store.removePin(job.cid)
      else store.putPin({ cid: job.cid, spelled: job.spelled, bytes, foreign: stat?.foreign ?? false, pinnedAt: now })
    }
    settler.settle(job.cid, now, changes)
  }

  const isReplaced = ({ cid, id }: Job): boolean => store.job(cid)?.id !== id

  return {
    start() {
      started = true
      stopWatching = watch.onChange(onBackend)
      // What waited for the daemon, or for space, when the agent ended: both may be there by now.
      hasten()
    },
    async stop() {
      started = false
      stopWatching()
      cancelTimer()
      cancelRoom?.()
      for (const { abort } of running.values()) abort.abort(new DOMException('the agent stops', 'AbortError'))
      await Promise.all([...running.values()].map(({ ended }) => ended))
      cancelCommit?.()
      commit()
    },
    changed(cids) {
      let isChanged = false
      for (const cid of cids) {
        const run = running.get(cid)
        if (run !== undefined && isReplaced(run.job)) run.abort.abort(new DOMException('replaced', 'AbortError'))
        isChanged = true
      }
      if (isChanged) look()
    },
    progress: (cid) => running.get(cid)?.bytes
  }
}
