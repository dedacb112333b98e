/** Compares what the backend holds under our name with what the store says, at the start and now and then, and mends what differs. */
import { setImmediate as nextTurn } from 'node:timers/promises'
import { cidKey } from '../protocol/cid.ts'
import type { Clock } from '../protocol/clock.ts'
import type { StoredPin } from '../protocol/records.ts'
import type { BackendWatch } from './backend-watch.ts'
import { forgetPin } from './forget-pin.ts'
import { lookUp, type Found } from './look-up.ts'
import { BackendError, type Log, type PinBackend, type PinStat } from './ports.ts'
import { noChanges, type Changes, type Settler } from './settle.ts'
import type { Store } from './store.ts'

/** When it looks; milliseconds, each give or take a half. */
export interface ReconcileOptions {
  /** Between two runs. */
  readonly intervalMs?: number
  /** After a run that was cut short. */
  readonly retryMs?: number
  /** After the backend came back. */
  readonly backMs?: number
}

/** What it works with. */
export interface ReconcilePorts {
  readonly store: Store
  readonly settler: Settler
  readonly backend: Pick<PinBackend, 'kind' | 'list' | 'stat'>
  /** Runs before the reconciler starts. */
  readonly watch: Pick<BackendWatch, 'health' | 'state' | 'onChange' | 'failed'>
  readonly clock: Clock
  readonly log: Log
  /** A number in [0, 1). */
  random(): number
  /** Called after each durable step. */
  onChanges(changes: Changes): void
}

/** What a run found; numbers of CIDs. */
export interface Report {
  /** Pins that carry our name. */
  readonly listed: number
  /** Of these: let go of by commands, and removed now. */
  readonly removed: number
  /** Of these: no command holds them and none lets go of them, so they stay. */
  readonly unspoken: number
  /** Wanted, and gone: pinned again. */
  readonly again: number
  /** Kept for nobody, and gone. */
  readonly dropped: number
  /** Ours that the operator made theirs. */
  readonly claimed: number
}

/** The reconciler. */
export interface Reconciler {
  /** Runs as soon as the backend answers, again at intervals, and whenever the backend comes back. */
  start(): void
  /** Ends a run that is under way. */
  stop(): Promise<void>
  /** Runs now, or joins the run that is under way. Rejects where the backend does not answer; what was mended by then stays so. */
  run(): Promise<Report>
}

/** CIDs in one transaction: bounds how long others wait for the store. */
const BATCH = 500

/** Makes it; nothing is looked at before {@link Reconciler.start}. */
export function createReconciler(options: ReconcileOptions, ports: ReconcilePorts): Reconciler {
  const { intervalMs = 3_600_000, retryMs = 60_000, backMs = 10_000 } = options
  const { store, settler, backend, watch, clock, log } = ports
  const where = backend.kind === 'kubo' ? 'Kubo' : 'the built-in storage'
  const ended = new AbortController()
  let running: Promise<Report> | undefined
  let stopWatching = (): void => {}
  let cancel = (): void => {}
  let saidUnspoken = 0

  const work = async (signal: AbortSignal): Promise<Report> => {
    const began = clock.now()
    const listed = await list(signal)
    const report = { listed: listed.size, removed: 0, unspoken: 0, again: 0, dropped: 0, claimed: 0 }
    for (const keys of batches(listed.keys())) {
      await nextTurn()
      const stands = keys.map((cid) => ({ cid, stand: standing(cid, clock.now()) }))
      report.unspoken += stands.filter(({ stand }) => stand === 'unspoken').length
      const letGo = stands.flatMap(({ cid, stand }) => (stand === 'let go' ? [{ cid, spelled: listed.get(cid) as string }] : []))
      write(await lookUp(letGo, { backend, log, signal }), (pin, stat, now, changes) => {
        // The list may be older than the end of an unpin.
        if (stat?.foreign !== false || standing(pin.cid, now) !== 'let go') return
        log.debug(`${pin.cid} was let go of and is still in ${where}`)
        store.putJob({ ...pin, action: 'unpin', origins: [], nextAt: now })
        changes.cids.add(pin.cid)
        settler.settle(pin.cid, now, changes)
        report.removed += 1
      })
    }
    for (let page = store.pins('', BATCH); page.length > 0; page = store.pins((page.at(-1) as StoredPin).cid, BATCH)) {
      await nextTurn()
      const doubtful = page.filter((pin) => (pin.foreign || !listed.has(pin.cid)) && pin.pinnedAt < began && isIdle(pin))
      write(await lookUp(doubtful, { backend, log, signal }), (pin, stat, now, changes) => {
        if (!isIdle(pin)) return
        if (stat === undefined) {
          log.debug(`${pin.cid} is gone from ${where}`)
          report[forgetPin(store, settler, pin.cid, now, changes)] += 1
        } else if (stat.foreign !== pin.foreign) {
          store.putPin({ ...pin, foreign: stat.foreign })
          if (stat.foreign) report.claimed += 1
        }
      })
    }
    return report
  }

  const list = async (signal: AbortSignal): Promise<Map<string, string>> => {
    const listed = new Map<string, string>()
    for await (const cid of backend.list({ signal })) {
      listed.set(cidKey(cid), cid.toString())
      if (listed.size % BATCH === 0) await nextTurn()
      signal.throwIfAborted()
    }
    return listed
  }

  /** What the store says of a pin that is listed. It goes on evidence alone: in each pinset that speaks of it the last word lets it go. */
  const standing = (cid: string, now: number): 'held' | 'let go' | 'unspoken' => {
    if (store.holds(cid).length > 0 || store.job(cid) !== undefined) return 'held'
    const pinsets = new Set(store.registers(cid).map(({ pinset }) => pinset))
    const views = settler.view(cid, now)
    if (views.some(({ want }) => want === 'pin')) return 'held'
    return pinsets.size > 0 && views.length === pinsets.size ? 'let go' : 'unspoken'
  }

  /** Whether nothing has happened to a pin since its row was read, and nothing is about to. */
  const isIdle = ({ cid, pinnedAt, foreign }: StoredPin): boolean => {
    const row = store.pin(cid)
    return row?.pinnedAt === pinnedAt && row.foreign === foreign && store.job(cid) === undefined
  }

  const write = <T>(found: readonly Found<T>[], step: (pin: T, stat: PinStat | undefined, at: number, changes: Changes) => void): void => {
    if (found.length === 0) return
    const changes = noChanges()
    const now = clock.now()
    store.transaction(() => found.forEach(({ pin, stat }) => step(pin, stat, now, changes)))
    ports.onChanges(changes)
  }

  const tell = ({ removed, unspoken, again, dropped, claimed }: Report): void => {
    const pins = (n: number, one: string, many: string): string => (n === 1 ? `1 pin ${one}` : `${n} pins ${many}`)
    if (again > 0) log.warn(`${pins(again, 'was', 'were')} gone from ${where}: fetched again`)
    if (dropped > 0) log.warn(`${pins(dropped, 'was', 'were')} gone from ${where} that no command wants: not fetched again`)
    if (removed > 0) log.warn(`${pins(removed, 'was', 'were')} still in ${where} that commands had let go of: removed`)
    if (claimed > 0) log.warn(`${pins(claimed, 'carries', 'carry')} our name in ${where} no more: left to its operator`)
    if (unspoken > 0 && unspoken !== saidUnspoken) {
      log.warn(
        `${pins(unspoken, 'carries', 'carry')} our name in ${where} and no command speaks of ${unspoken === 1 ? 'it: it stays' : 'them: they stay'}`
      )
    }
    saidUnspoken = unspoken
  }

  const run = (): Promise<Report> =>
    (running ??= work(ended.signal)
      .then((report) => {
        tell(report)
        return report
      })
      .finally(() => (running = undefined)))

  const runAndPlan = async (): Promise<void> => {
    cancel()
    try {
      await run()
      plan(intervalMs)
    } catch (err) {
      if (ended.signal.aborted) return
      log.debug(`cannot compare with ${where}, will try again: ${err instanceof Error ? err.message : String(err)}`)
      if (err instanceof BackendError) watch.failed(err)
      plan(retryMs)
    }
  }

  /** Runs later, unless the backend is away then: its return is another reason to run. */
  const plan = (ms: number): void => {
    cancel()
    if (ended.signal.aborted) return
    cancel = clock.after(ms * (0.5 + ports.random()), () => {
      if (watch.state().down === undefined) void runAndPlan()
      else plan(retryMs)
    })
  }

  return {
    start() {
      stopWatching = watch.onChange((change) => {
        if (change === 'back') plan(backMs)
      })
      void watch.health().then((health) => {
        if (health.ok && !ended.signal.aborted) void runAndPlan()
      })
    },
    async stop() {
      ended.abort(new DOMException('the agent stops', 'AbortError'))
      stopWatching()
      cancel()
      await running?.catch(() => undefined)
    },
    run
  }
}

function* batches<T>(items: Iterable<T>): Generator<T[]> {
  let batch: T[] = []
  for (const item of items) {
    if (batch.push(item) < BATCH) continue
    yield batch
    batch = []
  }
  if (batch.length > 0) yield batch
}
