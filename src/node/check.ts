/** Looks into the storage for what the store calls pinned, when somebody asks, and has fetched again what is short. */
import { CID } from 'multiformats/cid'
import { createShared } from '../content/shared.ts'
import { createSlots } from '../content/slots.ts'
import type { Clock } from '../protocol/clock.ts'
import type { CheckResult } from '../protocol/query.ts'
import type { StoredPin } from '../protocol/records.ts'
import type { BackendWatch } from './backend-watch.ts'
import { forgetPin } from './forget-pin.ts'
import type { Log, PinBackend } from './ports.ts'
import { noChanges, type Changes, type Settler } from './settle.ts'
import type { Store } from './store.ts'

/** On whose behalf it is looked: a sender is a stranger too, whatever it may command. */
export type Asker = 'known' | 'stranger'

/** The looker. */
export interface Checker {
  /**
   * Reads all of a pin (by its key) and tells what it found: `missing` and `damaged` are being fetched again by then, if anybody wants
   * them; `unknown` where the storage could not be asked. Undefined where there is nothing to look for: it is not pinned, or a job is
   * at it. Waits its turn, longer for a stranger; rejects with the signal's reason.
   */
  check(cid: string, by: Asker, signal: AbortSignal): Promise<CheckResult | undefined>
  /** Ends what is under way; every later check rejects. */
  stop(): void
}

/** Pins read at a time, for all who ask: the disk has other things to do. */
const AT_A_TIME = 4

/** Of these for all strangers together, who rest after each for as long as it took: they get one disk reader's time, however many they are. */
const STRANGERS_AT_A_TIME = 2

/** What is found short within this time is told in one line of the log; milliseconds. */
const GATHER_MS = 1_000

/** Makes it. Equal checks at a time share the work. */
export function createChecker(ports: {
  readonly store: Store
  readonly settler: Settler
  readonly backend: Pick<PinBackend, 'kind' | 'check' | 'stat'>
  readonly watch: Pick<BackendWatch, 'state'>
  readonly clock: Clock
  readonly log: Log
  onChanges(changes: Changes): void
}): Checker {
  const { store, settler, backend, watch, clock, log } = ports
  const where = backend.kind === 'kubo' ? 'Kubo' : 'the built-in storage'
  const slots = createSlots(AT_A_TIME)
  const strangers = createSlots(STRANGERS_AT_A_TIME)
  const shared = createShared<CheckResult | undefined>()
  const ended = new AbortController()
  let short = 0
  let cancelTell: (() => void) | undefined

  const look = async (cid: string, signal: AbortSignal): Promise<CheckResult | undefined> => {
    const release = await slots.acquire(signal)
    try {
      const pin = store.pin(cid)
      if (pin === undefined || store.job(cid) !== undefined) return undefined
      if (watch.state().down !== undefined) return 'unknown'
      const spelled = CID.parse(pin.spelled)
      const found = await backend.check(spelled, { signal })
      if (found === 'held') return found
      const isGone = found === 'missing' && (await backend.stat(spelled, { signal })) === undefined
      return repair(pin, isGone) ? found : undefined
    } catch (err) {
      signal.throwIfAborted()
      log.debug(`cannot check ${cid}: ${err instanceof Error ? err.message : String(err)}`)
      return 'unknown'
    } finally {
      release()
    }
  }

  const lookSlowly = async (cid: string, signal: AbortSignal): Promise<CheckResult | undefined> => {
    const release = await strangers.acquire(signal)
    const began = clock.now()
    try {
      return await look(cid, signal)
    } finally {
      clock.after(Math.max(0, clock.now() - began), release)
    }
  }

  /** Whether the finding still holds: the pin may have been dealt with while it was read. */
  const repair = (pin: StoredPin, isGone: boolean): boolean => {
    const { cid, pinnedAt } = pin
    const now = clock.now()
    const changes = noChanges()
    const holds = store.transaction(() => {
      if (store.pin(cid)?.pinnedAt !== pinnedAt || store.job(cid) !== undefined) return false
      // What nobody wants would not be fetched again: what is left of it stays.
      if (isGone || settler.view(cid, now).some(({ want }) => want === 'pin')) forgetPin(store, settler, cid, now, changes)
      return true
    })
    if (!holds) return false
    log.debug(`${cid} is short in ${where}`)
    short += 1
    cancelTell ??= clock.after(GATHER_MS, tell)
    ports.onChanges(changes)
    return true
  }

  const tell = (): void => {
    cancelTell = undefined
    // Kubo keeps the bytes that it has, also when it pins again.
    const hint = backend.kind === 'kubo' ? ' ("ipfs repo verify --heal" mends what is damaged)' : ''
    log.warn(`a check found ${short} ${short === 1 ? 'pin' : 'pins'} gone or damaged in ${where}: what is wanted is fetched again${hint}`)
    short = 0
  }

  return {
    check(cid, by, signal) {
      const either = AbortSignal.any([signal, ended.signal])
      return shared.run(cid, either, (all) => (by === 'known' ? look(cid, all) : lookSlowly(cid, all)))
    },
    stop() {
      ended.abort(new DOMException('the agent stops', 'AbortError'))
      cancelTell?.()
    }
  }
}
