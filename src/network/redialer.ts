/** Keeps dialling those we want a link to: at once when one breaks, then at growing intervals, a few at a time. */
import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Clock } from '../protocol/clock.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { NetworkError } from './errors.ts'
import { createDialBudget } from './dial-budget.ts'
import type { Host } from './host.ts'
import { reach } from './reach.ts'

/** Whom to hold a link to. */
export interface LinkTarget {
  /** Who must answer; undefined for an address without /p2p, where anybody may. */
  readonly peer: NodeId | undefined
  /** Multiaddr texts, tried in order. */
  readonly addresses: readonly string[]
  /** Asked for, and not only heard of. */
  readonly held: boolean
}

/** Keeps links up between start and stop. */
export interface Redialer {
  start(): void
  stop(): void
  /** The key is the peer id, or the address of a target without one. Replaces the addresses of a known target; a held one gains them. */
  add(key: string, target: LinkTarget): void
  /** Dials it no more; the link stays. */
  remove(key: string): void
  readonly targets: ReadonlyMap<string, { readonly held: boolean }>
  isLinked(peer: NodeId): boolean
}

/** Milliseconds: how long a dial may take, and the first and the longest pause between dials. */
export interface RedialTiming {
  readonly dial: number
  readonly redialFirst: number
  readonly redialMost: number
}

/** Dials at once: more of them at one slow uplink only fail together. */
const MAX_DIALS = 8

/** A node that fell silent may come back under its old address, but there is no hurry. */
const SILENT_REDIAL_MS = 60_000

interface Target {
  held: boolean
  /** Whether anybody may answer. */
  readonly isOpen: boolean
  addresses: readonly string[]
  /** Who must answer or, where anybody may, who did last. */
  peer: NodeId | undefined
  pause: number
  upSince: number | undefined
  busy: boolean
  cancel: (() => void) | undefined
}

/**
 * Makes it; `isSilent` tells of nodes that are dialled only now and then, `isKnown` of those whose own word on their addresses is good, `onAnswer` hears who answered where anybody may, `onWrongKey`
 * of each dial to a held address that failed for the swarm key.
 */
export function createRedialer(
  options: { readonly timing: RedialTiming; readonly isSilent: (peer: NodeId) => boolean; readonly isKnown: (peer: NodeId) => boolean },
  ports: {
    readonly host: Host
    readonly clock: Clock
    onAnswer?(address: string, peer: NodeId): void
    onWrongKey?(address: string, error: NetworkError): void
  }
): Redialer {
  const { timing, isSilent } = options
  const { host, clock } = ports
  const { libp2p } = host
  const budget = createDialBudget({ clock })
  const targets = new Map<string, Target>()
  const queue: Target[] = []
  let ended: AbortController | undefined
  let dials = 0

  const isLinked = (peer: NodeId): boolean => libp2p.getConnections(peerIdFromString(peer)).some(({ status }) => status === 'open')

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
      const { signal } = ended
      void dial(target, signal).then((pause) => {
        dials--
        target.busy = false
        if (pause !== undefined && !signal.aborted && [...targets.values()].includes(target)) schedule(target, pause)
        next()
      })
    }
  }

  /** The pause until the next try; undefined when the link is up, or when there is no use in another. */
  const dial = async (target: Target, signal: AbortSignal): Promise<number | undefined> => {
    if (target.peer !== undefined && isLinked(target.peer)) {
      target.upSince ??= clock.now()
      return undefined
    }
    const isHearsay = !target.held && !(target.peer !== undefined && options.isKnown(target.peer))
    for (const address of target.addresses) {
      if (isHearsay && !budget.take(address)) continue
      try {
        const connection = await reach(host, [address], { signal, ms: timing.dial })
        target.peer = connection.remotePeer.toString()
        if (isHearsay) budget.giveBack(address)
        if (target.isOpen) ports.onAnswer?.(address, target.peer)
        // Hung up on again before we knew who it was.
        if (!isLinked(target.peer)) continue
        target.upSince = clock.now()
        target.pause = timing.redialFirst
        return undefined
      } catch (err) {
        // Ourselves.
        if (err instanceof NetworkError && err.code === 'address') return undefined
        if (err instanceof NetworkError && err.code === 'swarm-key' && target.held) ports.onWrongKey?.(address, err)
      }
    }
    if (!target.held && target.peer !== undefined && isSilent(target.peer)) return SILENT_REDIAL_MS
    const { pause } = target
    target.pause = Math.min(pause * 1.5, timing.redialMost)
    return pause
  }

  const onConnect = ({ detail }: CustomEvent<PeerId>): void => {
    const target = targets.get(detail.toString())
    if (target !== undefined) target.upSince ??= clock.now()
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

  return {
    start: () => {
      ended = new AbortController()
      libp2p.addEventListener('peer:connect', onConnect)
      libp2p.addEventListener('peer:disconnect', onDisconnect)
      for (const target of targets.values()) enqueue(target)
    },
    stop: () => {
      ended?.abort()
      ended = undefined
      libp2p.removeEventListener('peer:connect', onConnect)
      libp2p.removeEventListener('peer:disconnect', onDisconnect)
      for (const target of queue.splice(0)) target.busy = false
      for (const target of targets.values()) target.cancel?.()
    },
    add: (key, { peer, addresses, held }) => {
      const known = targets.get(key)
      if (known !== undefined) {
        known.addresses = known.held || held ? [...new Set([...known.addresses, ...addresses])] : addresses
        known.held ||= held
        return
      }
      const isOpen = peer === undefined
      const target: Target = {
        held,
        isOpen,
        addresses,
        peer,
        pause: timing.redialFirst,
        upSince: undefined,
        busy: false,
        cancel: undefined
      }
      targets.set(key, target)
      schedule(target, 0)
    },
    remove: (key) => {
      targets.get(key)?.cancel?.()
      targets.delete(key)
    },
    targets,
    isLinked
  }
}
