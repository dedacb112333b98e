import type { StoredCommand, StoredRegister, Usage } from '../protocol/records.ts'
import type { Author } from '../protocol/ssh-key.ts'
import type { Standing } from '../protocol/wish.ts'
import { NODE_MIGRATIONS, NODE_OWNER } from './node-schema.ts'
import { openReadOnly } from './open-read-only.ts'
import { toRegister, toStandings, toUsage, USAGE } from './rows.ts'

/** An agent's state that is read. */
export type StateReader = ReturnType<typeof openStateReader>

/**
 * Opens an agent's state for reading, while the agent runs or not: all that is read is as it was at this moment, whatever is
 * written meanwhile, and nothing is changed. Until it is closed SQLite keeps what is written in `state.db-wal`.
 * Throws `StorageError`: `open` for a file that is missing, or of an older version of this program; `newer`, `corrupt`.
 */
export function openStateReader(file: string) {
  const reader = openReadOnly(file, NODE_MIGRATIONS, NODE_OWNER)
  const { db, guard, rows } = reader
  try {
    // The first read fixes the moment.
    guard(() => db.exec('BEGIN; SELECT 1 FROM sqlite_schema'))
  } catch (err) {
    db.close()
    throw err
  }
  const standingsIn = (table: 'authors' | 'filed_authors'): ReadonlyMap<Author, Standing> =>
    toStandings(rows(`SELECT author, standing FROM ${table} ORDER BY author`))

  return {
    /** How every author stands that ever counted, by file and messages. */
    standings: (): ReadonlyMap<Author, Standing> => standingsIn('authors'),
    /** How every author stands that the file ever named, by the file alone. */
    filed: (): ReadonlyMap<Author, Standing> => standingsIn('filed_authors'),

    /** All commands without a pinset, in the order in which they came. */
    adminCommands: (): readonly Pick<StoredCommand, 'acceptedAt' | 'envelope'>[] =>
      [...rows('SELECT accepted_at, envelope FROM commands WHERE pinset IS NULL ORDER BY seq')].map((row) => ({
        acceptedAt: row['accepted_at'] as number,
        envelope: row['envelope'] as Uint8Array
      })),

    /** All commands that hold a register, in the order in which they came; read while it is iterated. */
    *commands(): Generator<Pick<StoredCommand, 'id' | 'author' | 'acceptedAt' | 'envelope'>> {
      const text = `SELECT id, author, accepted_at, envelope FROM commands
        WHERE NOT EXISTS (SELECT 1 FROM passed WHERE command = seq) ORDER BY seq`
      for (const row of rows(text)) {
        yield {
          id: row['id'] as string,
          author: row['author'] as Author,
          acceptedAt: row['accepted_at'] as number,
          envelope: row['envelope'] as Uint8Array
        }
      }
    },

    /** All registers of each CID of which one of the authors spoke, CID by CID in order; read while it is iterated. */
    *registersOf(authors: Iterable<Author>): Generator<readonly StoredRegister[]> {
      const text = `SELECT * FROM registers
        WHERE cid IN (SELECT cid FROM registers WHERE author IN (SELECT value FROM json_each(?))) ORDER BY cid`
      let group: StoredRegister[] = []
      for (const row of rows(text, JSON.stringify([...authors]))) {
        const register = toRegister(row)
        if (group.length > 0 && group[0]?.cid !== register.cid) {
          yield group
          group = []
        }
        group.push(register)
      }
      if (group.length > 0) yield group
    },

    /** What each author is charged for that ever was. */
    usage: (): ReadonlyMap<Author, Usage> =>
      new Map(Array.from(rows(`SELECT ${USAGE} FROM usage`), (row) => [row['author'] as Author, toUsage(row)])),

    isHeld: (cid: string, pinset: string): boolean =>
      guard(() => db.prepare('SELECT 1 FROM holds WHERE cid = ? AND pinset = ?').get(cid, pinset) !== undefined),
    /** Commands whose ids begin like that, by id, at most `limit`; also those that hold no register any more. */
    find: (prefix: string, limit: number): readonly Pick<StoredCommand, 'id' | 'acceptedAt' | 'envelope'>[] =>
      guard(() => {
        const text = 'SELECT id, accepted_at, envelope FROM commands WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?'
        return db
          .prepare(text)
          .all(prefix, prefix.padEnd(64, 'f'), limit)
          .map((row) => ({
            id: row['id'] as string,
            acceptedAt: row['accepted_at'] as number,
            envelope: row['envelope'] as Uint8Array
          }))
      }),

    [Symbol.dispose]: () => db.close()
  }
}
