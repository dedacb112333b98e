/**
 * Opens gossipsub's streams for it. On its own it opens them one after the other, so that one peer that does not answer keeps
 * all others waiting; only after identify, a round trip late; and never again when one of two connections closes.
 */
import type { GossipSubComponents } from '@libp2p/gossipsub'
import type { Connection, PeerId, Stream, Topology } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Clock } from '../protocol/clock.ts'
import { MAX_GOSSIP_FIELDS } from '../protocol/limits.ts'
import type { Shape } from '../protocol/protobuf-frames.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { guardFields } from './field-guard.ts'
import type { HostLibp2p } from './host.ts'

/** The protocols, best first; floodsub has no scores and is not spoken. */
const PROTOCOLS = ['/meshsub/1.2.0', '/meshsub/1.1.0', '/meshsub/1.0.0']

const IDS: Shape = { 1: 'bytes', 2: 'bytes' }

/** A gossip frame, see https://github.com/libp2p/specs/tree/master/pubsub: subscriptions, messages, and what is offered, asked for, grafted and pruned. */
export const RPC: Shape = {
  1: { 1: 'number', 2: 'bytes' },
  2: { 1: 'bytes', 2: 'bytes', 3: 'bytes', 4: 'bytes', 5: 'bytes', 6: 'bytes' },
  3: { 1: IDS, 2: IDS, 3: IDS, 4: { 1: 'bytes', 2: IDS, 3: 'number' }, 5: IDS }
}

/** A peer that takes longer to open a stream is tried again. */
const OPEN_MS = 3_000
const RETRY_MS = 1_000

/** gossipsub's view of libp2p, and what became of its streams. */
export interface GossipStreams {
  /** To be handed to gossipsub in place of libp2p's registrar. */
  readonly registrar: GossipSubComponents['registrar']
  start(): void
  stop(): void
  /** The open stream on which the peer is sent gossip. */
  to(peer: NodeId): Stream | undefined
  /** Reads nothing of what the peer sends, which then waits at its end, or goes on. */
  hold(peer: NodeId, isHeld: boolean): void
}

/** Makes them; `changed` is called after a stream to a peer became usable for gossipsub, or ceased to be. */
export function createGossipStreams(ports: {
  readonly libp2p: HostLibp2p
  readonly clock: Clock
  readonly changed: (peer: NodeId) => void
}): GossipStreams {
  const { libp2p, clock, changed } = ports
  const opening = new Set<NodeId>()
  const outbound = new Map<NodeId, Stream>()
  let topology: Topology | undefined

  const offer = (connection: Connection): void => {
    const peer = connection.remotePeer.toString()
    if (topology === undefined || connection.status !== 'open' || opening.has(peer) || outbound.has(peer)) return
    opening.add(peer)
    connection.newStream(PROTOCOLS, { signal: AbortSignal.timeout(OPEN_MS) }).then(
      (stream) => {
        opening.delete(peer)
        opened(connection, peer, stream)
      },
      (err: unknown) => {
        opening.delete(peer)
        const unsupported = err instanceof Error && err.name === 'UnsupportedProtocolError'
        // One that does not speak gossip yet opens a stream to us when it does.
        if (!unsupported) clock.after(RETRY_MS, () => offerAny(connection.remotePeer))
      }
    )
  }

  const offerAny = (peer: PeerId): void => {
    for (const connection of libp2p.getConnections(peer)) offer(connection)
  }

  const opened = (connection: Connection, peer: NodeId, stream: Stream): void => {
    if (topology === undefined || stream.status !== 'open') {
      stream.abort(new Error('not needed'))
      if (topology !== undefined) offerAny(connection.remotePeer)
      return
    }
    outbound.set(peer, stream)
    // Gossip goes one way in each stream; what a peer writes into this one would wait here for ever.
    void stream.closeRead()
    stream.addEventListener('close', () => closed(connection, peer, stream), { once: true })
    const ready = async (): Promise<Stream> => {
      // gossipsub records the stream in the continuation of this promise.
      setImmediate(() => changed(peer))
      return stream
    }
    void topology.onConnect?.(connection.remotePeer, facade(connection, ready))
  }

  const closed = (connection: Connection, peer: NodeId, stream: Stream): void => {
    if (outbound.get(peer) !== stream) return
    outbound.delete(peer)
    setImmediate(() => {
      changed(peer)
      if (topology === undefined) return
      // A stream that dies on a live connection took the peer's subscriptions with it, here or there: only a new link mends that.
      if (connection.status === 'open') connection.abort(new Error('the gossip stream closed'))
      offerAny(connection.remotePeer)
    })
  }

  const onOpen = (event: CustomEvent<Connection>): void => offer(event.detail)
  const onDisconnect = (event: CustomEvent<PeerId>): void => {
    void topology?.onDisconnect?.(event.detail)
    changed(event.detail.toString())
  }

  const registrar: Pick<GossipSubComponents['registrar'], 'handle' | 'unhandle' | 'register' | 'unregister'> = {
    handle: (protocol, handler, options) =>
      libp2p.handle(
        protocol,
        (stream, connection) => {
          guardFields(stream, RPC, MAX_GOSSIP_FIELDS)
          // What was sent before it is read all the same; gossipsub, which comes after us, would not wait for it.
          stream.addEventListener('remoteCloseWrite', () => resume(stream))
          void handler(stream, facade(connection, refuse))
          offer(connection)
        },
        options
      ),
    unhandle: (protocol) => libp2p.unhandle(protocol),
    register: async (_protocol, given) => {
      topology = given
      return ''
    },
    unregister: () => {
      topology = undefined
    }
  }

  return {
    registrar: registrar as GossipSubComponents['registrar'],
    start: () => {
      libp2p.addEventListener('connection:open', onOpen)
      libp2p.addEventListener('peer:disconnect', onDisconnect)
      for (const connection of libp2p.getConnections()) offer(connection)
    },
    stop: () => {
      libp2p.removeEventListener('connection:open', onOpen)
      libp2p.removeEventListener('peer:disconnect', onDisconnect)
      outbound.clear()
      opening.clear()
    },
    to: (peer) => outbound.get(peer),
    hold: (peer, isHeld) => {
      for (const { streams } of libp2p.getConnections(peerIdFromString(peer))) {
        for (const stream of streams) {
          if (stream.direction !== 'inbound' || !PROTOCOLS.includes(stream.protocol)) continue
          if (isHeld) pause(stream)
          else resume(stream)
        }
      }
    }
  }
}

function pause(stream: Stream): void {
  if (stream.status === 'open' && stream.readStatus === 'readable') stream.pause()
}

function resume(stream: Stream): void {
  if (stream.status !== 'open' || stream.readStatus !== 'paused') return
  try {
    stream.resume()
  } catch (err) {
    // It tells the other side, by a link that may be gone.
    stream.abort(err as Error)
  }
}

const refuse = async (): Promise<never> => {
  throw new Error('opened elsewhere')
}

/** What gossipsub reads of a connection, with another way to open a stream. */
function facade(connection: Connection, newStream: () => Promise<Stream>): Connection {
  const { remotePeer, remoteAddr, direction } = connection
  return {
    remotePeer,
    remoteAddr,
    direction,
    newStream,
    get status() {
      return connection.status
    }
  } as unknown as Connection
}
