/** Whether this machine's clock can be believed: it is measured by those of its known nodes, and while it is off nothing expires. */
import type { PresenceTable } from '../network/presence-table.ts'
import type { Clock } from '../protocol/clock.ts'
import { isOff, medianOffset, offsetOf, sayOffset } from '../protocol/clock-offset.ts'
import type { Hlc } from '../protocol/order.ts'
import type { KnownNodes } from './known-nodes.ts'
import type { Log } from './ports.ts'

/** The watcher of the clock. */
export interface ClockCheck {
  /** Calls `onTurn` whenever the answer of {@link ClockCheck.isOff} or {@link ClockCheck.mayExpire} changed. */
  start(onTurn: () => void): void
  stop(): void
  /** By how much the clocks of known nodes are ahead of this one, milliseconds, their median; undefined where none is heard. */
  offset(): number | undefined
  /** Whether it is off by more than commands may be ahead. Stays as it was while no known node is heard. */
  isOff(): boolean
  /** Whether it is time to look what expired: not while the clock is off, nor before a known node was heard or waited for. */
  mayExpire(): boolean
  /** By which time pins are judged at `now`: while the clock is not believed, no later than commands or known nodes prove. */
  expiryNow(now: number): number
}

/** What it needs. */
export interface ClockCheckPorts {
  readonly presence: Pick<PresenceTable, 'all' | 'onChange'>
  readonly clock: Clock
  readonly log: Log
  /** The newest time in any stored command. */
  newest(): Hlc | undefined
}

/** How long known nodes are waited for, at the start and when all fell silent at once, as when the clock jumps; milliseconds. */
const WAIT_MS = 120_000

/** Between two looks of who asks often; a clock that jumped is looked at at once. Milliseconds. */
const LOOK_MS = 1_000

/** Makes it. Where no node is known the clock is believed: a stranger's word must not keep pins from expiring. */
export function createClockCheck(options: { readonly knownNodes: Pick<KnownNodes, 'has' | 'size'> }, ports: ClockCheckPorts): ClockCheck {
  const { knownNodes } = options
  const { presence, clock, log } = ports
  let off = false
  /** `heard`: a known node is there; `waiting`: for one; `alone`: none came, and what was found last holds. */
  let company: 'heard' | 'waiting' | 'alone' = knownNodes.size === 0 ? 'alone' : 'waiting'
  /** When the clock was found right last. */
  let rightAt = 0
  let lookedAt = -Infinity
  let cancelWait: (() => void) | undefined
  let unwatch: (() => void) | undefined
  let onTurn = (): void => {}

  const offset = (): number | undefined => {
    const heard = presence.all().filter(({ online, presence: { node } }) => online && knownNodes.has(node))
    return medianOffset(heard.map(({ presence: { time }, heardAt }) => offsetOf({ time, heardAt })))
  }

  const wait = (): void => {
    company = 'waiting'
    cancelWait?.()
    cancelWait = clock.after(WAIT_MS, () => {
      cancelWait = undefined
      company = 'alone'
      onTurn()
    })
  }

  const judge = (median: number): void => {
    const wasOff = off
    off = isOff(median)
    if (!off) rightAt = clock.now()
    if (off && !wasOff) {
      const harm = median > 0 ? 'commands look as if from the future and are refused' : 'keys would expire too early'
      log.warn(
        `this machine's clock is ${sayOffset(-median, 'the median of its known nodes')}: ${harm}, and no pin expires here until it is right: set the clock (timedatectl set-ntp true)`
      )
    } else if (wasOff && !off) log.info("this machine's clock agrees with its known nodes again: pins expire as they should")
  }

  /** The last known node is known no more: what it said of the clock goes with it. */
  const forget = (): void => {
    off = false
    company = 'alone'
    cancelWait?.()
    cancelWait = undefined
  }

  const look = (): void => {
    lookedAt = clock.now()
    const before = [off, company === 'waiting']
    if (knownNodes.size === 0) forget()
    const median = offset()
    if (median !== undefined) {
      company = 'heard'
      cancelWait?.()
      cancelWait = undefined
      judge(median)
    } else if (company === 'heard') wait()
    if (before[0] !== off || before[1] !== (company === 'waiting')) onTurn()
  }

  const lookAtTimes = (): void => {
    if (Math.abs(clock.now() - lookedAt) > LOOK_MS) look()
  }

  return {
    start(listener) {
      onTurn = listener
      if (company === 'alone' && knownNodes.size > 0) company = 'waiting'
      unwatch = presence.onChange((node) => {
        if (knownNodes.has(node)) look()
      })
      if (company === 'waiting') wait()
      look()
    },
    stop() {
      unwatch?.()
      cancelWait?.()
      cancelWait = undefined
      onTurn = () => {}
    },
    offset,
    isOff: () => off,
    mayExpire() {
      lookAtTimes()
      return !off && company !== 'waiting'
    },
    expiryNow(now) {
      lookAtTimes()
      // At the start a clock is believed until it is proven wrong: what expired before must not be pinned again.
      const isBelieved = !off && (company !== 'waiting' || rightAt === 0)
      return isBelieved ? now : Math.min(now, Math.max(rightAt, ports.newest()?.ms ?? 0))
    }
  }
}
