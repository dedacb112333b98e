/** A passphrase that lies in a file, for programs that nobody sits in front of. */
import { IdentityError } from './errors.ts'
import { readSmallFile } from './files.ts'
import { requirePrivate } from './key-file.ts'

const MAX_BYTES = 64 * 1024

/**
 * The first line of `path`, without its end. Throws {@link IdentityError}: `missing`, `unreadable`, `size`, `permissions` (as for a
 * private key), `empty`.
 */
export async function readPassphraseFile(path: string): Promise<string> {
  const read = await readSmallFile(path, MAX_BYTES).catch((err: IdentityError) => {
    throw err.code === 'missing' ? new IdentityError('missing', path, `there is no passphrase file ${path}`, { cause: err }) : err
  })
  requirePrivate(path, read)
  const [line = ''] = read.text.split(/\r?\n/, 1)
  if (line === '') throw new IdentityError('empty', path, `the first line of ${path} is empty: it must hold the passphrase`)
  return line
}
