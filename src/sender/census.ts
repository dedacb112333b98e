/** Who counts: known nodes, what is present, and which nodes share a backend. */
import type { PresenceTable } from '../network/presence-table.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { Census } from './tracker.ts'

/** The census of a sender. */
export interface SenderCensus extends Census {
  /** Whether somebody vouched for the node; false for all where nobody said which are known. */
  trusted(node: NodeId): boolean
  /** How many replicas there should be at most: all known nodes, else all that are present, at least one. */
  all(): number
  /** How many nodes are there, whoever vouched for them. */
  present(): number
  /** How many replicas these nodes are. */
  replicas(nodes: Iterable<NodeId>): number
}

/**
 * Where nobody said which nodes are known (undefined) all count, and the sender says that nobody vouched for them. With `eachNode` nodes that share a backend count one
 * by one: what is said of keys must reach all of them.
 */
export function createCensus(
  knownNodes: ReadonlySet<NodeId> | undefined,
  presence: PresenceTable,
  { eachNode = false }: { readonly eachNode?: boolean } = {}
): SenderCensus {
  const backend = (node: NodeId): string => (eachNode ? node : (presence.get(node)?.presence.backend.peer ?? node))
  const distinct = (nodes: Iterable<NodeId>): number => new Set([...nodes].map(backend)).size
  const counts = (node: NodeId): boolean => knownNodes === undefined || knownNodes.has(node)
  const present = (): NodeId[] => presence.all().flatMap((entry) => (entry.online ? [entry.presence.node] : []))
  return {
    backend,
    counts,
    trusted: (node) => knownNodes?.has(node) === true,
    replicas: (nodes) => distinct([...nodes].filter(counts)),
    present: () => present().length,
    all: () => Math.max(1, distinct(knownNodes ?? present()))
  }
}
