/** A TCP proxy on loopback that can fall silent without closing anything, as a cable that was pulled does. */
import { createServer, connect, type Socket } from 'node:net'

export interface TcpProxy {
  readonly port: number
  /** Connections accepted since the start. */
  readonly accepted: number
  /** Nothing passes any more, in either direction, and nothing is closed; new connections get no answer. */
  freeze(): void
  thaw(): void
  /** Cuts what is open, visibly. */
  cut(): void
  close(): Promise<void>
}

export async function createTcpProxy(targetPort: number): Promise<TcpProxy> {
  const pairs = new Set<[Socket, Socket]>()
  let frozen = false
  let accepted = 0
  const server = createServer((near) => {
    accepted++
    const far = connect(targetPort, '127.0.0.1')
    const pair: [Socket, Socket] = [near, far]
    pairs.add(pair)
    for (const [from, to] of [pair, pair.toReversed() as [Socket, Socket]]) {
      from.on('data', (data) => {
        if (!frozen) to.write(data)
      })
      from.on('error', () => undefined)
      from.on('close', () => {
        pairs.delete(pair)
        if (!frozen) to.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const cut = (): void => {
    for (const pair of pairs) for (const socket of pair) socket.destroy()
  }
  return {
    port: address.port,
    get accepted() {
      return accepted
    },
    freeze: () => {
      frozen = true
    },
    thaw: () => {
      // What was swallowed is lost, so the old connections can never go on.
      cut()
      frozen = false
    },
    cut,
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      cut()
      await closed
    }
  }
}
