import type { OperationState } from '../protocol/ack.ts'
import type { BareRow, CommandRow, LogRow, RefusalRow, TimedState } from '../protocol/log-entry.ts'
import type { StoredRefusal } from '../protocol/records.ts'
import type { Author, NodeId } from '../protocol/ssh-key.ts'
import type { Standing } from '../protocol/wish.ts'
import { NODE_MIGRATIONS, NODE_OWNER } from './node-schema.ts'
import { openReadOnly } from './open-read-only.ts'
import { toStandings, type Row } from './rows.ts'

/** What is read of a log: times from `since` on and before `until`, milliseconds since the epoch, one way or the other. */
export interface LogRange {
  readonly since: number
  readonly until: number
  readonly newestFirst: boolean
  /** Rows of which it does not hold are passed over, at little cost. */
  mayMatch(row: BareRow): boolean
}

/** How far somebody has read what comes. */
export interface LogPlace {
  readonly command: number
  readonly refusal: number
}

/** A log that is read while others write it. */
export interface LogReader extends Disposable {
  /** Until it is disposed of, all that is read is as it was at one moment, and SQLite keeps what is written in `-wal`. */
  moment(): Disposable
  /** The rows of a range: sequences that are each in the order of time, read from the file as they are taken. */
  rows(range: LogRange): readonly Generator<LogRow>[]
  /** Changes when anything was written. */
  version(): number
  /** Where what comes begins. */
  end(): LogPlace
  /** What came behind a place, at most so many rows of each kind, and the place behind these. */
  after(place: LogPlace, limit: number): { readonly rows: readonly LogRow[]; readonly place: LogPlace }
  /** A command as it stands now. */
  command(seq: number): CommandRow | undefined
}

/** How a command's row looks with the names of the table it is from. */
const COMMAND = 'seq, author, accepted_at AS at, envelope'

/** Opens the log in an agent's state for reading, while the agent runs or not. Throws `StorageError` as `openStateReader` does. */
export function openLogReader(file: string): LogReader & { standings(): ReadonlyMap<Author, Standing> } {
  const reader = openReadOnly(file, NODE_MIGRATIONS, NODE_OWNER)
  const { db, guard, rows } = reader

  const operations = guard(() => db.prepare('SELECT idx, state, at FROM operations WHERE command = ? ORDER BY idx'))
  const statesOf = (seq: number): ReadonlyMap<number, TimedState> => {
    const found = guard(() => operations.all(seq))
    return new Map(found.map((row) => [row['idx'] as number, { state: readState(row['state']), at: row['at'] as number }]))
  }
  const toCommand = (row: Row): CommandRow => {
    const seq = row['seq'] as number
    return { ...baseOf(row), seq, states: statesOf(seq), receipts: [] }
  }
  const one = (text: string): number => guard(() => (db.prepare(text).get() as { value: number | null }).value ?? 0)

  function* read({ since, until, newestFirst, mayMatch }: LogRange, table: string, time: string, tie: string, to: (row: Row) => LogRow) {
    const way = newestFirst ? 'DESC' : 'ASC'
    const columns = table === 'commands' ? COMMAND : table === 'history' ? 'author, accepted_at AS at, envelope, operations' : '*'
    const text = `SELECT ${columns} FROM ${table} WHERE ${time} >= ? AND ${time} < ? ORDER BY ${time} ${way}, ${tie} ${way}`
    for (const row of rows(text, since, until)) if (table === 'refusals' || mayMatch(baseOf(row))) yield to(row)
  }

  return {
    moment: reader.moment,
    rows: (range) => [
      read(range, 'history', 'accepted_at', 'place', toPast),
      read(range, 'commands', 'accepted_at', 'seq', toCommand),
      read(range, 'refusals', 'at', 'number', toRefusal)
    ],
    version: reader.version,
    end: () => ({ command: one('SELECT max(seq) AS value FROM commands'), refusal: one('SELECT max(number) AS value FROM refusals') }),
    after(place, limit) {
      const commands = [...rows(`SELECT ${COMMAND} FROM commands WHERE seq > ? ORDER BY seq LIMIT ?`, place.command, limit)]
      const refusals = [...rows('SELECT * FROM refusals WHERE number > ? ORDER BY number LIMIT ?', place.refusal, limit)]
      return {
        rows: [...commands.map(toCommand), ...refusals.map(toRefusal)],
        place: {
          command: (commands.at(-1)?.['seq'] ?? place.command) as number,
          refusal: (refusals.at(-1)?.['number'] ?? place.refusal) as number
        }
      }
    },
    command(seq) {
      const [row] = rows(`SELECT ${COMMAND} FROM commands WHERE seq = ?`, seq)
      return row === undefined ? undefined : toCommand(row)
    },
    standings: () => toStandings(rows('SELECT author, standing FROM authors')),
    [Symbol.dispose]: () => db.close()
  }
}

function baseOf(row: Row): Omit<CommandRow, 'seq' | 'states' | 'receipts'> {
  return {
    kind: 'command',
    source: 'node',
    at: row['at'] as number,
    author: row['author'] as Author,
    envelope: row['envelope'] as Uint8Array
  }
}

function toPast(row: Row): CommandRow {
  const operations = JSON.parse(row['operations'] as string) as { index: number; state: OperationState; at: number }[]
  return { ...baseOf(row), states: new Map(operations.map(({ index, state, at }) => [index, { state, at }])), receipts: [] }
}

function toRefusal(row: Row): RefusalRow {
  const { author, command, pinset } = row
  const at = row['at'] as number
  const refusal: StoredRefusal = {
    at,
    until: row['until'] as number,
    code: row['code'] as StoredRefusal['code'],
    isProven: row['is_proven'] === 1,
    ...(author === null ? {} : { author: author as Author }),
    ...(command === null ? {} : { command: command as string }),
    ...(pinset === null ? {} : { pinset: pinset as string }),
    peer: row['peer'] as NodeId,
    more: row['more'] as number
  }
  return { kind: 'refusal', source: 'node', at, refusal }
}

function readState(text: unknown): OperationState {
  return JSON.parse(text as string) as OperationState
}
