/** Who may be connected: peers that were cut off stay out for a while, and strangers never take all the room. */
import type { ConnectionGater, Connection, MultiaddrConnection, PeerId } from '@libp2p/interface'
import type { Clock } from '../protocol/clock.ts'
import {
  KEEP_OUT_MS,
  MAX_ADDRESS_CONNECTIONS,
  MAX_ADDRESS_DIALS,
  MAX_ADDRESS_HANDSHAKES,
  MAX_PEER_CONNECTIONS,
  MAX_STRANGER_CONNECTIONS,
  MAX_WATCHED_PEERS
} from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { createLevels } from './levels.ts'
import { originOf } from './origin.ts'

/** The gate of one host. */
export interface Gate {
  /** To be handed to libp2p. */
  readonly gater: ConnectionGater
  /** Takes no connection with the peer, either way, for {@link KEEP_OUT_MS}; those that are open stay. */
  keepOut(peer: NodeId): void
}

/** What it looks at. */
export interface GatePorts {
  readonly clock: Clock
  isKnown(peer: NodeId): boolean
  connections(): readonly Connection[]
}

/** Makes it. Known nodes are kept out by nothing but {@link MAX_PEER_CONNECTIONS} and handshakes, which come before anybody has a name. */
export function createGate({ clock, isKnown, connections }: GatePorts): Gate {
  /** Until when, in that order. */
  const out = new Map<NodeId, number>()
  const dials = createLevels({ perSecond: MAX_ADDRESS_DIALS, most: MAX_ADDRESS_DIALS, kept: MAX_WATCHED_PEERS }, { clock })
  const handshakes = new Map<string, Set<MultiaddrConnection>>()

  const isOut = (peer: PeerId): boolean => (out.get(peer.toString()) ?? 0) > clock.now()

  const shaken = (connection: MultiaddrConnection): void => {
    const origin = originOf(connection.remoteAddr)
    const under = handshakes.get(origin)
    under?.delete(connection)
    if (under?.size === 0) handshakes.delete(origin)
  }

  const hasRoom = (peer: NodeId, origin: string): boolean => {
    const all = connections().filter(({ status }) => status === 'open')
    if (all.filter(({ remotePeer }) => remotePeer.toString() === peer).length >= MAX_PEER_CONNECTIONS) return false
    if (isKnown(peer)) return true
    const strangers = all.filter(({ remotePeer }) => !isKnown(remotePeer.toString()))
    if (strangers.length >= MAX_STRANGER_CONNECTIONS) return false
    return strangers.filter((connection) => originOf(connection.remoteAddr) === origin).length < MAX_ADDRESS_CONNECTIONS
  }

  return {
    gater: {
      // A name in an address that a peer told us would send our questions to a name server of its choice.
      denyDialMultiaddr: (address) => address.getComponents().some(({ name }) => name.startsWith('dns')),
      denyDialPeer: isOut,
      denyOutboundEncryptedConnection: isOut,
      denyInboundConnection: (connection) => {
        const origin = originOf(connection.remoteAddr)
        const under = handshakes.get(origin) ?? new Set()
        if (under.size >= MAX_ADDRESS_HANDSHAKES || dials.get(origin) > MAX_ADDRESS_DIALS - 1) return true
        dials.add(origin, 1)
        handshakes.set(origin, under.add(connection))
        connection.addEventListener('close', () => shaken(connection), { once: true })
        return false
      },
      denyInboundEncryptedConnection: isOut,
      denyInboundUpgradedConnection: (peer, connection) => {
        shaken(connection)
        return !hasRoom(peer.toString(), originOf(connection.remoteAddr))
      }
    },
    keepOut: (peer) => {
      out.delete(peer)
      out.set(peer, clock.now() + KEEP_OUT_MS)
      const [oldest] = out.keys()
      if (out.size > MAX_WATCHED_PEERS && oldest !== undefined) out.delete(oldest)
    }
  }
}
