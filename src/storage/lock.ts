/** The lock of a home: held by one agent, gone with its process. */
import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'

/** Held while the process lives, or until released. */
export interface Lock {
  /** Lets go; safe to call twice. */
  release(): void
}

/** Why the lock was not taken: another agent has it, or the file cannot be used. */
export type LockCode = 'held' | 'open'

/** The home is in use, or cannot be locked; the message says by whom and the way out. */
export class LockError extends Error {
  override readonly name = 'LockError'
  readonly code: LockCode

  constructor(code: LockCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

const SQLITE_BUSY = 5

/** A database that is garbage collected closes its file, and the lock with it. */
const held = new Set<DatabaseSync>()

/**
 * Takes the lock of a home, at once or not at all, and makes its folder; throws {@link LockError}.
 * Node has no file locks, but SQLite does (fcntl, LockFileEx), and the operating system frees them however the process ends:
 * an exclusive transaction stays open on `file`, an empty database that is never written, so nothing can damage it.
 * Who holds it stands in `file.holder`, for the message only. Nothing else in this process may open `file`: POSIX drops
 * all locks of a process on a file when it closes any handle of it.
 */
export async function lockHome(file: string): Promise<Lock> {
  const holder = `${file}.holder`
  let db: DatabaseSync | undefined
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    db = new DatabaseSync(file, { timeout: 0 })
    db.exec('BEGIN EXCLUSIVE')
    writeFileSync(holder, `process ${process.pid} on ${hostname()}`, { mode: 0o600 })
  } catch (err) {
    db?.close()
    if ((err as { errcode?: number }).errcode === SQLITE_BUSY) {
      throw new LockError(
        'held',
        `${dirname(file)} is in use by another pinsub node${nameOf(holder)}: stop that one, or give this one its own --home`,
        { cause: err }
      )
    }
    throw new LockError('open', `cannot lock ${file}: ${err instanceof Error ? err.message : String(err)}`, { cause: err })
  }
  const database = db
  held.add(database)
  return {
    release(): void {
      if (!held.delete(database)) return
      rmSync(holder, { force: true })
      database.close()
    }
  }
}

function nameOf(holder: string): string {
  try {
    if (statSync(holder).size > 1_024) return ''
    return ` (${readFileSync(holder, 'utf8').replace(/\p{Cc}/gu, '')})`
  } catch {
    return ''
  }
}
