/** Holds connections to the peers that we want one to: dials, watches, hangs up what is dead, dials again. */
import type { PeerInfo } from '@libp2p/interface'
import type { Clock } from '../protocol/clock.ts'
import { MAX_ADDRESSES } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { parseMultiaddr, peerIn } from './addresses.ts'
import type { Bus } from './bus.ts'
import type { NetworkError } from './errors.ts'
import type { Host } from './host.ts'
import { createPinger } from './pinger.ts'
import type { PresenceTable } from './presence-table.ts'
import { CONNECT_MS, reach } from './reach.ts'
import { createRedialer, type RedialTiming } from './redialer.ts'

/** The keeper of links. */
export interface Links {
  start(): Promise<void>
  /** Ends the watch and the dials; connections stay as they are. */
  stop(): Promise<void>
  /** Adds an address (multiaddr text, /p2p optional) to hold a link to, for ever. Throws {@link NetworkError} `address`. */
  hold(address: string): void
  /** Peers that are linked and subscribed to commands. */
  peers(): readonly NodeId[]
  /**
   * Dials once; `ms` is how long that took, next to nothing where the link is there already.
   * Rejects with a {@link NetworkError} that names the address and the way out, or with the signal's reason.
   */
  connect(address: string, options: { readonly signal: AbortSignal }): Promise<{ readonly peer: NodeId; readonly ms: number }>
}

/** Milliseconds; dials take 3,000 at most, pauses between them grow by half from 2,000 to 5,000. */
export interface LinkTiming extends RedialTiming {
  /** Pause between two pings of a connection; 5,000. */
  readonly pingEvery: number
  /** How long the answer to a ping may take; 3,000. */
  readonly pingDead: number
}

/** What {@link createLinks} may be told. */
export interface LinksOptions {
  /** Multiaddr texts, as {@link parseBootstrap} gives them. */
  readonly bootstrap: readonly string[]
  /** Links to peers that only presence or mDNS told of; 32 unless said. Addresses that are held do not count. */
  readonly maxLinks?: number
  readonly timing?: Partial<LinkTiming>
}

/** What it works with. */
export interface LinksPorts {
  readonly host: Host
  readonly bus: Bus
  readonly clock: Clock
  readonly presence?: PresenceTable
  /** Nodes of the presence table to which links are held before others, however often their machine is dialled; none unless said. */
  isKnown?(node: NodeId): boolean
  /** Who answered at a held address without /p2p, each time it is linked to anew. */
  onAnswer?(address: string, peer: NodeId): void
  /** A held address answers with another swarm key, or one of the two has none; told once an address. */
  onWrongKey?(error: NetworkError): void
}

const TIMING: LinkTiming = { dial: 3_000, redialFirst: 2_000, redialMost: 5_000, pingEvery: 5_000, pingDead: 3_000 }

/** Gossip needs a dozen links; more than this would make every node of a large network carry all of them. */
const MAX_LINKS = 32

/** Presences come in bursts; the choice among them is made once for all. */
const CHOOSE_MS = 100

/**
 * Makes the keeper. With a presence table it also links to the nodes listed there, dialled only as the peer that signed.
 * Throws {@link NetworkError} `address` for a bootstrap address that is none.
 */
export function createLinks(options: LinksOptions, ports: LinksPorts): Links {
  const { host, bus, clock, presence, isKnown = () => false } = ports
  const { libp2p } = host
  const timing = { ...TIMING, ...options.timing }
  const maxLinks = options.maxLinks ?? MAX_LINKS
  const pinger = createPinger({ every: timing.pingEvery, dead: timing.pingDead }, { libp2p, clock })
  const wrongKeys = new Set<string>()
  const redialer = createRedialer(
    { timing, isSilent: (node) => presence?.get(node)?.online === false, isKnown },
    {
      host,
      clock,
      ...(ports.onAnswer === undefined ? {} : { onAnswer: ports.onAnswer }),
      onWrongKey: (address, error) => {
        if (!wrongKeys.has(address)) ports.onWrongKey?.(error)
        wrongKeys.add(address)
      }
    }
  )
  const { targets } = redialer
  /** By mDNS. */
  const discovered = new Set<NodeId>()
  let started = false
  let choosing: (() => void) | undefined
  let unwatch: (() => void) | undefined
  let unhear: (() => void) | undefined

  const onNearby = ({ id, multiaddrs }: PeerInfo): void => {
    const key = id.toString()
    if (key === host.id || (!targets.has(key) && others() >= maxLinks)) return
    discovered.add(key)
    redialer.add(key, { peer: key, addresses: usable(multiaddrs.map(String), key), held: false })
  }

  const others = (): number => [...targets.values()].filter(({ held }) => !held).length

  /** Which nodes of the presence table to hold links to: known ones, then those linked already, then those that are heard, then the silent. */
  const choose = (): void => {
    choosing = undefined
    if (presence === undefined || !started) return
    const worth = (node: NodeId, online: boolean): number => (isKnown(node) ? 3 : 0) + (redialer.isLinked(node) ? 2 : online ? 1 : 0)
    const chosen = presence
      .all()
      .filter((entry) => targets.get(entry.presence.node)?.held !== true)
      .map((entry) => ({ entry, worth: worth(entry.presence.node, entry.online) }))
      .toSorted((a, b) => b.worth - a.worth)
      .slice(0, maxLinks)
      .map(({ entry }) => entry.presence)
    const nodes = new Set(chosen.map(({ node }) => node))
    for (const [key, target] of targets) {
      if (!target.held && !nodes.has(key) && !discovered.has(key)) redialer.remove(key)
    }
    for (const { node, addresses } of chosen) redialer.add(node, { peer: node, addresses: usable(addresses, node), held: false })
  }

  const chooseSoon = (): void => {
    choosing ??= clock.after(CHOOSE_MS, choose)
  }

  const hold = (address: string): void => {
    const peer = peerIn(parseMultiaddr(address))
    if (peer !== host.id) redialer.add(peer ?? address, { peer, addresses: [address], held: true })
  }

  for (const address of options.bootstrap) hold(address)

  return {
    start: async () => {
      if (started) return
      started = true
      pinger.start()
      redialer.start()
      unhear = host.onNearby(onNearby)
      unwatch = presence?.onChange(chooseSoon)
      choose()
    },
    stop: async () => {
      started = false
      pinger.stop()
      redialer.stop()
      unhear?.()
      unwatch?.()
      choosing?.()
      choosing = undefined
    },
    hold,
    peers: () => bus.subscribers('commands'),
    connect: async (address, { signal }) => {
      const began = clock.now()
      const connection = await reach(host, [address], { signal, ms: CONNECT_MS })
      return { peer: connection.remotePeer.toString(), ms: clock.now() - began }
    }
  }
}

/** The addresses that we can dial, each with the peer id that must answer there. */
function usable(addresses: readonly string[], peer: NodeId): readonly string[] {
  return addresses.slice(0, MAX_ADDRESSES).flatMap((text) => {
    try {
      const address = parseMultiaddr(text)
      const named = peerIn(address)
      if (named !== undefined && named !== peer) return []
      return [named === undefined ? `${address.toString()}/p2p/${peer}` : address.toString()]
    } catch {
      return []
    }
  })
}
