/** `/pinsub/sync/1`: pulls from a peer what it has and this node lacks. Each node pulls for itself; nothing is pushed. */
import { equals } from 'uint8arrays/equals'
import type { Clock } from '../protocol/clock.ts'
import { commandIdFrom, type CommandId } from '../protocol/envelope.ts'
import { InvalidMessageError } from '../protocol/errors.ts'
import { MAX_PAGE_BYTES, MAX_SYNC_EMPTY_ROUNDS, MAX_SYNC_ROUNDS, MAX_SYNC_UNPROVEN, MAX_SYNC_WANT } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { SetDigest, SetName } from '../protocol/sync/digest.ts'
import type { ItemSet } from '../protocol/sync/item-set.ts'
import type { SyncCommand, SyncItem } from '../protocol/sync/messages.ts'
import { createInitiator, type Initiator } from '../protocol/sync/negentropy.ts'
import { compareSets } from '../protocol/sync/sets.ts'
import { NetworkError } from './errors.ts'
import type { Host } from './host.ts'
import { IDLE_MS, openFrames } from './streams.ts'
import { createAsker, dishonest, type Asker } from './sync-asker.ts'
import { createFetcher } from './sync-fetch.ts'
import { SYNC_PROTOCOL } from './sync-server.ts'

/** What a pull compares with, and who takes what it finds. */
export interface PullPorts {
  readonly host: Host
  readonly clock: Clock
  /** Of all own sets. */
  digests(): readonly SetDigest[]
  /** The own set to compare: an empty one where nothing is held yet, undefined where this node does not want the set. */
  wanted(name: SetName): ItemSet | undefined
  /** Whether a command that the peer has is to be fetched; false for one that is known, or was refused or superseded before. */
  lacks(id: CommandId): boolean
  /**
   * Takes commands of a set as they were fetched, in order: they are what was asked for and of the set's author, and all else is for
   * the taker to check. Resolves with how many were taken once they are stored, well within the 10 s after which the peer gives
   * up waiting; throws {@link InvalidMessageError} for what no honest node holds.
   */
  take(commands: readonly SyncCommand[], name: SetName): Promise<number>
  /** Whether full lists of ids may be asked of this peer now; asked at most once a pull, and then counts as done. */
  mayListAll(): boolean
  /** Called once all commands without a pinset that the peer has are stored. */
  onAdmin?(): void
}

/** What a pull did. */
export interface PullResult {
  /** Asks and answers. */
  readonly roundTrips: number
  /** Bytes of frames, both ways. */
  readonly bytes: number
  /** Commands that came. */
  readonly fetched: number
  /** Of these, those that were stored. */
  readonly taken: number
  /** Commands that the peer named and then did not have: replaced in the meantime, or never there. */
  readonly missing: number
  /** Commands of ours that the peer lacks, in the sets it showed. */
  readonly ahead: number
  /** Sets that differ though no difference can be found: some author, or the peer, has made sums collide. */
  readonly unequal: readonly SetName[]
  /** Whether a limit ended it early. Where something was taken, the rest may be pulled at once; else it is no use. */
  readonly more: boolean
}

/** A pull that did not end as it should. What it took by then stays taken, and nothing of it is remembered against another pull. */
export class PullError extends NetworkError {
  /** What was done before. */
  readonly result: PullResult

  constructor(cause: NetworkError, result: PullResult) {
    super(cause.code, cause.message, { cause })
    this.result = result
  }
}

/**
 * Pulls from a peer (its id where connected, else a multiaddr) what it has of the sets that this node wants: sets without a pinset
 * first, and all of these before any other. Rejects with {@link PullError}: `declined`, `cut`, `timeout`, `dishonest`, or why the peer
 * could not be reached; with the signal's reason when that ends; with what `take` throws where it is not the peer's fault.
 */
export async function pull(
  target: NodeId | string,
  network: string,
  ports: PullPorts,
  options: { readonly signal: AbortSignal }
): Promise<PullResult> {
  const { host, clock } = ports
  const { signal } = options
  const opened = await openFrames(host, target, { protocol: SYNC_PROTOCOL, maxFrame: MAX_PAGE_BYTES, idleMs: IDLE_MS, clock, signal })
  const asker = createAsker({ target, network }, { frames: opened.frames, clock })
  const puller = createPuller(target, asker, ports)
  let whole = false
  try {
    await puller.run()
    await asker.end()
    whole = true
    return puller.result()
  } catch (err) {
    signal.throwIfAborted()
    throw err instanceof NetworkError ? new PullError(err, puller.result()) : err
  } finally {
    opened.finish(whole)
  }
}

/** What a set turned out to be once it was compared: `unproven` where its root differs and nothing else does. */
type Outcome = 'done' | 'unproven'

function createPuller(target: string, asker: Asker, ports: PullPorts): { run(): Promise<void>; result(): PullResult } {
  const fetcher = createFetcher(target, { asker, take: ports.take })
  const unequal: SetName[] = []
  let ahead = 0
  let more = false
  let mayList: boolean | undefined

  const run = async (): Promise<void> => {
    const sets = await announced()
    const unproven = [...(await walkAdmin(sets)), ...(await walk(sets.filter(isPinset), reconcile))]
    if (unproven.length === 0) return
    // Either side may have changed since it was announced: only what shows nothing a second time is taken for unequal.
    const again = (await announced()).filter((set) => unproven.some((other) => compareSets(set, other) === 0))
    for (const set of await walk(again, reconcile)) {
      mayList ??= ports.mayListAll()
      unequal.push(...(mayList ? await walk([set], list) : [set]).map(nameOf))
    }
  }

  const announced = async (): Promise<readonly SetDigest[]> => {
    const answer = await asker.sets(ports.digests())
    more ||= answer.more
    return rotated(answer.sets, ports.clock.now())
  }

  /** Goes through sets in order, as far as the limits allow; those that stay unproven come back. */
  const walk = async (
    sets: readonly SetDigest[],
    compare: (set: SetDigest, own: ItemSet) => Promise<Outcome>
  ): Promise<readonly SetDigest[]> => {
    const unproven: SetDigest[] = []
    for (const set of sets) {
      const own = ports.wanted(set)
      if (own === undefined) continue
      if (isSpent()) break
      if ((await compare(set, own)) === 'unproven') unproven.push(set)
      if (unproven.length > MAX_SYNC_UNPROVEN) throw dishonest(target, `announces ${unproven.length} sets that do not differ as it says`)
    }
    return unproven
  }

  /** Sets without a pinset: what one of them brings may make another wanted. */
  const walkAdmin = async (sets: readonly SetDigest[]): Promise<readonly SetDigest[]> => {
    const unproven: SetDigest[] = []
    let rest = sets.filter((set) => !isPinset(set))
    for (;;) {
      const wanted = rest.filter((set) => ports.wanted(set) !== undefined)
      if (wanted.length === 0) break
      unproven.push(...(await walk(wanted, reconcile)))
      rest = rest.filter((set) => !wanted.includes(set))
    }
    if (!more) ports.onAdmin?.()
    return unproven
  }

  /** By sums of ranges. What is found is fetched soon, so that a limit that ends this pull leaves less to the next. */
  const reconcile = async (set: SetDigest, own: ItemSet): Promise<Outcome> => {
    const initiator = createInitiator(own)
    const lacking: CommandId[] = []
    let message: Uint8Array | undefined = initiator.start()
    for (let rounds = 0, emptyRounds = 0; message !== undefined && !isSpent(rounds >= MAX_SYNC_ROUNDS); rounds++) {
      const [needed, had] = [initiator.need.length, initiator.have.length]
      message = following(initiator, await asker.reconcile(set, message))
      emptyRounds = initiator.need.length + initiator.have.length > needed + had ? 0 : emptyRounds + 1
      if (emptyRounds > MAX_SYNC_EMPTY_ROUNDS) throw dishonest(target, 'goes on comparing a set and names no command of it')
      lacking.push(...initiator.need.slice(needed).map(commandIdFrom).filter(ports.lacks))
      await fetch(lacking.splice(0, lacking.length - (lacking.length % MAX_SYNC_WANT)), set)
    }
    await fetch(lacking, set)
    ahead += initiator.have.length
    const differs = message !== undefined || initiator.need.length > 0 || initiator.have.length > 0
    return differs || equals(own.root(), set.root) ? 'done' : 'unproven'
  }

  /** By the full list, where sums have shown nothing. */
  const list = async (set: SetDigest, own: ItemSet): Promise<Outcome> => {
    const { size } = own
    let [shared, theirs] = [0, 0]
    let after: SyncItem | undefined
    for (let page = { more: true }; page.more;) {
      if (isSpent()) return 'done'
      const { ids, ...rest } = await asker.ids(set, after)
      const others = ids.filter(({ ms, id }) => !own.has(ms, id))
      theirs += ids.length
      shared += ids.length - others.length
      await fetch(others.map(({ id }) => commandIdFrom(id)).filter(ports.lacks), set)
      after = ids.at(-1)
      page = rest
    }
    ahead += Math.max(0, size - shared)
    return shared === theirs && shared === size ? 'unproven' : 'done'
  }

  const fetch = async (ids: readonly CommandId[], set: SetName): Promise<void> => {
    if (!(await fetcher.fetch(ids, set))) more = true
  }

  /** Asked only where there is more to do. */
  const isSpent = (enough = false): boolean => {
    const spent = enough || fetcher.spent()
    more ||= spent
    return spent
  }

  /** The next message; undefined at the end. */
  const following = (initiator: Initiator, answer: Uint8Array): Uint8Array | undefined => {
    try {
      return initiator.next(answer)
    } catch (err) {
      throw err instanceof InvalidMessageError ? dishonest(target, `sends what is no reconciliation (${err.message})`, err) : err
    }
  }

  return {
    run,
    result: () => {
      const { roundTrips, bytes } = asker
      const { fetched, taken, missing } = fetcher
      return { roundTrips, bytes, fetched, taken, missing, ahead, unequal, more }
    }
  }
}

function isPinset({ pinset }: SetName): boolean {
  return pinset !== undefined
}

function nameOf({ author, pinset }: SetName): SetName {
  return { author, pinset }
}

/** Sets with a pinset begin anywhere: where a limit ends each pull, sets that always differ must not keep those behind them from their turn. */
function rotated(sets: readonly SetDigest[], now: number): readonly SetDigest[] {
  const others = sets.filter(isPinset)
  const start = others.length === 0 ? 0 : now % others.length
  return [...sets.filter((set) => !isPinset(set)), ...others.slice(start), ...others.slice(0, start)]
}
