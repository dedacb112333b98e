/**
 * Connections of a private network, and of one that is not: both sides must have the same swarm key, or none. libp2p itself tells neither
 * side why it fails: the other one's bytes make no sense, and both wait until their time is up. Here both look at the first bytes.
 */
import type { ConnectionProtector, MultiaddrConnection } from '@libp2p/interface'
import { FIRST_BYTES_MS } from '../protocol/limits.ts'
import { formatSwarmKey } from '../protocol/swarm-key.ts'
import { GREETING, isGreeting, judged, peek } from './first-bytes.ts'

/** Before anything else each side of a private network says a random number, as it is. */
const NONCE_BYTES = 24

/** How long a dialler waits for both the number and the first bytes that make sense, milliseconds: two trips even over a satellite. */
const ANSWER_MS = 2_500

/** Why a connection failed, as `reach.ts` finds it in what libp2p says: by the text, as libp2p passes on nothing else. */
export const SWARM_KEY_FAULTS = {
  /** We have a key, and they have another or none. */
  differs: 'the swarm keys differ',
  /** They seem to have one, and we have none. */
  wanted: 'a swarm key is wanted'
} as const

/** Makes what guards every new connection; `swarmKey` is the 32 bytes of the network's key, undefined for a network without. */
export async function createProtector(swarmKey: Uint8Array | undefined): Promise<ConnectionProtector> {
  const cipher = swarmKey === undefined ? undefined : await loadCipher(swarmKey)
  const guard = async (connection: MultiaddrConnection, signal: AbortSignal): Promise<MultiaddrConnection> => {
    if (connection.direction === 'inbound') {
      const soon = AbortSignal.any([signal, AbortSignal.timeout(FIRST_BYTES_MS)])
      return cipher === undefined ? greeted(connection, soon) : inbound(connection, cipher, { signal, soon })
    }
    return cipher === undefined ? judged(connection, judgeOpen) : outbound(connection, cipher, signal)
  }
  return {
    protect: async (stream, options) => {
      // What is given is a connection; the type is that of its messages only.
      const connection = stream as MultiaddrConnection
      try {
        return await guard(connection, options?.signal ?? AbortSignal.timeout(ANSWER_MS))
      } catch (err) {
        // At once, so that the other side need not wait for its time to be up.
        connection.abort(err as Error)
        throw err
      }
    }
  }
}

async function loadCipher(swarmKey: Uint8Array): Promise<ConnectionProtector> {
  const { preSharedKey } = await import('@libp2p/pnet')
  return preSharedKey({ psk: new TextEncoder().encode(formatSwarmKey(swarmKey)) })()
}

/** Who dials begins with the greeting. */
async function greeted(connection: MultiaddrConnection, signal: AbortSignal): Promise<MultiaddrConnection> {
  if (isGreeting(await peek(connection, GREETING.length, signal))) return connection
  throw new Error('whoever dialled does not speak libp2p, or has a swarm key')
}

/** `soon` is for the first bytes, and `signal` for the whole. */
async function inbound(
  connection: MultiaddrConnection,
  cipher: ConnectionProtector,
  { signal, soon }: { readonly signal: AbortSignal; readonly soon: AbortSignal }
): Promise<MultiaddrConnection> {
  const isOpen = isGreeting(await peek(connection, NONCE_BYTES, soon))
  // With our number the other side can tell what is wrong.
  const decrypted = (await cipher.protect(connection, { signal })) as MultiaddrConnection
  if (isOpen) throw new Error('whoever dialled has no swarm key')
  return greeted(decrypted, signal)
}

async function outbound(connection: MultiaddrConnection, cipher: ConnectionProtector, signal: AbortSignal): Promise<MultiaddrConnection> {
  const differs = (): Error => new Error(SWARM_KEY_FAULTS.differs)
  const late = setTimeout(() => connection.abort(differs()), ANSWER_MS)
  try {
    const decrypted = (await cipher.protect(connection, { signal }).catch((err: unknown) => {
      signal.throwIfAborted()
      throw new Error(SWARM_KEY_FAULTS.differs, { cause: err })
    })) as MultiaddrConnection
    return judged(decrypted, (first) => {
      clearTimeout(late)
      return first.length > 0 && isGreeting(first) ? undefined : differs()
    })
  } catch (err) {
    clearTimeout(late)
    throw err
  }
}

/** Without a key: what is neither a greeting nor text of another program is the number of a private network. */
function judgeOpen(first: Uint8Array): Error | undefined {
  const isText = first.subarray(0, NONCE_BYTES).every((byte) => (byte >= 0x20 && byte < 0x7f) || (byte >= 0x09 && byte <= 0x0d))
  return isGreeting(first) || isText ? undefined : new Error(SWARM_KEY_FAULTS.wanted)
}
