import { existsSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { StorageError, type Migration } from './open.ts'

/** A database that is only read. */
export interface ReadOnly {
  readonly file: string
  readonly migrations: readonly Migration[]
  /** Ends "there is no FILE: …". */
  readonly missing: string
  /** Which command brings an older one up to date. */
  readonly updatedBy: string
}

/**
 * Opens a database for reading while others write it or not: all that is read is as it was at this moment, and nothing is changed.
 * Throws {@link StorageError}: `open` for a file that is missing, or of an older version of this program; `newer`, `corrupt`.
 */
export function openReadOnly({ file, migrations, missing, updatedBy }: ReadOnly): DatabaseSync {
  if (!existsSync(file)) throw new StorageError('open', `there is no ${file}: ${missing}`)
  const db = guardRead(file, () => new DatabaseSync(file, { readOnly: true, timeout: 5_000 }))
  try {
    guardRead(file, () => {
      db.exec('BEGIN')
      const { user_version: version } = db.prepare('PRAGMA user_version').get() as { user_version: number }
      const known = migrations.length
      if (version > known)
        throw new StorageError('newer', `${file} was written by a newer pinsub (schema ${version}, this one knows ${known}): update pinsub`)
      if (version < known) {
        const message = `${file} was written by an older pinsub (schema ${version}, this one reads ${known}): "${updatedBy}" brings it up to date`
        throw new StorageError('open', message)
      }
    })
  } catch (err) {
    db.close()
    throw err
  }
  return db
}

/** Runs `work`, which reads `file`; what SQLite throws becomes a {@link StorageError}. */
export function guardRead<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (err) {
    throw readError(file, err)
  }
}

/** What SQLite threw on reading `file`, as a {@link StorageError} that says so. */
export function readError(file: string, err: unknown): unknown {
  if (err instanceof StorageError) return err
  const message = err instanceof Error ? err.message : String(err)
  if (!/malformed|not a database|corrupt/.test(message)) return new StorageError('open', `cannot read ${file}: ${message}`, { cause: err })
  return new StorageError('corrupt', `${file} is damaged (${message}): what is behind the damage cannot be exported`, { cause: err })
}
