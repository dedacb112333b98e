/** Files that a command makes for the user: whole or not at all, private, and never over another. */
import { randomBytes } from 'node:crypto'
import { open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileError } from '../identity/files.ts'
import { exists } from '../identity/folders.ts'
import { CliError, EXIT } from './exit.ts'

/**
 * Makes `path` (0600) of the pieces, which are taken as they are written; throws a local error where something has that name, `hint`
 * saying what to do then, and where it cannot be written. When anything throws, nothing is left.
 */
export async function writeNewFile(
  path: string,
  pieces: AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>,
  hint: string
): Promise<void> {
  const temp = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.new`)
  const taken = new CliError(EXIT.local, 'exists', `${path} exists already and is not overwritten`, hint)
  if (await exists(path)) throw taken
  try {
    const file = await open(temp, 'wx', 0o600)
    try {
      for await (const piece of pieces) await file.writeFile(piece)
      await file.sync()
    } finally {
      await file.close()
    }
    // Not link, which fails where something is but which FAT does not have: the name is taken first.
    await (await open(path, 'wx', 0o600)).close()
    await rename(temp, path)
    await syncFolder(dirname(path))
  } catch (err) {
    await rm(temp, { force: true }).catch(() => undefined)
    const { code, syscall } = err as NodeJS.ErrnoException
    if (code === 'EEXIST') throw taken
    if (syscall === undefined) throw err
    throw new CliError(EXIT.local, 'file', fileError(path, 'write', err).message)
  }
}

/** Makes the new name survive a power cut; where folders cannot be opened (Windows) the file system sees to it. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path).catch(() => undefined)
  await folder?.sync().catch(() => undefined)
  await folder?.close()
}
