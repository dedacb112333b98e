import http from 'node:http'
import https from 'node:https'
import type { Clock } from '../../protocol/clock.ts'
import { BackendError } from '../ports.ts'
import { authorizationHeader, parseKuboApi } from './kubo-address.ts'
import { connectionError, httpStatus, kuboSaid, notKubo, silent } from './kubo-errors.ts'

/** Requests queue per lane, so that a health check never waits behind pins that take hours or dials into nowhere. */
export type Lane = 'pins' | 'dials' | 'control'

/** How one command is sent. */
export interface Send {
  readonly lane: Lane
  readonly query?: Readonly<Record<string, string>>
  /** Its abort closes the connection, by which Kubo cancels the command; the promise rejects with its reason. */
  readonly signal?: AbortSignal
  /** {@link KuboHttp.call}: the time for all of it; {@link KuboHttp.lines} and {@link KuboHttp.drain}: the longest silence. Milliseconds. */
  readonly withinMs: number
}

/** A Kubo RPC over kept connections. Its promises reject with {@link BackendError}, or the reason of the signal. */
export interface KuboHttp {
  /** The address for messages, without secrets. */
  readonly url: string
  /** Sends a command and reads its answer, one JSON value of at most 1 MiB. */
  call(command: string, send: Send): Promise<unknown>
  /** Sends a command and hands out each JSON line of at most 64 KiB; resolves at the end that Kubo calls good. */
  lines(command: string, send: Send, onLine: (line: Readonly<Record<string, unknown>>) => void): Promise<void>
  /** Sends a command and throws its answer away as it comes; resolves at the end that Kubo calls good. */
  drain(command: string, send: Send, onBytes?: (bytes: number) => void): Promise<void>
  /** Ends what is under way (it rejects with `unavailable`) and closes all connections. */
  close(): void
}

/** Longest answer that {@link KuboHttp.call} reads: an `id` with hundreds of addresses stays far below. */
const MAX_ANSWER = 1024 * 1024
/** Longest line of a stream: a pin with the longest name takes 400 bytes, an error with a stack of dials some thousand. */
const MAX_LINE = 64 * 1024
/** What is read of an error's body: enough for every message that is shown. */
const MAX_ERROR = 8 * 1024

/** 32 pins, each with two look-ups at a time; the others only have to exist beside them. */
const SOCKETS: Readonly<Record<Lane, number>> = { pins: 64, dials: 8, control: 8 }

/**
 * Opens nothing yet. `node:http` and not kubo-rpc-client: that one cannot stream the progress of a pin (it throws), keeps neither
 * its time-out nor its cap on sockets, and takes 160 ms and 50 MB to import, half of what an idle agent may hold.
 * It is the operator's hand in the tests instead, as a second opinion on both ends.
 * Throws InvalidTextError for an address or a secret that cannot be read.
 */
export function createKuboHttp(
  options: { readonly apiUrl: string; readonly authorization?: string },
  { clock }: { readonly clock: Clock }
): KuboHttp {
  const { url, secure, target } = parseKuboApi(options.apiUrl)
  const client = secure ? https : http
  const headers: Record<string, string> = { 'content-length': '0' }
  if (options.authorization !== undefined) headers['authorization'] = authorizationHeader(options.authorization)
  const agentFor = (lane: Lane): http.Agent => new client.Agent({ keepAlive: true, maxSockets: SOCKETS[lane] })
  const agents = { pins: agentFor('pins'), dials: agentFor('dials'), control: agentFor('control') }
  const underWay = new Set<(reason: unknown) => void>()
  let closed = false

  async function exchange(
    command: string,
    { lane, query, signal, withinMs }: Send,
    read: (response: http.IncomingMessage, heard: () => void) => Promise<void>
  ): Promise<void> {
    signal?.throwIfAborted()
    if (closed) throw new BackendError('unavailable', `Kubo at ${url}: the backend is stopped`)
    const path = `/api/v0/${command}?${new URLSearchParams(query).toString()}`
    let request: http.ClientRequest | undefined
    let response: http.IncomingMessage | undefined
    let cutBy: { readonly reason: unknown } | undefined
    const cut = (reason: unknown): void => {
      cutBy ??= { reason }
      request?.destroy()
    }
    const open = (): Promise<http.IncomingMessage> =>
      new Promise((resolve, reject) => {
        request = client.request({ ...target, method: 'POST', path, headers, agent: agents[lane] }, resolve)
        request.on('error', reject)
        request.end()
      })
    const onAbort = (): void => cut(signal?.reason)
    const arm = (): (() => void) => clock.after(withinMs, () => cut(silent(url, command, withinMs)))
    let disarm = arm()
    signal?.addEventListener('abort', onAbort, { once: true })
    underWay.add(cut)
    try {
      response = await open().catch((error: unknown) => {
        // A kept connection may be closed by the daemon in the moment in which it is used again: nothing was done yet.
        if (cutBy === undefined && request?.reusedSocket === true && (error as NodeJS.ErrnoException).code === 'ECONNRESET') return open()
        throw error
      })
      if (response.statusCode !== 200) throw await failure(response, command)
      await read(response, () => {
        disarm()
        disarm = arm()
      })
      const trailer = response.trailers['x-stream-error']
      if (trailer !== undefined) throw kuboSaid(url, command, trailer)
    } catch (error) {
      throw cutBy === undefined ? connectionError(url, command, error) : cutBy.reason
    } finally {
      disarm()
      signal?.removeEventListener('abort', onAbort)
      underWay.delete(cut)
      if (response?.complete !== true) request?.destroy()
    }
  }

  async function failure(response: http.IncomingMessage, command: string): Promise<BackendError> {
    const body = await text(response, MAX_ERROR)
    if (response.statusCode === 500) {
      const answer = parse(body)
      if (typeof answer === 'object' && answer !== null && 'Message' in answer) return kuboSaid(url, command, messageOf(answer))
    }
    return httpStatus(url, command, response.statusCode ?? 0, body)
  }

  return {
    url,
    async call(command, send) {
      let answer: unknown
      await exchange(command, send, async (response) => {
        const body = await text(response, MAX_ANSWER + 1)
        if (body.length > MAX_ANSWER) throw notKubo(url, command, `an answer above ${MAX_ANSWER} bytes`)
        answer = parse(body)
        if (answer === undefined) throw notKubo(url, command, body)
      })
      return answer
    },
    async lines(command, send, onLine) {
      const take = (line: string): void => {
        if (line.trim() === '') return
        const value = parse(line)
        if (typeof value !== 'object' || value === null || Array.isArray(value)) throw notKubo(url, command, line)
        if ('Message' in value && 'Code' in value) throw kuboSaid(url, command, messageOf(value))
        onLine(value as Record<string, unknown>)
      }
      await exchange(command, send, async (response, heard) => {
        let rest = ''
        response.setEncoding('utf8')
        for await (const chunk of response as AsyncIterable<string>) {
          heard()
          const lines = (rest + chunk).split('\n')
          rest = lines.pop() ?? ''
          for (const line of lines) take(line)
          if (rest.length > MAX_LINE) throw notKubo(url, command, `a line above ${MAX_LINE} bytes`)
        }
        take(rest)
      })
    },
    async drain(command, send, onBytes) {
      await exchange(command, send, async (response, heard) => {
        for await (const chunk of response as AsyncIterable<Buffer>) {
          heard()
          onBytes?.(chunk.byteLength)
        }
      })
    },
    close() {
      closed = true
      for (const cut of underWay) cut(new BackendError('unavailable', `Kubo at ${url}: the backend is stopped`))
      for (const agent of Object.values(agents)) agent.destroy()
    }
  }
}

async function text(response: http.IncomingMessage, max: number): Promise<string> {
  let body = ''
  response.setEncoding('utf8')
  for await (const chunk of response as AsyncIterable<string>) {
    body += chunk
    if (body.length > max) return body.slice(0, max)
  }
  return body
}

/** Not String(): what is no text may be made so that it cannot become one. */
function messageOf({ Message: message }: { readonly Message?: unknown }): string {
  return typeof message === 'string' ? message : 'an error without a message'
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json)
  } catch {
    return undefined
  }
}
