/** Decides with whom and when to reconcile: whoever links to us, whoever announces other sets than ours, and somebody now and then. */
import type { Bus } from '../network/bus.ts'
import type { PresenceTable } from '../network/presence-table.ts'
import { PullError, type PullResult } from '../network/sync-pull.ts'
import type { Clock } from '../protocol/clock.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { SetDigest, SetName } from '../protocol/sync/digest.ts'
import type { Log } from './ports.ts'

/** When to reconcile; milliseconds. */
export interface CatchUpTiming {
  /** From a reason to the pull: what is on its way by gossip comes first. */
  readonly settle: number
  /** Between two pulls from a peer because its digests differ. */
  readonly again: number
  /** Between two pulls for no reason, give or take a half. */
  readonly interval: number
}

/** What it works with. */
export interface CatchUpPorts {
  readonly bus: Pick<Bus, 'onSubscribe' | 'subscribers'>
  readonly presence: PresenceTable
  readonly clock: Clock
  readonly log: Log
  /** A number in [0, 1). */
  random(): number
  /** Our own digests. */
  digests(): readonly SetDigest[]
  isKnown(peer: NodeId): boolean
  /** Whether this node wants the set. */
  wants(name: SetName): boolean
  /** Fetches from a peer what it has and we lack. */
  pull(peer: NodeId, signal: AbortSignal): Promise<PullResult>
  /** Something came: others compare their sets with ours. */
  onTaken(): void
}

/** The scheduler of pulls. */
export interface CatchUp {
  start(): void
  /** Ends what runs. */
  stop(): Promise<void>
  /** Keys or sets changed so that more may be wanted: asks everybody anew. */
  askAll(): void
  /** Whether a pull is under way. */
  isAsking(): boolean
}

const TIMING: CatchUpTiming = { settle: 1_000, again: 10_000, interval: 60_000 }

/** Pulls at a time: one peer that stalls must not hold up the rest, and many would all bring the same. */
const PULLS = 3
/** Of these from peers that are not known nodes: strangers that stall must not keep known nodes waiting. */
const STRANGER_PULLS = 2

/** Makes it; `timing` is 1 s, 10 s and 60 s unless said. */
export function createCatchUp(options: { readonly timing?: Partial<CatchUpTiming> }, ports: CatchUpPorts): CatchUp {
  const timing = { ...TIMING, ...options.timing }
  const { bus, presence, clock, log, random } = ports
  const ended = new AbortController()
  /** Due peers in order. */
  const queue = new Set<NodeId>()
  const running = new Map<NodeId, Promise<void>>()
  const waiting = new Map<NodeId, () => void>()
  const pulledAt = new Map<NodeId, number>()
  /** What was compared with a peer to the end and still differs: nothing comes of comparing the same again. */
  const compared = new Map<NodeId, string>()
  const undo: (() => void)[] = []
  let cancelNext = (): void => {}

  const ask = (peer: NodeId): void => {
    waiting.get(peer)?.()
    waiting.delete(peer)
    queue.add(peer)
    work()
  }

  const askSoon = (peer: NodeId, delay: number): void => {
    if (waiting.has(peer) || queue.has(peer)) return
    waiting.set(
      peer,
      clock.after(delay, () => {
        waiting.delete(peer)
        if (differs(peer) !== undefined) ask(peer)
      })
    )
  }

  const work = (): void => {
    for (const peer of queue) {
      if (ended.signal.aborted) return
      if (running.has(peer) || !hasRoom(peer)) continue
      queue.delete(peer)
      running.set(peer, run(peer))
    }
  }

  const hasRoom = (peer: NodeId): boolean => {
    if (running.size >= PULLS) return false
    return ports.isKnown(peer) || [...running.keys()].filter((other) => !ports.isKnown(other)).length < STRANGER_PULLS
  }

  const run = async (peer: NodeId): Promise<void> => {
    try {
      const before = differs(peer)
      const { taken, more } = await ports.pull(peer, ended.signal)
      tell(taken)
      if (taken > 0 && more) queue.add(peer)
      if (taken === 0 && !more && before !== undefined && before === differs(peer)) compared.set(peer, before)
    } catch (err) {
      // Nothing is marked by a pull that failed: whatever it did not bring is asked for again, here or elsewhere.
      if (err instanceof PullError) tell(err.result.taken)
      if (!ended.signal.aborted) log.debug(`cannot catch up from ${peer}: ${err instanceof Error ? err.message : String(err)}`)
    } finally {
      pulledAt.set(peer, clock.now())
      running.delete(peer)
      work()
    }
  }

  const tell = (taken: number): void => {
    if (taken === 0) return
    log.info(`caught up ${taken} ${taken === 1 ? 'command' : 'commands'}`)
    ports.onTaken()
  }

  /** In what a peer's sets differ from ours, as far as we want them; undefined when in nothing, or in nothing new. */
  const differs = (peer: NodeId): string | undefined => {
    const theirs = presence.get(peer)?.presence.sets
    if (theirs === undefined) return undefined
    const ours = new Map(ports.digests().map((digest) => [`${digest.author} ${digest.pinset ?? ''}`, hex(digest.root)]))
    const unequal = theirs.flatMap((digest) => {
      const name = `${digest.author} ${digest.pinset ?? ''}`
      const root = hex(digest.root)
      return ours.get(name) === root || !ports.wants(digest) ? [] : [`${name} ${root} ${ours.get(name) ?? ''}`]
    })
    const text = unequal.join('\n')
    return text === '' || compared.get(peer) === text ? undefined : text
  }

  const onPresence = (peer: NodeId): void => {
    const entry = presence.get(peer)
    if (entry === undefined || !entry.online) {
      pulledAt.delete(peer)
      compared.delete(peer)
      return
    }
    if (differs(peer) === undefined || !bus.subscribers('commands').includes(peer)) return
    const rest = (pulledAt.get(peer) ?? -Infinity) + timing.again - clock.now()
    askSoon(peer, Math.max(rest, timing.settle * (0.5 + random())))
  }

  const everyNowAndThen = (): void => {
    cancelNext = clock.after(timing.interval * (0.5 + random()), () => {
      const peers = bus.subscribers('commands')
      const peer = peers[Math.floor(random() * peers.length)]
      if (peer !== undefined) ask(peer)
      everyNowAndThen()
    })
  }

  const askAll = (): void => {
    compared.clear()
    for (const peer of bus.subscribers('commands')) ask(peer)
  }

  return {
    start() {
      undo.push(
        bus.onSubscribe((peer, topic) => {
          if (topic === 'commands') ask(peer)
        }),
        presence.onChange(onPresence)
      )
      askAll()
      everyNowAndThen()
    },
    async stop() {
      ended.abort(new DOMException('the agent stops', 'AbortError'))
      undo.forEach((end) => end())
      cancelNext()
      waiting.forEach((cancel) => cancel())
      await Promise.all(running.values())
    },
    askAll,
    isAsking: () => running.size > 0
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
