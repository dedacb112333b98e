import { chmodSync, closeSync, openSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'

/** Why a database could not be opened. */
export type StorageCode = 'newer' | 'corrupt' | 'no-space' | 'open'

/** A database that cannot be used; the message names the file and the way out. */
export class StorageError extends Error {
  override readonly name = 'StorageError'
  readonly code: StorageCode

  constructor(code: StorageCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** One step of a schema: SQL that takes a database from the version before to the next. Never edited once released. */
export type Migration = string

/**
 * Opens (or makes, mode 0600) a SQLite file in WAL mode with `synchronous=FULL`, so that a committed transaction
 * survives a power cut, and brings its schema to the newest version, all in one transaction.
 * Throws {@link StorageError}: `newer` for a file of a later version of this program, `corrupt`, `open`.
 */
export function openDatabase(file: string, migrations: readonly Migration[]): DatabaseSync {
  let db: DatabaseSync | undefined
  try {
    if (file !== ':memory:') makePrivate(file)
    db = new DatabaseSync(file, { timeout: 5_000 })
    db.exec('PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON')
    migrate(db, file, migrations)
    return db
  } catch (err) {
    db?.close()
    if (err instanceof StorageError) throw err
    const message = err instanceof Error ? err.message : String(err)
    if (/malformed|not a database|corrupt/.test(message)) {
      throw new StorageError('corrupt', `${file} is damaged (${message}): move it away and start again; nodes hold what they were told`, {
        cause: err
      })
    }
    throw new StorageError(/disk is full/.test(message) ? 'no-space' : 'open', `cannot open ${file}: ${message}`, { cause: err })
  }
}

/** Before SQLite opens it: the files beside it (-wal, -shm) get the mode that it has then. */
function makePrivate(file: string): void {
  closeSync(openSync(file, 'a', 0o600))
  chmodSync(file, 0o600)
}

function migrate(db: DatabaseSync, file: string, migrations: readonly Migration[]): void {
  db.exec('BEGIN IMMEDIATE')
  try {
    const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
    if (version > migrations.length) {
      throw new StorageError(
        'newer',
        `${file} was written by a newer pinsub (schema ${version}, this one knows ${migrations.length}): update pinsub`
      )
    }
    for (const step of migrations.slice(version)) db.exec(step)
    db.exec(`PRAGMA user_version=${migrations.length}; COMMIT`)
  } catch (err) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw err
  }
}

/** Runs `work` in one transaction: durable when it returns, undone when it throws. Does not nest. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE')
  try {
    const result = work()
    db.exec('COMMIT')
    return result
  } catch (err) {
    if (db.isTransaction) db.exec('ROLLBACK')
    throw err
  }
}
