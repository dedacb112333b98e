/** Files that nobody else may read. */
import { IdentityError } from './errors.ts'
import { readSmallFile, type SmallFile } from './files.ts'

/**
 * The text of a secret of at most `max` bytes; `missing` is said, before the path, where there is none.
 * Throws {@link IdentityError}: `missing`, `unreadable`, `size`, `permissions`.
 */
export async function readSecretFile(path: string, max: number, missing: string): Promise<string> {
  const read = await readSmallFile(path, max).catch((err: IdentityError) => {
    throw err.code === 'missing' ? new IdentityError('missing', path, `${missing} ${path}`, { cause: err }) : err
  })
  requirePrivate(path, read)
  return read.text
}

/** Refuses a secret of ours that others may read. Throws {@link IdentityError} `permissions`. */
export function requirePrivate(path: string, { mode, uid }: SmallFile): void {
  if (process.platform === 'win32' || uid !== process.getuid?.() || (mode & 0o077) === 0) return
  throw new IdentityError(
    'permissions',
    path,
    `${path} can be read by others (mode ${mode.toString(8).padStart(4, '0')}), so it is not used: chmod 600 ${path}`
  )
}
