/** The key of a private network, as Kubo keeps it in `swarm.key`. */
import { InvalidTextError } from './errors.ts'

/** Bytes of the key itself. */
const SWARM_KEY_BYTES = 32

/** How to make one, for who has none that is good. */
const MAKE_ONE = 'make one with: (echo /key/swarm/psk/1.0.0/; echo /base16/; openssl rand -hex 32) > swarm.key'

/**
 * Reads the text of a key file: `/key/swarm/psk/1.0.0/`, `/base16/` and 64 hex digits, a line each, as Kubo and js-libp2p write them.
 * Throws {@link InvalidTextError} `key`, which never quotes the key.
 */
export function parseSwarmKey(text: string): Uint8Array {
  const [kind, encoding, digits = '', ...rest] = text.trim().split(/\r?\n/)
  if (kind !== '/key/swarm/psk/1.0.0/') throw new InvalidTextError('key', `its first line is not /key/swarm/psk/1.0.0/: ${MAKE_ONE}`)
  if (encoding !== '/base16/')
    throw new InvalidTextError('key', `its second line is not /base16/, the one encoding that is read: ${MAKE_ONE}`)
  if (!/^[0-9a-f]{64}$/i.test(digits) || rest.length > 0)
    throw new InvalidTextError('key', `its third and last line is not ${2 * SWARM_KEY_BYTES} hex digits: ${MAKE_ONE}`)
  return Uint8Array.from(digits.match(/../g) as string[], (pair) => Number.parseInt(pair, 16))
}

/** The text of a key file; what {@link parseSwarmKey} reads. */
export function formatSwarmKey(key: Uint8Array): string {
  const digits = Array.from(key, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return `/key/swarm/psk/1.0.0/\n/base16/\n${digits}\n`
}
