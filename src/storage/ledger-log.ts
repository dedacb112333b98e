import { existsSync } from 'node:fs'
import { MAX_LOG_RECEIPT_BYTES } from '../protocol/limits.ts'
import type { CommandRow } from '../protocol/log-entry.ts'
import type { Author } from '../protocol/ssh-key.ts'
import { LEDGER_MIGRATIONS, LEDGER_OWNER } from './ledger-schema.ts'
import type { LogRange, LogReader } from './log-reader.ts'
import { openReadOnly } from './open-read-only.ts'
import { openDatabase } from './open.ts'
import type { Row } from './rows.ts'

const COLUMNS = 'seq, author, ms, envelope'

/** Opens the log in a sender's ledger for reading, while others send or not. Throws `StorageError`. */
export function openLedgerLog(file: string): LogReader {
  // No agent holds it: whoever opens it first brings it up to date.
  if (existsSync(file)) openDatabase(file, LEDGER_MIGRATIONS).close()
  const reader = openReadOnly(file, LEDGER_MIGRATIONS, LEDGER_OWNER)
  const { db, guard, rows } = reader

  const words = guard(() => db.prepare('SELECT envelope FROM receipts WHERE command = ? ORDER BY node'))
  /** In the order of the nodes, as many as a line can carry. */
  const receiptsOf = (seq: number): Uint8Array[] => {
    const receipts: Uint8Array[] = []
    let bytes = 0
    for (const row of guard(() => words.iterate(seq)) as Iterable<Row>) {
      const receipt = row['envelope'] as Uint8Array
      bytes += receipt.byteLength
      if (bytes > MAX_LOG_RECEIPT_BYTES) break
      receipts.push(receipt)
    }
    return receipts
  }
  const toBare = (row: Row): Omit<CommandRow, 'states' | 'receipts'> => ({
    kind: 'command',
    source: 'sender',
    at: row['ms'] as number,
    seq: row['seq'] as number,
    author: row['author'] as Author,
    envelope: row['envelope'] as Uint8Array
  })
  function* read(mayMatch: LogRange['mayMatch'], text: string, ...values: number[]): Generator<CommandRow> {
    for (const row of rows(text, ...values)) {
      const bare = toBare(row)
      if (mayMatch(bare)) yield { ...bare, states: new Map(), receipts: receiptsOf(row['seq'] as number) }
    }
  }
  const any = (): boolean => true

  return {
    moment: reader.moment,
    rows({ since, until, newestFirst, mayMatch }) {
      const way = newestFirst ? 'DESC' : 'ASC'
      const text = `SELECT ${COLUMNS} FROM commands WHERE ms >= ? AND ms < ? ORDER BY ms ${way}, seq ${way}`
      return [read(mayMatch, text, since, until)]
    },
    version: reader.version,
    end: () => ({
      command: guard(() => (db.prepare('SELECT max(seq) AS seq FROM commands').get() as { seq: number | null }).seq ?? 0),
      refusal: 0
    }),
    after(place, limit) {
      const found = [...read(any, `SELECT ${COLUMNS} FROM commands WHERE seq > ? ORDER BY seq LIMIT ?`, place.command, limit)]
      return { rows: found, place: { command: found.at(-1)?.seq ?? place.command, refusal: 0 } }
    },
    command(seq) {
      const [row] = read(any, `SELECT ${COLUMNS} FROM commands WHERE seq = ?`, seq)
      return row
    },
    [Symbol.dispose]: () => db.close()
  }
}
