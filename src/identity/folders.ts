/** Folders of a home, and whether a name is taken. */
import { lstat, mkdir, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { IdentityError } from './errors.ts'

/** Whether something has this name, also a link that leads nowhere. */
export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    () => false
  )
}

/** Makes a folder (0700), and those above it, where they are missing; false where it was there. Throws {@link IdentityError} `unreadable`. */
export async function makeFolder(path: string): Promise<boolean> {
  try {
    await mkdir(path, { mode: 0o700 })
    return true
  } catch (err) {
    const { code } = err as NodeJS.ErrnoException
    if (code === 'EEXIST' && (await isFolder(path))) return false
    // Node's own way to make several does not end where none can be made, as below /proc.
    const above = dirname(path)
    if (code !== 'ENOENT' || (await exists(above))) throw folderError(path, err)
    await makeFolder(above)
    return makeFolder(path)
  }
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true
}

function folderError(path: string, cause: unknown): IdentityError {
  const { code, message } = cause as NodeJS.ErrnoException
  return new IdentityError('unreadable', path, `cannot make the folder ${path}: ${REASONS[code ?? ''] ?? message}`, { cause })
}

const REASONS: Readonly<Record<string, string>> = {
  EEXIST: 'a file is in the way',
  ENOTDIR: 'a file is in the way',
  ENOENT: 'nothing can be made there',
  EACCES: 'this user may not',
  EPERM: 'this user may not',
  EROFS: 'nothing can be written there',
  ENOSPC: 'the disk is full'
}
