/**
 * Keeps dialling those we want a link to: at once when one breaks, then at growing intervals, a few at a time. Those who were only heard of
 * take no place of others, and whoever waits has his turn after one address of each before him.
 */
import type { PeerId } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Clock } from '../protocol/clock.ts'
import { MAX_ADDRESSES } from '../protocol/limits.ts'
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
  /** The key is the peer id, or the address of a target without one. Replaces the addresses of a known target; a held one gains them, up to MAX_ADDRESSES. */
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

/** Dials at once to those who were asked for or are known, and as many to those who were only heard of: more of them at one slow uplink only fail together. */
const MAX_DIALS = 8

/** A node that fell silent may come back under its old address, but there is no hurry. */
const SILENT_REDIAL_MS = 60_000

interface Target {
  held: boolean
  /** Whether anybody may answer. */
  readonly isOpen: boolean
  addresses: readonly string[]
  /** Which of them is next in this round. */
  turn: number
  /** Who must answer or, where anybody may, who did last. */
  peer: NodeId | undefined
  pause: number
  upSince: number | undefined
  dialling: boolean
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
  const budget = createDialBudget({ names: false }, { clock })
  const targets = new Map<string, Target>()
  const queue = new Set<Target>()
  const dials = { own: 0, hearsay: 0 }
  let ended: AbortController | undefined

  const isLinked = (peer: NodeId): boolean => libp2p.getConnections(peerIdFromString(peer)).some(({ status }) => status === 'open')

  const schedule = (target: Target, ms: number): void => {
    target.cancel?.()
    if (ended === undefined) return
    target.cancel = clock.after(ms, () => enqueue(target))
  }

  const enqueue = (target: Target): void => {
    target.cancel = undefined
    if (target.dialling) return
    queue.add(target)
    next()
  }

  const kindOf = ({ held, peer }: Target): keyof typeof dials => (held || (peer !== undefined && options.isKnown(peer)) ? 'own' : 'hearsay')

  const next = (): void => {
    for (const target of queue) {
      if (ended === undefined) return
      const kind = kindOf(target)
      if (dials[kind] >= MAX_DIALS) continue
      queue.delete(target)
      dials[kind]++
      target.dialling = true
      const { signal } = ended
      void dial(target, kind === 'hearsay', signal).then((pause) => {
        dials[kind]--
        target.dialling = false
        if (pause !== undefined && !signal.aborted && [...targets.values()].includes(target)) schedule(target, pause)
        next()
      })
    }
  }

  /** Tries its next address. The pause until the one after it; undefined when the link is up, or when there is no use in another. */
  const dial = async (target: Target, isHearsay: boolean, signal: AbortSignal): Promise<number | undefined> => {
    if (target.peer !== undefined && isLinked(target.peer)) {
      target.upSince ??= clock.now()
      target.turn = 0
      return undefined
    }
    const address = nextAddress(target, isHearsay)
    if (address === undefined) return roundPause(target)
    try {
      const connection = await reach(host, [address], { signal, ms: timing.dial })
      target.peer = connection.remotePeer.toString()
      if (isHearsay) budget.giveBack(address)
      if (target.isOpen) ports.onAnswer?.(address, target.peer)
      // Else hung up on again before we knew who it was.
      if (isLinked(target.peer)) {
        target.upSince = clock.now()
        target.pause = timing.redialFirst
        target.turn = 0
        return undefined
      }
    } catch (err) {
      // Ourselves.
      if (err instanceof NetworkError && err.code === 'address') return undefined
      if (err instanceof NetworkError && err.code === 'swarm-key' && target.held) ports.onWrongKey?.(address, err)
    }
    return target.turn < target.addresses.length ? 0 : roundPause(target)
  }

  const nextAddress = (target: Target, isHearsay: boolean): string | undefined => {
    while (target.turn < target.addresses.length) {
      const address = target.addresses[target.turn++] as string
      if (!isHearsay || budget.take(address)) return address
    }
    return undefined
  }

  /** The pause after all addresses of a target were tried. */
  const roundPause = (target: Target): number => {
    target.turn = 0
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
      queue.clear()
      for (const target of targets.values()) target.cancel?.()
    },
    add: (key, { peer, addresses, held }) => {
      const known = targets.get(key)
      if (known !== undefined) {
        known.addresses = known.held || held ? [...new Set([...known.addresses, ...addresses])].slice(0, MAX_ADDRESSES) : addresses
        known.held ||= held
        return
      }
      const isOpen = peer === undefined
      const target: Target = {
        held,
        isOpen,
        addresses,
        turn: 0,
        peer,
        pause: timing.redialFirst,
        upSince: undefined,
        dialling: false,
        cancel: undefined
      }
      targets.set(key, target)
      schedule(target, 0)
    },
    remove: (key) => {
      const target = targets.get(key)
      if (target === undefined) return
      target.cancel?.()
      queue.delete(target)
      targets.delete(key)
    },
    targets,
    isLinked
  }
}
