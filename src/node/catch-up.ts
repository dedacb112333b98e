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
  /** Between two pulls from a peer because its digests differ; doubles with each that brings nothing, until the two are in step. */
  readonly again: number
  /** The longest that this becomes. */
  readonly mostAgain: number
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

const TIMING: CatchUpTiming = { settle: 1_000, again: 2_000, mostAgain: 10_000, interval: 60_000 }

/** Pulls at a time: one peer that stalls must not hold up the rest, and many would all bring the same. */
const PULLS = 3
/** Of these from peers that are not known nodes: strangers that stall must not keep known nodes waiting. */
const STRANGER_PULLS = 2

/** Makes it; `timing` is 1 s, 2 s, 10 s and 60 s unless said. */
export function createCatchUp(options: { readonly timing?: Partial<CatchUpTiming> }, ports: CatchUpPorts): CatchUp {
  const timing = { ...TIMING, ...options.timing }
  const { bus, presence, clock, log, random } = ports
  const ended = new AbortController()
  /** Due peers in order. */
  const queue = new Set<NodeId>()
  const running = new Map<NodeId, Promise<void>>()
  const waiting = new Map<NodeId, () => void>()
  /** When a peer was pulled from last, and how long it is then left alone. Like what is below, of those that are present: the others are never asked for what they announced. */
  const pulled = new Map<NodeId, { readonly at: number; readonly rest: number }>()
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
        if (isNew(peer, compare(peer))) ask(peer)
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
      const before = compare(peer)
      const { taken, more } = await ports.pull(peer, ended.signal)
      took(peer, taken)
      if (taken > 0 && more) queue.add(peer)
      if (isPresent(peer) && taken === 0 && !more && before === compare(peer)) compared.set(peer, before)
    } catch (err) {
      // Nothing is marked by a pull that failed: whatever it did not bring is asked for again, here or elsewhere.
      took(peer, err instanceof PullError ? err.result.taken : 0)
      if (!ended.signal.aborted) {
        log.debug(`cannot catch up from ${peer}: ${err instanceof Error ? err.message : String(err)}`)
        askAgain(peer)
      }
    } finally {
      running.delete(peer)
      work()
    }
  }

  const took = (peer: NodeId, taken: number): void => {
    // Who brought news may have more; a peer whose sets go on differing for nothing is compared ever less often.
    const rest = taken > 0 ? timing.again : Math.min(timing.mostAgain, 2 * (pulled.get(peer)?.rest ?? timing.again / 2))
    if (isPresent(peer)) pulled.set(peer, { at: clock.now(), rest })
    if (taken > 0) tell(taken)
  }

  const tell = (taken: number): void => {
    log.info(`caught up ${taken} ${taken === 1 ? 'command' : 'commands'}`)
    ports.onTaken()
  }

  const isPresent = (peer: NodeId): boolean => presence.get(peer)?.online === true

  const isNew = (peer: NodeId, difference: string): boolean => difference !== '' && compared.get(peer) !== difference

  /** In what a peer's sets differ from ours, as far as we want them; empty when in nothing. */
  const compare = (peer: NodeId): string => {
    const theirs = presence.get(peer)?.presence.sets ?? []
    const ours = new Map(ports.digests().map((digest) => [`${digest.author} ${digest.pinset ?? ''}`, hex(digest.root)]))
    const unequal = theirs.flatMap((digest) => {
      const name = `${digest.author} ${digest.pinset ?? ''}`
      const root = hex(digest.root)
      return ours.get(name) === root || !ports.wants(digest) ? [] : [`${name} ${root} ${ours.get(name) ?? ''}`]
    })
    return unequal.join('\n')
  }

  const onPresence = (peer: NodeId): void => {
    if (!isPresent(peer)) {
      pulled.delete(peer)
      compared.delete(peer)
      return
    }
    const last = pulled.get(peer)
    const difference = compare(peer)
    if (difference === '' && last !== undefined) pulled.set(peer, { ...last, rest: timing.again })
    if (isNew(peer, difference)) askAgain(peer)
  }

  const askAgain = (peer: NodeId): void => {
    if (!bus.subscribers('commands').includes(peer)) return
    const { at, rest } = pulled.get(peer) ?? { at: -Infinity, rest: 0 }
    askSoon(peer, Math.max(at + rest - clock.now(), timing.settle * (0.5 + random())))
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
