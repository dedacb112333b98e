/** What the protocols of questions and answers share: streams served within bounds, and streams opened with errors that say why not. */
import type { Connection, Stream } from '@libp2p/interface'
import type { Clock } from '../protocol/clock.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { NetworkError } from './errors.ts'
import { createFrameStream, type FrameOptions, type FrameStream } from './frames.ts'
import type { Host } from './host.ts'
import { reachTarget } from './reach.ts'

/** Milliseconds without a byte after which either side gives up. */
export const IDLE_MS = 10_000

/** Serves streams. */
export interface StreamServer {
  start(): Promise<void>
  /** Ends what is under way. */
  stop(): Promise<void>
  /** Streams that were ended early since the start: for what the peer sent or did not take, or for want of room. */
  readonly aborted: number
}

/** How many streams of one protocol are served at once. */
export interface StreamLimits {
  readonly maxStreams: number
  readonly maxStreamsPerPeer: number
  /** For all peers together that are not known. */
  readonly maxStrangerStreams: number
  /** Milliseconds after which a stranger's stream is ended where another stranger has no room; never unless said. */
  readonly yieldMs?: number
}

/** Who answers, and who is known. */
export interface StreamServerPorts {
  readonly host: Host
  readonly clock: Clock
  readonly isKnown?: ((peer: NodeId) => boolean) | undefined
  /** Serves one stream to its end; what it throws aborts the stream. */
  serve(frames: FrameStream, peer: NodeId): Promise<void>
}

/** Makes a server of one protocol; a stream for which there is no room is aborted before a byte of it is read. */
export function createStreamServer(
  protocol: string,
  limits: StreamLimits & FrameOptions,
  { host, clock, serve, isKnown = () => false }: StreamServerPorts
): StreamServer {
  /** The oldest first. */
  const open = new Map<FrameStream, { readonly peer: NodeId; readonly since: number }>()
  let aborted = 0

  const hasRoom = (peer: NodeId): boolean => {
    const all = [...open]
    if (all.length >= limits.maxStreams || all.filter(([, other]) => other.peer === peer).length >= limits.maxStreamsPerPeer) return false
    if (isKnown(peer)) return true
    const strangers = all.filter(([, other]) => !isKnown(other.peer))
    return strangers.length < limits.maxStrangerStreams || hasYielded(strangers[0])
  }

  /** Ends what a stranger has held for long, so that a few that take their time do not keep all others waiting. */
  const hasYielded = (oldest: readonly [FrameStream, { readonly since: number }] | undefined): boolean => {
    if (oldest === undefined || limits.yieldMs === undefined) return false
    const [frames, { since }] = oldest
    if (clock.now() - since < limits.yieldMs) return false
    open.delete(frames)
    frames.abort(new NetworkError('stopped', 'others wait'))
    return true
  }

  const accept = async (stream: Stream, connection: Connection): Promise<void> => {
    const peer = connection.remotePeer.toString()
    if (!hasRoom(peer)) {
      aborted++
      stream.abort(new Error('too many streams at once'))
      return
    }
    const frames = createFrameStream(stream, limits, { clock })
    open.set(frames, { peer, since: clock.now() })
    try {
      await serve(frames, peer)
      await frames.close()
    } catch (err) {
      aborted++
      frames.abort(asError(err))
    } finally {
      open.delete(frames)
    }
  }

  return {
    start: () =>
      host.libp2p.handle(protocol, (stream, connection) => void accept(stream, connection), { maxInboundStreams: limits.maxStreams }),
    stop: async () => {
      await host.libp2p.unhandle(protocol)
      for (const frames of open.keys()) frames.abort(new NetworkError('stopped', 'this node is stopping'))
    },
    get aborted() {
      return aborted
    }
  }
}

/** A stream to a peer that asks something of it. */
export interface OpenedStream {
  readonly frames: FrameStream
  /** Closes it where all was said, else aborts it. Must be called. */
  finish(whole: boolean): void
}

/** How a stream is opened. */
export interface OpenOptions extends FrameOptions {
  readonly protocol: string
  readonly clock: Clock
  /** Ends the stream too, for as long as it is not finished; what waits then rejects with its reason. */
  readonly signal: AbortSignal
}

/**
 * Opens a stream to a peer: its id where connected, else a multiaddr. Rejects with {@link NetworkError} `protocol` where it does not
 * speak the protocol, `unreachable` where no stream opens, or why it could not be reached; with the signal's reason when it ends.
 */
export async function openFrames(host: Host, target: NodeId | string, options: OpenOptions): Promise<OpenedStream> {
  const { protocol, clock, signal } = options
  const connection = await reachTarget(host, target, signal)
  const frames = createFrameStream(await openStream(connection, protocol, target, signal), options, { clock })
  const onAbort = (): void => frames.abort(asError(signal.reason))
  if (signal.aborted) onAbort()
  signal.throwIfAborted()
  signal.addEventListener('abort', onAbort)
  return {
    frames,
    finish: (whole) => {
      signal.removeEventListener('abort', onAbort)
      if (whole) void frames.close()
      else frames.abort(new Error('the answer is not wanted any more'))
    }
  }
}

/** Why a peer answers with an error instead. */
export type Declined = { readonly error: 'network'; readonly network: string } | { readonly error: 'unsupported' | 'busy' }

/** The error for it. */
export function declinedBy(target: string, said: Declined): NetworkError {
  switch (said.error) {
    case 'network':
      return new NetworkError(
        'declined',
        `${target} is of network "${said.network}": give that with --network, or another address with --bootstrap`
      )
    case 'busy':
      return new NetworkError('declined', `${target} has too much to do now: ask again later`)
    case 'unsupported':
      return new NetworkError('declined', `${target} does not know this question: its version is older than this one`)
  }
}

async function openStream(connection: Connection, protocol: string, target: string, signal: AbortSignal): Promise<Stream> {
  try {
    return await connection.newStream(protocol, { signal: AbortSignal.any([signal, AbortSignal.timeout(IDLE_MS)]) })
  } catch (err) {
    signal.throwIfAborted()
    if (err instanceof Error && err.name === 'UnsupportedProtocolError') {
      throw new NetworkError('protocol', `${target} is not a pinsub node: it speaks libp2p, but not ${protocol}`, { cause: err })
    }
    throw new NetworkError('unreachable', `${target} did not open a stream: the link is gone, or it is overloaded`, { cause: err })
  }
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}
