import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { StorageError, type Migration } from './open.ts'
import type { Row } from './rows.ts'

/** A database that is only read. */
export interface ReadOnly extends Disposable {
  readonly db: DatabaseSync
  /** Runs `work`; what SQLite throws in it becomes a {@link StorageError} that names the file. */
  guard<T>(work: () => T): T
  /** The rows of a query, read as they are taken, with the same errors. */
  rows(text: string, ...values: (string | number | null)[]): Generator<Row>
  /** Until it is disposed of, all that is read is as it was at one moment, and SQLite keeps what is written in `-wal`. */
  moment(): Disposable
  /** Changes when anything was written. */
  version(): number
}

/** What a file is called, and who makes and updates it. */
export interface Owner {
  /** What it means that there is none. */
  readonly missing: string
  /** The command that brings it up to date. */
  readonly updatedBy: string
}

/**
 * Opens a database for reading, while others write it or not, and changes nothing.
 * Throws {@link StorageError}: `open` for a file that is missing, or of an older version of this program; `newer`, `corrupt`.
 */
export function openReadOnly(file: string, migrations: readonly Migration[], owner: Owner): ReadOnly {
  if (!existsSync(file)) throw new StorageError('open', `there is no ${file}: ${owner.missing}`)
  const guard = <T>(work: () => T): T => {
    try {
      return work()
    } catch (err) {
      throw unreadable(file, err)
    }
  }
  const db = guard(() => new DatabaseSync(file, { readOnly: true, timeout: 5_000 }))
  try {
    guard(() => requireSchema(db, file, migrations.length, owner))
  } catch (err) {
    db.close()
    throw err
  }
  return {
    db,
    guard,
    *rows(text, ...values) {
      try {
        yield* db.prepare(text).iterate(...values) as Iterable<Row>
      } catch (err) {
        throw unreadable(file, err)
      }
    },
    moment() {
      guard(() => db.exec('BEGIN'))
      return { [Symbol.dispose]: () => guard(() => db.exec('COMMIT')) }
    },
    version: () => guard(() => (db.prepare('PRAGMA data_version').get() as { data_version: number }).data_version),
    [Symbol.dispose]: () => db.close()
  }
}

function requireSchema(db: DatabaseSync, file: string, known: number, { updatedBy }: Owner): void {
  const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
  if (version > known)
    throw new StorageError('newer', `${file} was written by a newer pinsub (schema ${version}, this one knows ${known}): update pinsub`)
  if (version < known) {
    const message = `${file} was written by an older pinsub (schema ${version}, this one reads ${known}): "${updatedBy}" brings it up to date`
    throw new StorageError('open', message)
  }
}

function unreadable(file: string, err: unknown): unknown {
  if (err instanceof StorageError) return err
  const message = err instanceof Error ? err.message : String(err)
  if (!/malformed|not a database|corrupt/.test(message)) return new StorageError('open', `cannot read ${file}: ${message}`, { cause: err })
  return new StorageError('corrupt', `${file} is damaged (${message}): what is behind the damage cannot be read`, { cause: err })
}
