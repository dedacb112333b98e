/** The key file of a private network. */
import { InvalidTextError } from '../protocol/errors.ts'
import { parseSwarmKey } from '../protocol/swarm-key.ts'
import { IdentityError } from './errors.ts'
import { readSecretFile } from './secret-file.ts'

/** A key file has 96 bytes; larger is none. */
const MAX_BYTES = 1024

/**
 * The 32 bytes of the key in `path`. Throws {@link IdentityError}: `missing`, `unreadable`, `size`, `permissions` (as for a private key),
 * `key` (not in Kubo's format).
 */
export async function readSwarmKey(path: string): Promise<Uint8Array> {
  const text = await readSecretFile(path, MAX_BYTES, 'there is no swarm key')
  try {
    return parseSwarmKey(text)
  } catch (err) {
    throw err instanceof InvalidTextError ? new IdentityError('key', path, `${path} is no swarm key: ${err.message}`, { cause: err }) : err
  }
}
