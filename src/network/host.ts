/** The libp2p host: TCP, Noise and Yamux, and nothing that calls anybody by itself. */
import { noise } from '@libp2p/noise'
import type { Identify } from '@libp2p/identify'
import type { Libp2p, PeerInfo, PrivateKey } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import type { Clock } from '../protocol/clock.ts'
import { MAX_CONNECTIONS, MAX_HANDSHAKES } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { hostPort, parseMultiaddr } from './addresses.ts'
import { systemClock } from './clock.ts'
import { NetworkError } from './errors.ts'
import { createGate } from './gate.ts'
import { createIdentify } from './identify.ts'
import { createMuxer } from './muxer.ts'
import { createPeerMemory } from './peer-memory.ts'
import { createPing } from './ping.ts'
import { createProtector } from './private-network.ts'

/** Who the host is and where it listens. */
export interface HostOptions {
  /** Ed25519. Two hosts with one key do not hear each other. */
  readonly privateKey: PrivateKey
  /** TCP multiaddrs; none: the host can dial and not be dialled. */
  readonly listen: readonly string[]
  /** Announces itself and finds others on the local network; off unless asked for. */
  readonly mdns?: boolean
  /** What others are told instead of where it listens: for a host behind a mapped port. */
  readonly announce?: readonly string[]
  /** `pinsub/1.0.0`. */
  readonly userAgent?: string
  /** 32 bytes that all hosts of a private network share; others cannot connect, and learn nothing. */
  readonly swarmKey?: Uint8Array
}

/** The libp2p node inside a {@link Host}. */
export type HostLibp2p = Libp2p<{ identify: Identify; ping: Ping }>

/** A libp2p host. */
export interface Host {
  readonly libp2p: HostLibp2p
  readonly privateKey: PrivateKey
  readonly id: NodeId
  /** Multiaddrs with /p2p under which it can be dialled, those that others can reach first; none before {@link Host.start}. */
  addresses(): readonly string[]
  /** Listens. Rejects with {@link NetworkError} `address-in-use` or `address` and leaves nothing open. */
  start(): Promise<void>
  /** Closes all connections and ports; may be called twice. */
  stop(): Promise<void>
  /** Calls with each peer that is found on the local network, each time; the returned function ends that. */
  onNearby(listener: (peer: PeerInfo) => void): () => void
  /** Hangs up on a peer, and takes no connection with it for a minute. */
  shun(peer: NodeId): void
  [Symbol.asyncDispose](): Promise<void>
}

/** One mDNS name for pinsub alone: the usual one would show every IPFS daemon around. */
const MDNS_SERVICE = '_pinsub._udp.local'

/**
 * Makes a host that is not started. Rejects with {@link NetworkError} `address` for an address it cannot listen on. Peers for which `isKnown`
 * does not hold, all unless said, leave room for others.
 */
export async function createHost(
  options: HostOptions,
  { clock = systemClock, isKnown = () => false }: { readonly clock?: Clock; readonly isKnown?: (peer: NodeId) => boolean } = {}
): Promise<Host> {
  for (const address of [...options.listen, ...(options.announce ?? [])]) parseMultiaddr(address)
  const protector = await createProtector(options.swarmKey)
  /** libp2p's own event is raised by whoever connects, too. */
  const nearby = new Set<(peer: PeerInfo) => void>()
  const mdns = options.mdns === true ? (await import('@libp2p/mdns')).mdns({ serviceTag: MDNS_SERVICE }) : undefined
  const gate = createGate({ clock, isKnown, connections: () => libp2p.getConnections() })
  const libp2p: HostLibp2p = await createLibp2p({
    start: false,
    privateKey: options.privateKey,
    addresses: { listen: [...options.listen], ...(options.announce === undefined ? {} : { announce: [...options.announce] }) },
    transports: [tcp()],
    connectionProtector: () => protector,
    connectionEncrypters: [noise()],
    streamMuxers: [createMuxer({ clock })],
    peerDiscovery:
      mdns === undefined
        ? []
        : [
            (components) => {
              const discovery = mdns(components)
              discovery.addEventListener('peer', ({ detail }) => nearby.forEach((tell) => tell(detail)))
              return discovery
            }
          ],
    connectionGater: gate.gater,
    // links.ts pings on its own clock, and says what it found.
    connectionMonitor: { enabled: false },
    connectionManager: {
      maxConnections: MAX_CONNECTIONS,
      // gate.ts counts them, those of an IPv6 network as one.
      inboundConnectionThreshold: Infinity,
      maxIncomingPendingConnections: MAX_HANDSHAKES,
      // As long as the longest dial of ours.
      addressDialTimeout: 5_000,
      inboundUpgradeTimeout: 5_000,
      inboundStreamProtocolNegotiationTimeout: 5_000,
      outboundStreamProtocolNegotiationTimeout: 5_000
    },
    ...(options.userAgent === undefined ? {} : { nodeInfo: { userAgent: options.userAgent } }),
    services: { identify: createIdentify(), ping: createPing() }
  })
  const memory = createPeerMemory({ libp2p, clock })
  const stop = async (): Promise<void> => {
    memory.stop()
    await libp2p.stop()
  }
  return {
    libp2p,
    privateKey: options.privateKey,
    id: libp2p.peerId.toString(),
    addresses: () => reachableFirst(libp2p.getMultiaddrs().map(String)),
    start: async () => {
      try {
        await libp2p.start()
        memory.start()
      } catch (err) {
        await stop()
        throw listenError(err, options.listen)
      }
    },
    stop,
    onNearby: (listener) => {
      nearby.add(listener)
      return () => nearby.delete(listener)
    },
    shun: (peer) => {
      gate.keepOut(peer)
      for (const connection of libp2p.getConnections(peerIdFromString(peer))) connection.abort(new Error('not listened to any more'))
    },
    [Symbol.asyncDispose]: stop
  }
}

function reachableFirst(addresses: readonly string[]): readonly string[] {
  const loopback = (address: string): number => (/^\/ip4\/127\.|^\/ip6\/::1\//.test(address) ? 1 : 0)
  return addresses.toSorted((a, b) => loopback(a) - loopback(b))
}

/** libp2p puts what each listener said into one text. */
function listenError(err: unknown, listen: readonly string[]): unknown {
  const text = err instanceof Error ? err.message : String(err)
  const [, code, at] = /\b(EADDRINUSE|EACCES|EADDRNOTAVAIL)\b[^\n]*? (\S+)$/m.exec(text) ?? []
  const where = at ?? listen.map(hostPort).join(', ')
  const cause = { cause: err }
  if (code === 'EADDRINUSE') {
    return new NetworkError(
      'address-in-use',
      `${where} is in use: another agent or program listens there; stop it or choose another port with --listen`,
      cause
    )
  }
  if (code === 'EACCES') return new NetworkError('address', `${where} may not be listened on by this user: choose a port above 1023`, cause)
  if (code === 'EADDRNOTAVAIL')
    return new NetworkError('address', `${where} is not an address of this machine: listen on 0.0.0.0 or one it has`, cause)
  return err
}
