/**
 * The part of Kubo's RPC that pinsub uses, over any store that can pin: for machines without an `ipfs`.
 * `test/node/backend-kubo-rpc.test.ts` holds it against a real daemon, text by text.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { createKuboCommands, Refusal } from './kubo-rpc-commands.ts'
import type { Commands, RpcStore } from './kubo-rpc-commands.ts'

/** What the server may be told; `authorizations` maps `Authorization` headers to allowed path prefixes, as Kubo's config does. */
export interface KuboRpcOptions {
  readonly authorizations?: Readonly<Record<string, readonly string[]>>
  /** Of 127.0.0.1; a free one unless given. */
  readonly port?: number
}

/** A server under the test's hand; the pins and their names outlive {@link KuboRpcServer.kill}. */
export interface KuboRpcServer extends AsyncDisposable {
  readonly apiUrl: string
  readonly peer: string
  /** Swarm addresses with /p2p. */
  readonly addresses: readonly string[]
  /** Connections accepted since the start. */
  readonly connections: number
  /** Drops every connection and stops listening: a killed daemon. */
  kill(): Promise<void>
  /** Listens again on the same port. */
  restart(): Promise<void>
  /** From now on requests are taken and nothing is sent, not even of what is under way: a frozen daemon. */
  freeze(): void
  /** Sends what waited. */
  thaw(): void
  stop(): Promise<void>
}

const DENIED = 'Kubo RPC Access Denied: Please provide a valid authorization token as defined in the API.Authorizations configuration.'

function durationMs(text: string | null): number | undefined {
  const parts = /^([\d.]+)(ms|s|m)$/.exec(text ?? '')
  return parts === null ? undefined : Number(parts[1]) * { ms: 1, s: 1_000, m: 60_000 }[parts[2] as 'ms' | 's' | 'm']
}

/** Starts a server on 127.0.0.1, port of its own choice. */
export async function startKuboRpcServer(
  store: RpcStore,
  { authorizations, port: wanted = 0 }: KuboRpcOptions = {}
): Promise<KuboRpcServer> {
  const active = new Set<{ readonly Command: string; readonly Args: readonly string[]; readonly Active: true }>()
  const sockets = new Set<Socket>()
  let connections = 0
  let thawed: PromiseWithResolvers<void> | undefined

  const commands: Commands = {
    ...createKuboCommands(store),
    'diag/cmds': ({ response }) => void response.write(`${JSON.stringify([...active])}\n`)
  }

  function admit(request: IncomingMessage, path: string): void {
    if (authorizations !== undefined) {
      const allowed = authorizations[request.headers.authorization ?? '']
      const may = allowed !== undefined && (path === '/api/v0/version' || allowed.some((prefix) => path.startsWith(prefix)))
      if (!may) throw new Refusal(403, DENIED)
    }
    if (request.method !== 'POST') throw new Refusal(405, '405 - Method Not Allowed')
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams: query } = new URL(request.url ?? '/', 'http://kubo')
    const command = pathname.replace('/api/v0/', '')
    const record = { Command: command, Args: query.getAll('arg'), Active: true } as const
    const ended = new AbortController()
    const limit = durationMs(query.get('timeout'))
    const timer = limit === undefined ? undefined : setTimeout(() => ended.abort(), limit)
    response.on('close', () => ended.abort())
    active.add(record)
    try {
      await thawed?.promise
      admit(request, pathname)
      const run = commands[command]
      if (run === undefined) throw new Refusal(404, '404 page not found')
      response.setHeader('content-type', 'application/json')
      response.setHeader('trailer', 'X-Stream-Error')
      await run({ query, request, response, signal: ended.signal })
    } catch (error) {
      const { message } = error as Error
      if (response.headersSent) response.addTrailers({ 'X-Stream-Error': message.replace(/[^\x20-\x7e]/g, ' ') })
      else if (error instanceof Refusal) {
        response.removeHeader('trailer')
        response.writeHead(error.status, { 'content-type': 'text/plain; charset=utf-8' }).write(`${message}\n`)
      } else response.writeHead(500).write(`${JSON.stringify({ Message: message, Code: 0, Type: 'error' })}\n`)
    } finally {
      clearTimeout(timer)
      active.delete(record)
      response.end()
    }
  }

  let server: Server
  const listen = async (port: number): Promise<number> => {
    server = createServer((request, response) => void serve(request, response))
    server.on('connection', (socket) => {
      connections++
      sockets.add(socket)
      if (thawed !== undefined) socket.cork()
      socket.once('close', () => sockets.delete(socket))
    })
    server.listen(port, '127.0.0.1')
    await once(server, 'listening')
    return (server.address() as AddressInfo).port
  }
  const port = await listen(wanted)
  const kill = async (): Promise<void> => {
    if (!server.listening) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  const freeze = (): void => {
    if (thawed !== undefined) return
    thawed = Promise.withResolvers<void>()
    for (const socket of sockets) socket.cork()
  }
  const thaw = (): void => {
    if (thawed === undefined) return
    thawed.resolve()
    thawed = undefined
    for (const socket of sockets) socket.uncork()
  }
  const stop = async (): Promise<void> => {
    thaw()
    await kill()
  }
  const { peer = '', addresses = [] } = (await store.peer()) ?? {}
  return {
    apiUrl: `http://127.0.0.1:${port}`,
    peer,
    addresses: addresses.map((address) => `${address}/p2p/${peer}`),
    get connections() {
      return connections
    },
    kill,
    restart: async () => void (await listen(port)),
    freeze,
    thaw,
    stop,
    [Symbol.asyncDispose]: stop
  }
}
