/** An HTTP proxy in front of a daemon's RPC that writes down what is pinned and unpinned through it, and how that ended. */
import { once } from 'node:events'
import { createServer, request as send, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** One `pin/add` or `pin/rm`. */
export interface RpcCall {
  readonly command: 'pin/add' | 'pin/rm'
  readonly cid: string
  /** `given up`: whoever asked went before the answer was whole. */
  ended?: 'done' | 'failed' | 'given up'
}

/** The proxy. */
export interface RpcRecorder extends AsyncDisposable {
  readonly apiUrl: string
  /** In the order in which they began. */
  readonly calls: readonly RpcCall[]
}

/** Starts one on a free port of 127.0.0.1 in front of `target`, `http://127.0.0.1:PORT`. */
export async function startRpcRecorder(target: string): Promise<RpcRecorder> {
  const calls: RpcCall[] = []

  const note = (url: string): RpcCall | undefined => {
    const { pathname, searchParams } = new URL(url, target)
    const command = pathname.replace('/api/v0/', '')
    if (command !== 'pin/add' && command !== 'pin/rm') return undefined
    const call: RpcCall = { command, cid: searchParams.get('arg') ?? '' }
    calls.push(call)
    return call
  }

  const pass = (from: IncomingMessage, to: ServerResponse): void => {
    const call = note(from.url ?? '/')
    const { method, headers } = from
    let text = ''
    const onward = send(new URL(from.url ?? '/', target), { ...(method === undefined ? {} : { method }), headers, agent: false })
    onward.on('response', (answer) => {
      to.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.on('data', (chunk: Buffer) => {
        if (call !== undefined) text += chunk.toString()
        to.write(chunk)
      })
      answer.on('end', () => {
        if (call !== undefined) call.ended ??= /"Pins"/.test(text) ? 'done' : 'failed'
        if (Object.keys(answer.trailers).length > 0) to.addTrailers(answer.trailers as Record<string, string>)
        to.end()
      })
      answer.on('error', () => to.destroy())
    })
    onward.on('error', () => to.destroy())
    to.on('close', () => {
      if (call !== undefined) call.ended ??= 'given up'
      onward.destroy()
    })
    from.pipe(onward)
  }

  const server = createServer(pass).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    apiUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    calls,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
}
