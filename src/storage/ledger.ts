import type { SQLOutputValue } from 'node:sqlite'
import { LEDGER_MAX_BYTES, LEDGER_MAX_COMMANDS, MAX_AHEAD_MS, MAX_TRACKED_NODES } from '../protocol/limits.ts'
import { laterHlc, tick, type Hlc } from '../protocol/order.ts'
import type { CommandId } from '../protocol/envelope.ts'
import type { Answered, NewReceipt, PinnedRow, SentCommand } from '../protocol/records.ts'
import type { Author, NodeId } from '../protocol/ssh-key.ts'
import { LEDGER_MIGRATIONS } from './ledger-schema.ts'
import { inTransaction, openDatabase } from './open.ts'

type Row = Record<string, SQLOutputValue>

/** The bounds are looked at once in as many commands: looking goes through all of them. */
const FORGET_EVERY = 64

/** Opens a sender's ledger over SQLite; implements the `Ledger` port of the sender. Throws `StorageError`. */
export function openLedger(file: string) {
  const db = openDatabase(file, LEDGER_MIGRATIONS)
  const readClock = db.prepare('SELECT ms, counter FROM clock')
  const writeClock = db.prepare('UPDATE clock SET ms = ?, counter = ?')
  const addCommand = db.prepare(
    'INSERT INTO commands (id, network, author, pinset, ms, counter, accepted, size, envelope) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)'
  )
  const addOperation = db.prepare('INSERT INTO operations VALUES (?, ?, ?, ?)')
  const operationsOf = db.prepare('SELECT op, cid FROM operations WHERE command = ? ORDER BY idx')
  const receiptsOf = db.prepare('SELECT node, sequence, envelope FROM receipts WHERE command = ?')
  const seqOf = db.prepare('SELECT seq FROM commands WHERE id = ?')

  const putReceipt = db.prepare(
    `INSERT INTO receipts (command, node, sequence, envelope, settled) SELECT ?1, ?2, ?3, ?4, ?5
     WHERE (SELECT count(*) FROM receipts WHERE command = ?1 AND node <> ?2) < ?6
     ON CONFLICT (command, node)
     DO UPDATE SET sequence = excluded.sequence, envelope = excluded.envelope, settled = excluded.settled
     WHERE excluded.sequence > sequence`
  )
  const markAccepted = db.prepare('UPDATE commands SET accepted = 1 WHERE seq = ?')

  const toCommand = (row: Row): SentCommand => ({
    id: row['id'] as string,
    network: row['network'] as string,
    author: row['author'] as Author,
    pinset: row['pinset'] as string,
    time: { ms: row['ms'] as number, counter: row['counter'] as number },
    envelope: row['envelope'] as Uint8Array,
    operations: operationsOf.all(row['seq'] as number) as SentCommand['operations'][number][]
  })

  const forgetOldest = (): void => {
    db.prepare(
      `DELETE FROM commands WHERE seq IN (
         SELECT seq FROM (SELECT seq, sum(size) OVER newest AS bytes, count(*) OVER newest AS n
           FROM commands WINDOW newest AS (ORDER BY seq DESC)) WHERE bytes > ? OR n > ?)`
    ).run(LEDGER_MAX_BYTES, LEDGER_MAX_COMMANDS)
  }

  return {
    tick(now: number, seen: Hlc | undefined): Hlc {
      // A stranger may claim to have seen any time; nodes refuse what is further ahead than this, and so must we.
      const sound = seen !== undefined && seen.ms <= now + MAX_AHEAD_MS ? seen : undefined
      return inTransaction(db, () => {
        const time = tick(laterHlc(readClock.get() as unknown as Hlc, sound), now)
        writeClock.run(time.ms, time.counter)
        return time
      })
    },

    record(command: SentCommand): void {
      const { id, network, author, pinset, time, envelope, operations } = command
      inTransaction(db, () => {
        const { lastInsertRowid: seq } = addCommand.run(id, network, author, pinset, time.ms, time.counter, envelope.byteLength, envelope)
        operations.forEach(({ op, cid }, index) => addOperation.run(seq, index, op, cid))
        if (Number(seq) % FORGET_EVERY === 0) forgetOldest()
      })
    },

    unaccepted(network: string, author: Author, limit: number): readonly SentCommand[] {
      const text = 'SELECT * FROM commands WHERE accepted = 0 AND network = ? AND author = ? ORDER BY seq LIMIT ?'
      return db.prepare(text).all(network, author, limit).map(toCommand)
    },

    unsettled(network: string, author: Author, node: NodeId, limit: number): readonly CommandId[] {
      const text = `SELECT id FROM (SELECT seq, id FROM commands WHERE network = ? AND author = ? ORDER BY seq DESC LIMIT ?)
        WHERE NOT EXISTS (SELECT 1 FROM receipts WHERE command = seq AND node = ? AND settled = 1)`
      const rows = db.prepare(text).all(network, author, limit, node)
      return rows.map((row) => row['id'] as string)
    },

    keep(receipts: readonly NewReceipt[]): void {
      inTransaction(db, () => {
        for (const { command, node, sequence, envelope, accepted, settled } of receipts) {
          const seq = seqOf.get(command)?.['seq']
          if (seq === undefined) continue
          putReceipt.run(seq, node, sequence, envelope, settled ? 1 : 0, MAX_TRACKED_NODES)
          if (accepted) markAccepted.run(seq)
        }
      })
    },

    about(network: string, cid: string): readonly Answered[] {
      const rows = db
        .prepare(
          `SELECT * FROM commands WHERE network = ? AND seq IN (
             SELECT max(command) FROM operations JOIN commands ON seq = command WHERE cid = ? GROUP BY pinset)`
        )
        .all(network, cid)
      return rows.map((row) => ({
        command: toCommand(row),
        receipts: receiptsOf.all(row['seq'] as number).map((receipt) => ({
          command: row['id'] as string,
          node: receipt['node'] as string,
          sequence: receipt['sequence'] as number,
          envelope: receipt['envelope'] as Uint8Array
        }))
      }))
    },

    pinned(network: string): readonly PinnedRow[] {
      const text = `SELECT cid, pinset FROM (
          SELECT cid, pinset, op, max(command) FROM operations JOIN commands ON seq = command WHERE network = ? GROUP BY cid, pinset)
        WHERE op = 'pin' ORDER BY cid, pinset`
      return db.prepare(text).all(network) as unknown as PinnedRow[]
    },

    close(): void {
      db.close()
    }
  }
}
