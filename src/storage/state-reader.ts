import type { SQLOutputValue } from 'node:sqlite'
import type { StoredCommand } from '../protocol/records.ts'
import type { Author } from '../protocol/ssh-key.ts'
import type { Standing } from '../protocol/wish.ts'
import { NODE_MIGRATIONS } from './node-schema.ts'
import { guardRead, openReadOnly, readError } from './read-only.ts'

type Row = Record<string, SQLOutputValue>

/** What is read of a command. */
export type ReadCommand = Pick<StoredCommand, 'id' | 'author' | 'acceptedAt' | 'envelope'>

/**
 * Opens an agent's state for reading, while the agent runs or not: all that is read is as it was at this moment, whatever is
 * written meanwhile, and nothing is changed. Until it is closed SQLite keeps what is written in `state.db-wal`.
 * Throws `StorageError`: `open` for a file that is missing, or of an older version of this program; `newer`, `corrupt`.
 */
export function openStateReader(file: string) {
  const db = openReadOnly({ file, migrations: NODE_MIGRATIONS, missing: 'no agent has run in this home', updatedBy: 'pinsub node' })

  return {
    /** What is known of every author that ever counted. */
    standings: (): ReadonlyMap<Author, Standing> =>
      guardRead(file, () => {
        const rows = db.prepare('SELECT author, standing FROM authors ORDER BY author').all()
        return new Map(rows.map((row) => [row['author'] as Author, JSON.parse(row['standing'] as string) as Standing]))
      }),

    /** All commands that hold a register, in the order in which they came; read while it is iterated. */
    *commands(): Generator<ReadCommand> {
      try {
        const text = `SELECT id, author, accepted_at, envelope FROM commands
          WHERE NOT EXISTS (SELECT 1 FROM passed WHERE command = seq) ORDER BY seq`
        for (const row of db.prepare(text).iterate() as Iterable<Row>) yield toCommand(row)
      } catch (err) {
        throw readError(file, err)
      }
    },

    /** Commands whose ids begin like that, by id, at most `limit`; also those that hold no register any more. */
    find: (prefix: string, limit: number): readonly ReadCommand[] =>
      guardRead(file, () => {
        const text = 'SELECT id, author, accepted_at, envelope FROM commands WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?'
        return db.prepare(text).all(prefix, prefix.padEnd(64, 'f'), limit).map(toCommand)
      }),

    [Symbol.dispose]: () => db.close()
  }
}

function toCommand(row: Row): ReadCommand {
  return {
    id: row['id'] as string,
    author: row['author'] as Author,
    acceptedAt: row['accepted_at'] as number,
    envelope: row['envelope'] as Uint8Array
  }
}
