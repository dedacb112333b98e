/** `/pinsub/query/1`: one question a stream, answered in pages with an end mark. */
import type { Clock } from '../protocol/clock.ts'
import { MAX_PAGES, MAX_PAGE_BYTES, MAX_QUERY_BYTES, STRANGER_QUERY_MS } from '../protocol/limits.ts'
import {
  decodeQueryPage,
  decodeQueryRequest,
  encodeQueryPage,
  encodeQueryRequest,
  type QueryPage,
  type QueryRequest
} from '../protocol/query.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { systemClock } from './clock.ts'
import { NetworkError } from './errors.ts'
import type { FrameStream } from './frames.ts'
import type { Host } from './host.ts'
import { createStreamServer, declinedBy, IDLE_MS, openFrames, type StreamServer } from './streams.ts'

/** Protocol id of the query stream. */
export const QUERY_PROTOCOL = '/pinsub/query/1'

/** Answers a question of this network; the pages are sent in order, each as soon as the asker has room for it. */
export type QueryHandler = (request: QueryRequest, peer: NodeId) => AsyncIterable<QueryPage> | Iterable<QueryPage>

/** What {@link createQueryServer} may be told. */
export interface QueryServerOptions {
  readonly network: string
  /** Questions answered at once, in all; 32 unless said. */
  readonly maxStreams?: number
  /** Of these for one peer; 4 unless said. */
  readonly maxStreamsPerPeer?: number
  /** Of these for all peers together that are not known; 16 unless said. */
  readonly maxStrangerStreams?: number
  /** Milliseconds without a byte after which an asker is dropped; 10,000 unless said. */
  readonly idleMs?: number
}

/** Makes a server; questions of another network are declined before the handler sees them. */
export function createQueryServer(
  options: QueryServerOptions,
  ports: { readonly host: Host; readonly handler: QueryHandler; readonly clock: Clock; readonly isKnown?: (peer: NodeId) => boolean }
): StreamServer {
  const { host, handler, clock, isKnown } = ports
  const { maxStreams = 32, maxStreamsPerPeer = 4, maxStrangerStreams = 16, idleMs = IDLE_MS } = options

  const answer = async (frames: FrameStream, peer: NodeId): Promise<void> => {
    const bytes = await frames.read()
    if (bytes === undefined) throw new NetworkError('cut', 'no question')
    const request = decodeQueryRequest(bytes)
    if (request.network !== options.network) {
      await frames.write(encodeQueryPage({ page: 'error', error: 'network', network: options.network }))
    } else if (request.want === 'unknown') {
      await frames.write(encodeQueryPage({ page: 'error', error: 'unsupported' }))
    } else {
      for await (const page of handler(request, peer)) await frames.write(encodeQueryPage(page))
    }
    await frames.end()
  }

  const limits = { maxStreams, maxStreamsPerPeer, maxStrangerStreams, yieldMs: STRANGER_QUERY_MS, maxFrame: MAX_QUERY_BYTES, idleMs }
  return createStreamServer(QUERY_PROTOCOL, limits, { host, clock, isKnown, serve: answer })
}

/**
 * Asks a peer (its id where connected, else a multiaddr) and yields its pages; ends after the end mark.
 * Rejects with {@link NetworkError} `cut` where the answer stops before it, `declined` for an error page, `timeout` after 10 s
 * without a byte, `size` above {@link MAX_PAGES} pages (empty ones of a check not counted), or why the peer could not be reached; with
 * {@link InvalidMessageError} for a malformed page; with the signal's reason when it ends. Leaving the loop early ends the stream.
 */
export async function* query(
  host: Host,
  target: NodeId | string,
  request: QueryRequest,
  options: { readonly signal: AbortSignal; readonly clock?: Clock }
): AsyncGenerator<QueryPage, void, undefined> {
  const { signal, clock = systemClock } = options
  const question = encodeQueryRequest(request)
  const opened = await openFrames(host, target, { protocol: QUERY_PROTOCOL, maxFrame: MAX_PAGE_BYTES, idleMs: IDLE_MS, clock, signal })
  const { frames } = opened
  let whole = false
  try {
    await frames.write(question)
    for (let pages = 0; ;) {
      const bytes = await frames.read()
      if (bytes === undefined) break
      const page = accepted(decodeQueryPage(bytes), target)
      // Who reads terabytes before it answers says now and then that it is at it.
      if (!isSignOfLife(request, page) && ++pages > MAX_PAGES)
        throw new NetworkError('size', `${target} sends more than ${MAX_PAGES} pages: ask for less at a time`)
      yield page
    }
    whole = true
  } finally {
    opened.finish(whole)
  }
}

function isSignOfLife(request: QueryRequest, page: QueryPage): boolean {
  return request.want === 'status' && request.check === true && page.page === 'status' && page.rows.length === 0
}

function accepted(page: QueryPage, target: string): QueryPage {
  if (page.page === 'error') throw declinedBy(target, page)
  return page
}
