/** Holds connections to the peers that we want one to: dials, watches, hangs up what is dead, dials again. */
import type { PeerId, PeerInfo } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Clock } from '../protocol/clock.ts'
import { MAX_ADDRESSES } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { parseMultiaddr, peerIn } from './addresses.ts'
import type { Bus } from './bus.ts'
import { NetworkError } from './errors.ts'
import type { Host } from './host.ts'
import { createPinger } from './pinger.ts'
import type { PresenceTable } from './presence-table.ts'
import { CONNECT_MS, reach } from './reach.ts'

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

/** Milliseconds; the defaults are those of the design, tests shorten them. */
export interface LinkTiming {
  /** How long one dial may take; 3,000. */
  readonly dial: number
  /** Pause after the first failed dial; 2,000. It grows by half each time. */
  readonly redialFirst: number
  /** Longest pause; 5,000. */
  readonly redialMost: number
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

const TIMING: LinkTiming = { dial: 3_000, redialFirst: 2_000, redialMost: 5_000, pingEvery: 5_000, pingDead: 3_000 }

/** Gossip needs a dozen links; more than this would make every node of a large network carry all of them. */
const MAX_LINKS = 32

/** Dials at once: more of them at one slow uplink only fail together. */
const MAX_DIALS = 8

/** A node that fell silent may come back under its old address, but its place is better used. */
const SILENT_REDIAL_MS = 60_000

/** Presences come in bursts; the choice among them is made once for all. */
const CHOOSE_MS = 100

interface Target {
  readonly held: boolean
  addresses: readonly string[]
  /** Whom it must be, or, for an address without /p2p, who it was. */
  peer: NodeId | undefined
  pause: number
  upSince: number | undefined
  busy: boolean
  cancel: (() => void) | undefined
}

/**
 * Makes the keeper. With a presence table it also links to the nodes listed there, dialled only as the peer that signed.
 * Throws {@link NetworkError} `address` for a bootstrap address that is none.
 */
export function createLinks(
  options: LinksOptions,
  ports: { readonly host: Host; readonly bus: Bus; readonly clock: Clock; readonly presence?: PresenceTable }
): Links {
  const { host, bus, clock, presence } = ports
  const { libp2p } = host
  const timing = { ...TIMING, ...options.timing }
  const maxLinks = options.maxLinks ?? MAX_LINKS
  const pinger = createPinger({ every: timing.pingEvery, dead: timing.pingDead }, { libp2p, clock })
  /** By peer id, or by address where that names no peer. */
  const targets = new Map<string, Target>()
  const queue: Target[] = []
  let ended: AbortController | undefined
  let dials = 0
  let choosing: (() => void) | undefined
  let unwatch: (() => void) | undefined

  const isLinked = (peer: NodeId): boolean => libp2p.getConnections(peerIdFromString(peer)).some(({ status }) => status === 'open')

  const add = (key: string, peer: NodeId | undefined, addresses: readonly string[], held: boolean): void => {
    const known = targets.get(key)
    if (known === undefined || (held && !known.held)) {
      known?.cancel?.()
      const target: Target = {
        held,
        addresses: [...new Set([...(known?.addresses ?? []), ...addresses])],
        peer,
        pause: timing.redialFirst,
        upSince: undefined,
        busy: false,
        cancel: undefined
      }
      targets.set(key, target)
      schedule(target, 0)
    } else {
      known.addresses = held ? [...new Set([...known.addresses, ...addresses])] : addresses
    }
  }

  const schedule = (target: Target, ms: number): void => {
    target.cancel?.()
    if (ended === undefined) return
    target.cancel = clock.after(ms, () => enqueue(target))
  }

  const enqueue = (target: Target): void => {
    target.cancel = undefined
    if (target.busy) return
    target.busy = true
    queue.push(target)
    next()
  }

  const next = (): void => {
    while (dials < MAX_DIALS) {
      const target = queue.shift()
      if (target === undefined || ended === undefined) return
      dials++
      void dial(target, ended.signal).finally(() => {
        dials--
        target.busy = false
        next()
      })
    }
  }

  const dial = async (target: Target, signal: AbortSignal): Promise<void> => {
    if (target.peer !== undefined && isLinked(target.peer)) {
      target.upSince ??= clock.now()
      return
    }
    for (const address of target.addresses) {
      try {
        const connection = await reach(host, [address], { signal, ms: timing.dial })
        target.peer = connection.remotePeer.toString()
        target.upSince = clock.now()
        target.pause = timing.redialFirst
        return
      } catch (err) {
        if (signal.aborted) return
        // Ourselves; nothing to redial.
        if (err instanceof NetworkError && err.code === 'address') return
      }
    }
    const silent = !target.held && target.peer !== undefined && presence?.get(target.peer)?.online === false
    schedule(target, silent ? SILENT_REDIAL_MS : target.pause)
    target.pause = Math.min(target.pause * 1.5, timing.redialMost)
  }

  const onDisconnect = ({ detail }: CustomEvent<PeerId>): void => {
    const peer = detail.toString()
    for (const target of targets.values()) {
      if (target.peer !== peer) continue
      // At once, unless the peer is one that hangs up on us each time.
      const lived = target.upSince === undefined ? 0 : clock.now() - target.upSince
      target.upSince = undefined
      schedule(target, lived > timing.redialFirst ? 0 : target.pause)
    }
  }

  const onConnect = ({ detail }: CustomEvent<PeerId>): void => {
    const target = targets.get(detail.toString())
    if (target !== undefined) target.upSince ??= clock.now()
  }

  const onDiscovery = ({ detail }: CustomEvent<PeerInfo>): void => {
    const key = detail.id.toString()
    if (key === host.id || (!targets.has(key) && others() >= maxLinks)) return
    add(key, key, usable(detail.multiaddrs.map(String), key), false)
  }

  const others = (): number => [...targets.values()].filter(({ held }) => !held).length

  /** Which nodes of the presence table to hold links to: those linked already, then those that are heard, then the silent. */
  const choose = (): void => {
    choosing = undefined
    if (presence === undefined || ended === undefined) return
    const worth = (node: NodeId, online: boolean): number => (isLinked(node) ? 2 : online ? 1 : 0)
    const chosen = presence
      .all()
      .filter((entry) => targets.get(entry.presence.node)?.held !== true)
      .map((entry) => ({ entry, worth: worth(entry.presence.node, entry.online) }))
      .toSorted((a, b) => b.worth - a.worth)
      .slice(0, maxLinks)
      .map(({ entry }) => entry.presence)
    const nodes = new Set(chosen.map(({ node }) => node))
    for (const [key, target] of targets) {
      if (target.held || nodes.has(key) || presence.get(key) === undefined) continue
      target.cancel?.()
      targets.delete(key)
    }
    for (const { node, addresses } of chosen) add(node, node, usable(addresses, node), false)
  }

  const chooseSoon = (): void => {
    choosing ??= clock.after(CHOOSE_MS, choose)
  }

  const hold = (address: string): void => {
    const peer = peerIn(parseMultiaddr(address))
    if (peer !== host.id) add(peer ?? address, peer, [address], true)
  }

  for (const address of options.bootstrap) hold(address)

  return {
    start: async () => {
      if (ended !== undefined) return
      ended = new AbortController()
      pinger.start()
      libp2p.addEventListener('peer:disconnect', onDisconnect)
      libp2p.addEventListener('peer:connect', onConnect)
      libp2p.addEventListener('peer:discovery', onDiscovery)
      unwatch = presence?.onChange(chooseSoon)
      for (const target of targets.values()) enqueue(target)
      choose()
    },
    stop: async () => {
      ended?.abort()
      ended = undefined
      pinger.stop()
      libp2p.removeEventListener('peer:disconnect', onDisconnect)
      libp2p.removeEventListener('peer:connect', onConnect)
      libp2p.removeEventListener('peer:discovery', onDiscovery)
      unwatch?.()
      choosing?.()
      choosing = undefined
      queue.length = 0
      for (const target of targets.values()) {
        target.cancel?.()
        target.busy = false
      }
    },
    hold,
    peers: () => bus.subscribers('commands'),
    connect: async (address, { signal }) => {
      const started = clock.now()
      const connection = await reach(host, [address], { signal, ms: CONNECT_MS })
      return { peer: connection.remotePeer.toString(), ms: clock.now() - started }
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
