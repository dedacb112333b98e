import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import type { StoredCommand, StoredRegister } from '../protocol/records.ts'
import type { Author } from '../protocol/ssh-key.ts'
import type { Standing } from '../protocol/wish.ts'
import { NODE_MIGRATIONS } from './node-schema.ts'
import { StorageError } from './open.ts'
import { toRegister, type Row } from './register-row.ts'

/**
 * Opens an agent's state for reading, while the agent runs or not: all that is read is as it was at this moment, whatever is
 * written meanwhile, and nothing is changed. Until it is closed SQLite keeps what is written in `state.db-wal`.
 * Throws {@link StorageError}: `open` for a file that is missing, or of an older version of this program; `newer`, `corrupt`.
 */
export function openStateReader(file: string) {
  if (!existsSync(file)) throw new StorageError('open', `there is no ${file}: no agent has run in this home`)
  const db = guard(file, () => new DatabaseSync(file, { readOnly: true, timeout: 5_000 }))
  const close = (): void => db.close()
  const standingsIn = (table: 'authors' | 'filed_authors'): ReadonlyMap<Author, Standing> =>
    guard(file, () => {
      const rows = db.prepare(`SELECT author, standing FROM ${table} ORDER BY author`).all()
      return new Map(rows.map((row) => [row['author'] as Author, JSON.parse(row['standing'] as string) as Standing]))
    })
  try {
    guard(file, () => {
      db.exec('BEGIN')
      requireSchema(db, file)
    })
  } catch (err) {
    close()
    throw err
  }

  return {
    /** How every author stands that ever counted, by file and messages. */
    standings: (): ReadonlyMap<Author, Standing> => standingsIn('authors'),
    /** How every author stands that the file ever named, by the file alone. */
    filed: (): ReadonlyMap<Author, Standing> => standingsIn('filed_authors'),

    /** All commands without a pinset, in the order in which they came. */
    adminCommands: (): readonly Pick<StoredCommand, 'acceptedAt' | 'envelope'>[] =>
      guard(file, () =>
        db
          .prepare('SELECT accepted_at, envelope FROM commands WHERE pinset IS NULL ORDER BY seq')
          .all()
          .map((row) => ({ acceptedAt: row['accepted_at'] as number, envelope: row['envelope'] as Uint8Array }))
      ),

    /** All commands that hold a register, in the order in which they came; read while it is iterated. */
    *commands(): Generator<Pick<StoredCommand, 'id' | 'author' | 'acceptedAt' | 'envelope'>> {
      try {
        const text = `SELECT id, author, accepted_at, envelope FROM commands
          WHERE NOT EXISTS (SELECT 1 FROM passed WHERE command = seq) ORDER BY seq`
        for (const row of db.prepare(text).iterate() as Iterable<Row>) {
          yield {
            id: row['id'] as string,
            author: row['author'] as Author,
            acceptedAt: row['accepted_at'] as number,
            envelope: row['envelope'] as Uint8Array
          }
        }
      } catch (err) {
        throw unreadable(file, err)
      }
    },

    /** All registers of each CID of which one of the authors spoke, CID by CID in order; read while it is iterated. */
    *registersOf(authors: Iterable<Author>): Generator<readonly StoredRegister[]> {
      try {
        const text = `SELECT * FROM registers
          WHERE cid IN (SELECT cid FROM registers WHERE author IN (SELECT value FROM json_each(?))) ORDER BY cid`
        let group: StoredRegister[] = []
        for (const row of db.prepare(text).iterate(JSON.stringify([...authors])) as Iterable<Row>) {
          const register = toRegister(row)
          if (group.length > 0 && group[0]?.cid !== register.cid) {
            yield group
            group = []
          }
          group.push(register)
        }
        if (group.length > 0) yield group
      } catch (err) {
        throw unreadable(file, err)
      }
    },

    isHeld: (cid: string, pinset: string): boolean =>
      guard(file, () => db.prepare('SELECT 1 FROM holds WHERE cid = ? AND pinset = ?').get(cid, pinset) !== undefined),

    [Symbol.dispose]: close
  }
}

function requireSchema(db: DatabaseSync, file: string): void {
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
  const known = NODE_MIGRATIONS.length
  if (version > known)
    throw new StorageError('newer', `${file} was written by a newer pinsub (schema ${version}, this one knows ${known}): update pinsub`)
  if (version < known) {
    const message = `${file} was written by an older pinsub (schema ${version}, this one reads ${known}): "pinsub node" brings it up to date`
    throw new StorageError('open', message)
  }
}

function guard<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (err) {
    throw unreadable(file, err)
  }
}

function unreadable(file: string, err: unknown): unknown {
  if (err instanceof StorageError) return err
  const message = err instanceof Error ? err.message : String(err)
  if (!/malformed|not a database|corrupt/.test(message)) return new StorageError('open', `cannot read ${file}: ${message}`, { cause: err })
  return new StorageError('corrupt', `${file} is damaged (${message}): what is behind the damage cannot be exported`, { cause: err })
}
