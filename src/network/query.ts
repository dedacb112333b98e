/** `/pinsub/query/1`: one question a stream, answered in pages with an end mark. */
import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../protocol/clock.ts'
import { MAX_PAGES, MAX_PAGE_BYTES, MAX_QUERY_BYTES } from '../protocol/limits.ts'
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
import { createFrameStream, type FrameStream } from './frames.ts'
import type { Host } from './host.ts'
import { reachTarget } from './reach.ts'

/** Protocol id of the query stream. */
export const QUERY_PROTOCOL = '/pinsub/query/1'

/** Milliseconds without a byte after which either side gives up. */
const IDLE_MS = 10_000

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

/** Answers questions. */
export interface QueryServer {
  start(): Promise<void>
  /** Ends what is under way. */
  stop(): Promise<void>
  /** Streams that were ended early since the start: for what the peer sent or did not take, or for want of room. */
  readonly aborted: number
}

/** Makes a server; questions of another network are declined before the handler sees them. */
export function createQueryServer(
  options: QueryServerOptions,
  ports: { readonly host: Host; readonly handler: QueryHandler; readonly clock: Clock; readonly isKnown?: (peer: NodeId) => boolean }
): QueryServer {
  const { host, handler, clock, isKnown = () => false } = ports
  const { maxStreams = 32, maxStreamsPerPeer = 4, maxStrangerStreams = 16, idleMs = IDLE_MS } = options
  const open = new Map<FrameStream, NodeId>()
  let aborted = 0

  const hasRoom = (peer: NodeId): boolean => {
    const peers = [...open.values()]
    if (peers.length >= maxStreams || peers.filter((other) => other === peer).length >= maxStreamsPerPeer) return false
    return isKnown(peer) || peers.filter((other) => !isKnown(other)).length < maxStrangerStreams
  }

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

  const serve = async (stream: Stream, connection: Connection): Promise<void> => {
    const peer = connection.remotePeer.toString()
    if (!hasRoom(peer)) {
      aborted++
      stream.abort(new Error('too many questions at once'))
      return
    }
    const frames = createFrameStream(stream, { maxFrame: MAX_QUERY_BYTES, idleMs }, { clock })
    open.set(frames, peer)
    try {
      await answer(frames, peer)
      await frames.close()
    } catch (err) {
      aborted++
      frames.abort(err instanceof Error ? err : new Error(String(err)))
    } finally {
      open.delete(frames)
    }
  }

  return {
    start: () =>
      host.libp2p.handle(QUERY_PROTOCOL, (stream, connection) => void serve(stream, connection), { maxInboundStreams: maxStreams }),
    stop: async () => {
      await host.libp2p.unhandle(QUERY_PROTOCOL)
      for (const frames of open.keys()) frames.abort(new NetworkError('stopped', 'this node is stopping'))
    },
    get aborted() {
      return aborted
    }
  }
}

/**
 * Asks a peer (its id where connected, else a multiaddr) and yields its pages; ends after the end mark.
 * Rejects with {@link NetworkError} `cut` where the answer stops before it, `declined` for an error page, `timeout` after 10 s
 * without a byte, `size` above {@link MAX_PAGES} pages, or why the peer could not be reached; with {@link InvalidMessageError}
 * for a malformed page; with the signal's reason when it ends. Leaving the loop early ends the stream.
 */
export async function* query(
  host: Host,
  target: NodeId | string,
  request: QueryRequest,
  options: { readonly signal: AbortSignal; readonly clock?: Clock }
): AsyncGenerator<QueryPage, void, undefined> {
  const { signal, clock = systemClock } = options
  const question = encodeQueryRequest(request)
  const connection = await reachTarget(host, target, signal)
  const stream = await openStream(connection, target, signal)
  const frames = createFrameStream(stream, { maxFrame: MAX_PAGE_BYTES, idleMs: IDLE_MS }, { clock })
  const onAbort = (): void => frames.abort(asError(signal.reason))
  signal.addEventListener('abort', onAbort)
  let whole = false
  try {
    signal.throwIfAborted()
    await frames.write(question)
    for (let pages = 0; ; pages++) {
      const bytes = await frames.read()
      if (bytes === undefined) break
      if (pages >= MAX_PAGES) throw new NetworkError('size', `${target} sends more than ${MAX_PAGES} pages: ask for less at a time`)
      yield accepted(decodeQueryPage(bytes), target)
    }
    whole = true
  } finally {
    signal.removeEventListener('abort', onAbort)
    if (whole) void frames.close()
    else frames.abort(new Error('the answer is not wanted any more'))
  }
}

function accepted(page: QueryPage, target: string): QueryPage {
  if (page.page !== 'error') return page
  if (page.error === 'network') {
    throw new NetworkError(
      'declined',
      `${target} is of network "${page.network}": give that with --network, or another address with --bootstrap`
    )
  }
  if (page.error === 'busy') throw new NetworkError('declined', `${target} has too much to do now: ask again later`)
  throw new NetworkError('declined', `${target} does not know this question: its version is older than this one`)
}

async function openStream(connection: Connection, target: string, signal: AbortSignal): Promise<Stream> {
  try {
    return await connection.newStream(QUERY_PROTOCOL, { signal: AbortSignal.any([signal, AbortSignal.timeout(IDLE_MS)]) })
  } catch (err) {
    signal.throwIfAborted()
    if (err instanceof Error && err.name === 'UnsupportedProtocolError') {
      throw new NetworkError('protocol', `${target} is not a pinsub node: it speaks libp2p, but not ${QUERY_PROTOCOL}`, { cause: err })
    }
    throw new NetworkError('unreachable', `${target} did not open a stream: the link is gone, or it is overloaded`, { cause: err })
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
