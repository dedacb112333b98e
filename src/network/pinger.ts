/** Asks every connected peer for a sign of life and cuts connections that give none: TCP alone takes minutes to notice. */
import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../protocol/clock.ts'
import type { HostLibp2p } from './host.ts'

/** Watches the connections of a host. */
export interface Pinger {
  start(): void
  stop(): void
}

const PROTOCOL = '/ipfs/ping/1.0.0'
const BYTES = 32

/** Makes it; `every` is the pause between pings of one connection and `dead` how long an answer may take, in milliseconds. */
export function createPinger(
  options: { readonly every: number; readonly dead: number },
  ports: { readonly libp2p: HostLibp2p; readonly clock: Clock }
): Pinger {
  const { libp2p, clock } = ports
  const watched = new Map<Connection, () => void>()

  const watch = (connection: Connection): void => {
    if (connection.status !== 'open') {
      watched.delete(connection)
      return
    }
    watched.set(
      connection,
      clock.after(options.every, () => void check(connection))
    )
  }

  const check = async (connection: Connection): Promise<void> => {
    const alive = await answers(connection, options.dead)
    if (!watched.has(connection)) return
    if (!alive) connection.abort(new Error(`no answer to a ping in ${options.dead} ms`))
    watch(connection)
  }

  const onOpen = ({ detail }: CustomEvent<Connection>): void => watch(detail)
  const onClose = ({ detail }: CustomEvent<Connection>): void => {
    watched.get(detail)?.()
    watched.delete(detail)
  }

  return {
    start: () => {
      libp2p.addEventListener('connection:open', onOpen)
      libp2p.addEventListener('connection:close', onClose)
      for (const connection of libp2p.getConnections()) watch(connection)
    },
    stop: () => {
      libp2p.removeEventListener('connection:open', onOpen)
      libp2p.removeEventListener('connection:close', onClose)
      for (const cancel of watched.values()) cancel()
      watched.clear()
    }
  }
}

/** Only silence counts as death: a peer that refuses the stream or does not know pings is alive. */
async function answers(connection: Connection, ms: number): Promise<boolean> {
  const signal = AbortSignal.timeout(ms)
  let stream: Stream | undefined
  try {
    stream = await connection.newStream(PROTOCOL, { signal })
    await echo(stream, signal)
    await stream.close({ signal })
    return true
  } catch (err) {
    stream?.abort(err instanceof Error ? err : new Error(String(err)))
    return !signal.aborted
  }
}

function echo(stream: Stream, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    let missing = BYTES
    stream.addEventListener('message', ({ data }) => {
      missing -= data.byteLength
      if (missing <= 0) resolve()
    })
    stream.addEventListener('close', () => reject(new Error('closed')), { once: true })
    signal.addEventListener('abort', () => reject(new Error('silent')), { once: true })
    stream.send(new Uint8Array(BYTES))
  })
}
