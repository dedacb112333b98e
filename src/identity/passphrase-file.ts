/** A passphrase that lies in a file, for programs that nobody sits in front of. */
import { IdentityError } from './errors.ts'
import { readSecretFile } from './secret-file.ts'

const MAX_BYTES = 64 * 1024

/**
 * The first line of `path`, without its end. Throws {@link IdentityError}: `missing`, `unreadable`, `size`, `permissions` (as for a
 * private key), `empty`.
 */
export async function readPassphraseFile(path: string): Promise<string> {
  const text = await readSecretFile(path, MAX_BYTES, 'there is no passphrase file')
  const [line = ''] = text.split(/\r?\n/, 1)
  if (line === '') throw new IdentityError('empty', path, `the first line of ${path} is empty: it must hold the passphrase`)
  return line
}
