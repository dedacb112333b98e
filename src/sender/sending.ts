/** One send, from signing to the last replica: publishes, offers again what nobody answered, counts, and knows when to stop. */
import type { CID } from 'multiformats/cid'
import { isAdminOperation, type AdminOperation } from '../protocol/admin-operations.ts'
import { flatState, type OperationState } from '../protocol/ack.ts'
import { cidKey } from '../protocol/cid.ts'
import { decodeCommand, DEFAULT_PINSET, encodeCommand, type Command, type PinOperation, type UnpinOperation } from '../protocol/command.ts'
import { sealEnvelope, type CommandId, type Envelope } from '../protocol/envelope.ts'
import type { Hlc } from '../protocol/order.ts'
import type { SentCommand, SentKind } from '../protocol/records.ts'
import type { Signer } from '../protocol/signature.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { createBell } from './bell.ts'
import { bundle } from './bundle.ts'
import type { SenderCensus } from './census.ts'
import { clockHint, type Clocks } from './clock-hints.ts'
import { SenderError } from './errors.ts'
import type { Ledger } from './ledger.ts'
import { offerAgain, offerElsewhere, type OfferPorts } from './offering.ts'
import { createTracker, isSame, tally, track, type Tally, type Tracker, type TrackerEvent } from './tracker.ts'
import type { AckEvent, DoneEvent, Op, Outcome, SendOptions, SentEvent } from './types.ts'

const TIMEOUT_MS = 60_000

/** How long nodes that are there and have not spoken are waited for when all others refused; milliseconds. */
const PATIENCE_MS = 1_000

/** What a send works with. */
export interface SendingPorts extends OfferPorts {
  readonly ledger: Ledger
  readonly signer: Signer
  readonly census: SenderCensus
  /** How the clocks of nodes stand to ours. */
  clocks(): Clocks
  /** The newest time seen on the network. */
  newest(): Hlc | undefined
  /** A command is about to be published: what nodes say of it concerns us. */
  expect(command: CommandId): void
}

/** An operation, and what it is about as the user wrote it. */
export interface Item<O extends SentKind = SentKind> {
  readonly cid: string
  readonly operation: (PinOperation | UnpinOperation | AdminOperation) & { readonly op: O }
}

/** What is told of items of some kinds. */
export type ItemEvent<O extends SentKind = SentKind> = SentEvent | About<AckEvent, O> | About<DoneEvent, O>

type About<T, O> = Omit<T, 'op'> & { readonly op: O }

/** Sends; ends when every CID is settled, at the first acceptance with `detach`, or when time is up. Rejects with the signal's reason. */
export async function* send<O extends SentKind>(
  network: string,
  items: readonly Item<O>[],
  options: SendOptions,
  ports: SendingPorts
): AsyncGenerator<ItemEvent<O>, Outcome> {
  const { bus, clock, census } = ports
  const timeout = options.timeout ?? TIMEOUT_MS
  const commands = await sign(network, items, options, ports)
  const wanted = options.wait === 'all' ? census.all() : (options.wait ?? options.replicas ?? census.all())
  let position = 0
  let tracker = createTracker(
    commands.flatMap(({ id, operations }) =>
      operations.map(({ op }, index) => ({ cid: (items[position++] as Item).cid, op, command: id, index, wanted }))
    )
  )
  const bell = createBell()
  const changed = new Set<number>(tracker.cids.keys())
  const hear = (event: TrackerEvent): void => {
    const { tracker: next, positions } = track(tracker, event, census)
    tracker = next
    if (positions.length === 0) return
    for (const position of positions) changed.add(position)
    bell.ring()
  }
  const onAbort = (): void => bell.ring()
  options.signal?.addEventListener('abort', onAbort)
  const undo = [
    () => options.signal?.removeEventListener('abort', onAbort),
    ports.onWord(hear),
    offerAgain(commands, () => tracker, hear, ports),
    offerElsewhere(commands, () => tracker, hear, ports)
  ]
  try {
    for (const { id, envelope, operations } of commands) {
      const signal = AbortSignal.any([AbortSignal.timeout(timeout), ...(options.signal === undefined ? [] : [options.signal])])
      const nodes = await bus.publish('commands', envelope, { signal })
      hear({ type: 'delivered', command: id, nodes })
      yield { event: 'sent', command: id, cids: operations.length, nodes }
    }
    const told = new Map<string, Told>()
    const tallies: Tally[] = []
    const open = new Set<number>(tracker.cids.keys())
    let isPatient = true
    undo.push(
      clock.after(PATIENCE_MS, () => {
        isPatient = false
        for (const position of open) changed.add(position)
        bell.ring()
      })
    )
    let movedAt = clock.now()
    for (;;) {
      // More may come while what is known is told.
      const batch = [...changed]
      const present = isPatient ? census.present() : 0
      changed.clear()
      for (const position of batch) {
        const now = (tallies[position] = tally(tracker, position, census))
        if (isSettled(now, options, present)) open.delete(position)
        else open.add(position)
        if (yield* news<O>(now, position, tracker, told, census)) movedAt = clock.now()
      }
      if ((open.size === 0 && changed.size === 0) || clock.now() - movedAt >= timeout) break
      const cancel = clock.after(Math.max(1, movedAt + timeout - clock.now()), () => bell.ring())
      await bell.rung()
      cancel()
      options.signal?.throwIfAborted()
    }
    const signedAt = new Map(commands.map(({ id, time }) => [id, time.ms]))
    const hint = ({ states }: Tally, position: number): string | undefined =>
      clockHint(states, signedAt.get(tracker.cids[position]?.command as CommandId) as number, clock.now(), ports.clocks())
    return yield* finish<O>(tallies, options.detach === true, hint)
  } finally {
    undo.forEach((end) => end())
  }
}

/** Items are all of pinsets, or all of admins. */
async function sign(network: string, items: readonly Item[], options: SendOptions, ports: SendingPorts): Promise<SentCommand[]> {
  const { ledger, signer, clock } = ports
  const pinset = items.some(({ operation }) => isAdminOperation(operation)) ? {} : { pinset: options.pinset ?? DEFAULT_PINSET }
  const commands: SentCommand[] = []
  let position = 0
  for (const operations of bundle(items.map(({ operation }) => operation))) {
    const time = ledger.tick(clock.now(), ports.newest())
    const envelope = await sealEnvelope('command', encodeCommand({ network, ...pinset, time, operations }, signer.blob), signer)
    const { id } = readBack(envelope, network)
    ports.expect(id)
    commands.push({
      id,
      network,
      author: signer.author,
      pinset: pinset.pinset ?? '',
      time,
      envelope: envelope.bytes,
      operations: operations.map((operation) => {
        const { cid } = items[position++] as Item
        return { op: operation.op, cid: isAdminOperation(operation) ? cid : cidKey(operation.cid) }
      })
    })
  }
  for (const command of commands) ledger.record(command)
  return commands
}

/** A command that nodes would reject never leaves: a name that is too long, text that is no Unicode. */
function readBack(envelope: Envelope, network: string): Command {
  try {
    return decodeCommand(envelope, network)
  } catch (err) {
    throw new SenderError('usage', `no node would take this command: ${err instanceof Error ? err.message : String(err)}`, { cause: err })
  }
}

/** `present` nodes may still take what those that were reached first refused: one of them must not decide for all. */
function isSettled({ replicas, wanted, hopeless, states }: Tally, { detach }: SendOptions, present: number): boolean {
  if (replicas >= wanted || (hopeless && states.size >= present)) return true
  return detach === true && [...states.values()].some(({ status }) => status !== 'refused')
}

/** What was told last of a node and a CID, and the furthest it had come. */
interface Told {
  readonly state: OperationState
  readonly advance: number
}

/** Tells what changed of a CID; true when it came further than it ever was on a node, which is what time-outs count from. */
function* news<O extends SentKind>(
  { cid, op, states }: Tally,
  position: number,
  tracker: Tracker,
  told: Map<string, Told>,
  census: SenderCensus
): Generator<About<AckEvent, O>, boolean> {
  let moved = false
  for (const [node, state] of states) {
    const name = `${position} ${node}`
    const before = told.get(name)
    if (isSame(before?.state, state)) continue
    const advance = Math.max(before?.advance ?? -1, advanceOf(state))
    moved ||= advance > (before?.advance ?? -1)
    told.set(name, { state, advance })
    yield ackEvent(cid, op as O, tracker.cids[position]?.command as string, node, state, census.trusted(node))
  }
  return moved
}

function advanceOf(state: OperationState): number {
  if (state.status === 'accepted' || state.status === 'queued' || state.status === 'failed') return 0
  return state.status === 'pinning' ? 1 + state.bytes : Infinity
}

function ackEvent<O extends SentKind>(
  cid: string,
  op: O,
  command: string,
  node: NodeId,
  state: OperationState,
  trusted: boolean
): About<AckEvent, O> {
  return {
    event: 'ack',
    command,
    cid,
    op,
    node,
    ...flatState(state),
    trusted
  }
}

function* finish<O extends SentKind>(
  tallies: readonly Tally[],
  detach: boolean,
  hintOf: (tally: Tally, position: number) => string | undefined
): Generator<ItemEvent<O>, Outcome> {
  let worst: Outcome = 'reached'
  for (const [position, tallied] of tallies.entries()) {
    const { cid, op, replicas, wanted, states, refused } = tallied
    const isAccepted = [...states.values()].some(({ status }) => status !== 'refused')
    const result = replicas >= wanted || (detach && isAccepted) ? 'ok' : refused && replicas === 0 ? 'refused' : 'short'
    if (result === 'refused') worst = 'refused'
    else if (result === 'short' && worst === 'reached') worst = 'short'
    const hint = result === 'ok' ? undefined : hintOf(tallied, position)
    yield { event: 'done', cid, op: op as O, replicas, wanted, result, ...(hint === undefined ? {} : { hint }) }
  }
  return worst
}

/** Operations of one kind on CIDs; duplicates (as CIDv1) merge into the first. */
export function itemsOf(op: Op, cids: readonly CID[], options: SendOptions, origins: readonly Uint8Array[]): Item<Op>[] {
  const seen = new Map<string, Item<Op>>()
  for (const cid of cids) {
    const key = cidKey(cid)
    if (seen.has(key)) continue
    const { replicas } = options
    const name = options.names?.get(cid.toString()) ?? options.name
    const operation: PinOperation | UnpinOperation =
      op === 'unpin'
        ? { op, cid }
        : {
            op,
            cid,
            ...(name === undefined ? {} : { name }),
            ...(replicas === undefined ? {} : { replicas }),
            ...(origins.length === 0 ? {} : { origins })
          }
    seen.set(key, { cid: cid.toString(), operation })
  }
  return [...seen.values()]
}
