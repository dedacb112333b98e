/**
 * Counts replicas: a pure reducer over what nodes say. A replica is a node that counts (a known one, where any are known),
 * with a backend of its own, whose newest state for the CID is the one that was asked for.
 */
import type { OperationState } from '../protocol/ack.ts'
import type { CommandId } from '../protocol/envelope.ts'
import { MAX_TRACKED_NODES } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'

/** One CID of a send. */
export interface TrackedCid {
  /** As the user wrote it. */
  readonly cid: string
  readonly op: 'pin' | 'unpin'
  readonly command: CommandId
  /** Index within the command. */
  readonly index: number
  /** How many replicas end the waiting. */
  readonly wanted: number
}

/** What happens to a send. */
export type TrackerEvent =
  | { readonly type: 'delivered'; readonly command: CommandId; readonly nodes: readonly NodeId[] }
  | { readonly type: 'ack'; readonly node: NodeId; readonly command: CommandId; readonly sequence: number; readonly states: readonly OperationState[] }
  | { readonly type: 'refusal'; readonly node: NodeId; readonly command: CommandId; readonly code: Extract<OperationState, { status: 'refused' }>['code'] }

interface NodeView {
  readonly sequence: number
  readonly states: readonly OperationState[]
}

/** All that is known of a send. Never changed in place. */
export interface Tracker {
  readonly cids: readonly TrackedCid[]
  /** Command → nodes it was handed to. */
  readonly delivered: ReadonlyMap<CommandId, ReadonlySet<NodeId>>
  /** Command → node → its newest word. */
  readonly heard: ReadonlyMap<CommandId, ReadonlyMap<NodeId, NodeView>>
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
  readonly op: 'pin' | 'unpin'
  readonly replicas: number
  readonly wanted: number
  /** Node → its newest state. */
  readonly states: ReadonlyMap<NodeId, OperationState>
  /** At least one node refused it. */
  readonly refused: boolean
  /** Every node that the command reached refused it: nothing more will come. */
  readonly hopeless: boolean
}

/** A send of which nothing is known yet. */
export function createTracker(cids: readonly TrackedCid[]): Tracker {
  return { cids, delivered: new Map(), heard: new Map() }
}

/** What is known after `event`; the same object when it told nothing new. */
export function track(tracker: Tracker, event: TrackerEvent): Tracker {
  const { command } = event
  if (event.type === 'delivered') {
    const known = tracker.delivered.get(command)
    if (known !== undefined && event.nodes.every((node) => known.has(node))) return tracker
    return { ...tracker, delivered: new Map(tracker.delivered).set(command, new Set([...(known ?? []), ...event.nodes])) }
  }
  const views = tracker.heard.get(command)
  const before = views?.get(event.node)
  if (event.type === 'ack' && before !== undefined && before.sequence >= event.sequence) return tracker
  // A refusal over a stream has no sequence: whatever the node signs later replaces it, and it replaces nothing signed.
  if (event.type === 'refusal' && before !== undefined) return tracker
  const count = tracker.cids.filter((cid) => cid.command === command).length
  if (count === 0 || (before === undefined && (views?.size ?? 0) >= MAX_TRACKED_NODES)) return tracker
  const view: NodeView =
    event.type === 'ack'
      ? { sequence: event.sequence, states: event.states }
      : { sequence: -1, states: Array.from({ length: count }, () => ({ status: 'refused', code: event.code })) }
  return { ...tracker, heard: new Map(tracker.heard).set(command, new Map(views ?? []).set(event.node, view)) }
}

/** How each CID stands, in the order of the send. */
export function tally(tracker: Tracker, census: Census): Tally[] {
  return tracker.cids.map(({ cid, op, command, index, wanted }) => {
    const states = new Map<NodeId, OperationState>()
    const backends = new Set<string>()
    let refusals = 0
    for (const [node, view] of tracker.heard.get(command) ?? []) {
      const state = view.states[index]
      if (state === undefined) continue
      states.set(node, state)
      if (state.status === 'refused') refusals++
      if (state.status === (op === 'pin' ? 'pinned' : 'unpinned') && census.counts(node)) backends.add(census.backend(node))
    }
    const reached = new Set([...(tracker.delivered.get(command) ?? []), ...states.keys()])
    const hopeless = refusals > 0 && refusals === reached.size
    return { cid, op, replicas: backends.size, wanted, states, refused: refusals > 0, hopeless }
  })
}
