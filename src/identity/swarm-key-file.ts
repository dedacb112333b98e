/** The key file of a private network. */
import { InvalidTextError } from '../protocol/errors.ts'
import { parseSwarmKey } from '../protocol/swarm-key.ts'
import { IdentityError } from './errors.ts'
import { readSmallFile } from './files.ts'
import { requirePrivate } from './key-file.ts'

/** A key file has 96 bytes; larger is none. */
const MAX_BYTES = 1024

/**
 * The 32 bytes of the key in `path`. Throws {@link IdentityError}: `missing`, `unreadable`, `size`, `permissions` (as for a private key),
 * `key` (not in Kubo's format).
 */
export async function readSwarmKey(path: string): Promise<Uint8Array> {
  const read = await readSmallFile(path, MAX_BYTES).catch((err: IdentityError) => {
    throw err.code === 'missing' ? new IdentityError('missing', path, `there is no swarm key ${path}`, { cause: err }) : err
  })
  requirePrivate(path, read)
  try {
    return parseSwarmKey(read.text)
  } catch (err) {
    throw err instanceof InvalidTextError ? new IdentityError('key', path, `${path} is no swarm key: ${err.message}`, { cause: err }) : err
  }
}
