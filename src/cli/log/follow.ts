/** The log as it grows: what comes, and what became of it. */
import { setTimeout } from 'node:timers/promises'
import { FINAL_STATUSES, type Status } from '../../protocol/ack.ts'
import { stateWord, toLogEntry, type CommandRow, type LogEntry, type LogRow, type LoggedCommand } from '../../protocol/log-entry.ts'
import type { LogPlace, LogReader } from '../../storage/log-reader.ts'

/** How often it is asked whether anything was written: reading one number. */
const POLL_MS = 250

/** Rows of one read: they are in memory together. */
const PAGE = 200

/** Commands that are waited for, the latest: with more of them under way the first are shown as they came. */
const MAX_WATCHED = 500

/** States in which nobody looks: something is being done. */
const MOVING: ReadonlySet<Status> = new Set(['accepted', 'queued', 'pinning'])

/** A log that is followed, from a place on. */
export interface Followed {
  readonly reader: LogReader
  readonly place: LogPlace
}

/**
 * Yields each entry that `mayMatch` when it comes, and a command again once each of its operations was done, refused or failed, and whenever another
 * node says something else of it. Ends with an error when the signal does. The agent may stop and start meanwhile.
 */
export async function* followLogs(
  logs: readonly Followed[],
  mayMatch: (row: LogRow) => boolean,
  signal: AbortSignal
): AsyncGenerator<LogEntry> {
  const followers = logs.map((log) => createFollower(log, mayMatch))
  for (;;) {
    for (const follower of followers) yield* follower()
    await setTimeout(POLL_MS, undefined, { signal })
  }
}

function createFollower({ reader, place: start }: Followed, mayMatch: (row: LogRow) => boolean): () => Generator<LogEntry> {
  const watched = new Map<number, string>()
  let place = start
  let version: number | undefined

  const watch = (seq: number, shown: string): void => {
    watched.set(seq, shown)
    if (watched.size > MAX_WATCHED) watched.delete(watched.keys().next().value as number)
  }

  const page = (): readonly LogRow[] => {
    using _ = reader.moment()
    // The newest command may have been removed, and its number be given again.
    const end = reader.end()
    place = { command: Math.min(place.command, end.command), refusal: place.refusal }
    const read = reader.after(place, PAGE)
    place = read.place
    return read.rows
  }

  const changed = (): LoggedCommand[] => {
    using _ = reader.moment()
    const found: LoggedCommand[] = []
    for (const [seq, shown] of watched) {
      const row = reader.command(seq)
      const entry = row === undefined ? undefined : (toLogEntry(row) as LoggedCommand)
      if (entry === undefined || isOver(entry)) watched.delete(seq)
      if (entry === undefined || isMoving(entry) || outcomeOf(entry) === shown) continue
      if (watched.has(seq)) watched.set(seq, outcomeOf(entry))
      found.push(entry)
    }
    return found
  }

  return function* () {
    const now = reader.version()
    if (now === version) return
    version = now
    yield* changed()
    for (let rows = page(); rows.length > 0; rows = page()) {
      for (const row of rows) {
        if (!mayMatch(row)) continue
        const entry = toLogEntry(row)
        if (entry.kind === 'command') {
          const { seq } = row as CommandRow
          if (seq !== undefined && !isOver(entry)) watch(seq, outcomeOf(entry))
        }
        yield entry
      }
    }
  }
}

/** Every operation, on every node that answered, and whether there is any. */
function statusesOf({ source, states, answers }: LoggedCommand): Status[] {
  const all = source === 'node' ? [...states.values()].map(({ state }) => state) : answers.flatMap(({ ack }) => ack.states)
  return all.map(({ status }) => status)
}

function isMoving(entry: LoggedCommand): boolean {
  const statuses = statusesOf(entry)
  return statuses.length === 0 || statuses.some((status) => MOVING.has(status))
}

/** Of what was sent another node may always speak. */
function isOver(entry: LoggedCommand): boolean {
  return entry.source === 'node' && statusesOf(entry).every((status) => FINAL_STATUSES.has(status))
}

/** Without what changes from one try to the next. */
function outcomeOf({ states, answers }: LoggedCommand): string {
  const words = answers.map(({ ack }) => [ack.node, ack.states.map(stateWord)])
  return JSON.stringify([[...states.values()].map(({ state }) => stateWord(state)), words])
}
