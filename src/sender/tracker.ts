/**
 * Counts replicas: a pure reducer over what nodes say. A replica is a node that counts (a known one, where any are known),
 * with a backend of its own, whose newest state for the CID is the one that was asked for.
 */
import type { OperationState } from '../protocol/ack.ts'
import type { CommandId } from '../protocol/envelope.ts'
import type { SentKind } from '../protocol/records.ts'
import { MAX_TRACKED_NODES } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'

/** One CID of a send, or one key or node of an admin's. */
export interface TrackedCid {
  /** As the user wrote it. */
  readonly cid: string
  readonly op: SentKind
  readonly command: CommandId
  /** Index within the command. */
  readonly index: number
  /** How many replicas end the waiting. */
  readonly wanted: number
}

/** What happens to a send. */
export type TrackerEvent =
  | { readonly type: 'delivered'; readonly command: CommandId; readonly nodes: readonly NodeId[] }
  | {
      readonly type: 'ack'
      readonly node: NodeId
      readonly command: CommandId
      readonly sequence: number
      readonly states: readonly OperationState[]
    }
  | {
      readonly type: 'refusal'
      readonly node: NodeId
      readonly command: CommandId
      readonly code: Extract<OperationState, { status: 'refused' }>['code']
    }

interface NodeView {
  readonly sequence: number
  readonly states: readonly OperationState[]
}

interface CommandView {
  /** Positions of its CIDs in the send, by index. */
  readonly positions: readonly number[]
  readonly delivered: ReadonlySet<NodeId>
  readonly heard: ReadonlyMap<NodeId, NodeView>
}

/** All that is known of a send. Never changed in place. */
export interface Tracker {
  readonly cids: readonly TrackedCid[]
  readonly commands: ReadonlyMap<CommandId, CommandView>
}

/** Which nodes count, and which of them share a backend. */
export interface Census {
  counts(node: NodeId): boolean
  /** Two nodes with the same answer are one replica. */
  backend(node: NodeId): string
}

/** How a CID stands. */
export interface Tally {
  readonly cid: string
  readonly op: SentKind
  readonly replicas: number
  readonly wanted: number
  /** Node → its newest state. */
  readonly states: ReadonlyMap<NodeId, OperationState>
  /** At least one node refused it. */
  readonly refused: boolean
  /** Every node that the command reached refused it, or holds to another: nothing more will come. */
  readonly hopeless: boolean
}

/** A send of which nothing is known yet. */
export function createTracker(cids: readonly TrackedCid[]): Tracker {
  const commands = new Map<CommandId, CommandView>()
  cids.forEach(({ command, index }, position) => {
    const positions = (commands.get(command)?.positions ?? []) as number[]
    positions[index] = position
    commands.set(command, { positions, delivered: new Set(), heard: new Map() })
  })
  return { cids, commands }
}

/** What is known after an event, and the positions of the CIDs of which it told something new. */
export interface Tracked {
  readonly tracker: Tracker
  readonly positions: readonly number[]
}

/** Takes an event in. Where there is no room, nodes that count take the place of others. */
export function track(tracker: Tracker, event: TrackerEvent, { counts }: Pick<Census, 'counts'>): Tracked {
  const view = tracker.commands.get(event.command)
  if (view === undefined) return { tracker, positions: [] }
  const put = (next: CommandView, positions: readonly number[]): Tracked => ({
    tracker: { ...tracker, commands: new Map(tracker.commands).set(event.command, next) },
    positions
  })
  if (event.type === 'delivered') {
    if (event.nodes.every((node) => view.delivered.has(node))) return { tracker, positions: [] }
    return put({ ...view, delivered: new Set([...view.delivered, ...event.nodes]) }, view.positions)
  }
  const before = view.heard.get(event.node)
  if (event.type === 'ack' && before !== undefined && before.sequence >= event.sequence) return { tracker, positions: [] }
  // A refusal over a stream has no sequence: whatever the node signs later replaces it, and it replaces nothing signed.
  if (event.type === 'refusal' && before !== undefined) return { tracker, positions: [] }
  const others = new Map(view.heard)
  if (before === undefined && others.size >= MAX_TRACKED_NODES) {
    const loser = counts(event.node) ? [...others.keys()].find((node) => !counts(node)) : undefined
    if (loser === undefined) return { tracker, positions: [] }
    others.delete(loser)
  }
  const heard: NodeView =
    event.type === 'ack'
      ? { sequence: event.sequence, states: event.states }
      : { sequence: -1, states: view.positions.map(() => ({ status: 'refused', code: event.code })) }
  const positions = view.positions.filter((_, index) => !isSame(before?.states[index], heard.states[index]))
  return put({ ...view, heard: others.set(event.node, heard) }, positions)
}

/** How the CID at a position of the send stands. */
export function tally(tracker: Tracker, position: number, census: Census): Tally {
  const { cid, op, command, index, wanted } = tracker.cids[position] as TrackedCid
  const { heard, delivered } = tracker.commands.get(command) as CommandView
  const states = new Map<NodeId, OperationState>()
  const backends = new Set<string>()
  let refusals = 0
  let outranked = 0
  for (const [node, view] of heard) {
    const state = view.states[index]
    if (state === undefined) continue
    states.set(node, state)
    if (state.status === 'refused') refusals++
    if (state.status === 'superseded') outranked++
    if (state.status === doneStatus(op) && census.counts(node)) backends.add(census.backend(node))
  }
  const ended = refusals + outranked
  const hopeless = ended > 0 && ended === new Set([...delivered, ...states.keys()]).size
  return { cid, op, replicas: backends.size, wanted, states, refused: refusals > 0, hopeless }
}

/** The state of an operation that was done. */
function doneStatus(op: SentKind): OperationState['status'] {
  return op === 'pin' ? 'pinned' : op === 'unpin' ? 'unpinned' : 'applied'
}

/** Whether two states say the same; both are flat but for the pinsets of `unpinned`. */
export function isSame(a: OperationState | undefined, b: OperationState | undefined): boolean {
  if (a === b) return true
  if (a === undefined || b === undefined || a.status !== b.status) return false
  return JSON.stringify(a) === JSON.stringify(b)
}
