/** `pinsub log`: who commanded what and when, and what became of it, from what this home keeps. */
import { once } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { toLogEntry, type LogEntry } from '../../protocol/log-entry.ts'
import { logLine } from '../../protocol/log-lines.ts'
import type { LogReader } from '../../storage/log-reader.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { readFilter, type LogFilter, type LogFlags } from '../log/filter.ts'
import { followLogs } from '../log/follow.ts'
import { openHomeLogs } from '../log/home.ts'
import { mergeRows } from '../log/merge.ts'
import { verifyLog } from '../log/verify.ts'
import { logText } from '../log/view.ts'

/** Rows between two looks at the signal: reading is synchronous. */
const ROWS_AT_A_TIME = 256

/** Runs the command. */
export async function log(context: Context, flags: LogFlags): Promise<number> {
  if (flags.verify !== undefined) return verifyLog(context, flags.verify)
  const { output, signal } = context
  // Read before the home is, so that a mistake in it is told in any home.
  readFilter(flags, Date.now(), output.json, () => undefined)
  using logs = await openHomeLogs(context, flags.source)
  const filter = readFilter(flags, Date.now(), output.json, logs.commentOf)
  const readers = [...logs.readers.values()]
  const show = (entry: LogEntry): Promise<void> | undefined => {
    const author = entry.kind === 'refusal' ? entry.refusal.author : entry.command.author
    const comment = author === undefined ? undefined : logs.commentOf(author)
    if (output.json) output.event(logLine(entry, comment))
    else output.result(logText(entry, comment, readers.length > 1))
    return process.stdout.writableNeedDrain ? once(process.stdout, 'drain', { signal }).then(() => {}) : undefined
  }

  let shown = 0
  using moments = new DisposableStack()
  for (const reader of readers) moments.use(reader.moment())
  const followed = readers.map((reader) => ({ reader, place: reader.end() }))
  for await (const entry of entriesOf(readers, filter, signal)) {
    await show(entry)
    shown++
  }
  moments.dispose()
  if (flags.follow !== true) {
    if (shown === 0) output.note('Nothing of that kind is in the log.')
    return EXIT.ok
  }
  for await (const entry of followLogs(followed, filter.mayMatch, signal)) {
    if (entry.at >= filter.until || !filter.matches(entry)) continue
    await show(entry)
  }
  return EXIT.ok
}

/** The entries that are meant, the oldest first; one of them is in memory at a time. */
async function* entriesOf(readers: readonly LogReader[], filter: LogFilter, signal: AbortSignal): AsyncGenerator<LogEntry> {
  const { since, skipped } = filter.limit === undefined ? { since: filter.since, skipped: 0 } : await startOf(readers, filter, signal)
  let skip = skipped
  for await (const entry of matching(readers, { ...filter, since }, signal, false)) {
    if (skip-- <= 0) yield entry
  }
}

/** Where the last so many begin: a time, and how many of that time come before them. */
async function startOf(
  readers: readonly LogReader[],
  filter: LogFilter,
  signal: AbortSignal
): Promise<{ readonly since: number; readonly skipped: number }> {
  const { limit = Infinity } = filter
  let since = filter.since
  let found = 0
  for await (const { at } of matching(readers, filter, signal, true)) {
    if (found >= limit && at < since) return { since, skipped: found - limit }
    since = at
    found++
  }
  return { since: filter.since, skipped: Math.max(0, found - limit) }
}

async function* matching(
  readers: readonly LogReader[],
  filter: LogFilter,
  signal: AbortSignal,
  newestFirst: boolean
): AsyncGenerator<LogEntry> {
  const { since, until, mayMatch } = filter
  const rows = readers.flatMap((reader) => reader.rows({ since, until, newestFirst, mayMatch }))
  let read = 0
  for (const row of mergeRows(rows, newestFirst)) {
    if (++read % ROWS_AT_A_TIME === 0) {
      await setImmediate()
      signal.throwIfAborted()
    }
    if (!mayMatch(row)) continue
    const entry = toLogEntry(row)
    if (filter.matches(entry)) yield entry
  }
}
