/** Which nodes this one knows: those it was given, those of its file, and those that messages name; they may change at any time. */
import type { KnownNodesText } from '../protocol/known-nodes.ts'
import type { NodeId } from '../protocol/ssh-key.ts'

/** The nodes that are known now. */
export interface KnownNodes {
  has(node: NodeId): boolean
  readonly size: number
  all(): ReadonlySet<NodeId>
  /** Whether somebody named nodes, and not only a first contact: strangers need not be believed then. */
  isChosen(): boolean
  /** Called after each change; the returned function ends that. */
  onChange(listener: () => void): () => void
}

/** The same, and who may change it. */
export interface KnownNodesBook extends KnownNodes {
  /** What the file says from now on: its nodes count, and those it distrusts do not, whoever else names them. */
  setFile(file: Pick<KnownNodesText, 'nodes' | 'distrusted' | 'contacts'>): void
  /** What signed messages say from now on; who is distrusted there does not count, whatever the file says. */
  setMessages(trusted: ReadonlySet<NodeId>, distrusted: ReadonlySet<NodeId>): void
}

/** Makes it, with the nodes it was given for good. */
export function createKnownNodes(given: Iterable<NodeId>): KnownNodesBook {
  const named = new Set(given)
  let file: Pick<KnownNodesText, 'nodes' | 'distrusted' | 'contacts'> = { nodes: new Map(), distrusted: new Set(), contacts: new Map() }
  let messages = { trusted: new Set<NodeId>() as ReadonlySet<NodeId>, distrusted: new Set<NodeId>() as ReadonlySet<NodeId> }
  let all: ReadonlySet<NodeId> = named
  const listeners = new Set<() => void>()

  const change = (): void => {
    const before = all
    const wanted = [...named, ...messages.trusted].filter((node) => !file.distrusted.has(node))
    all = new Set([...wanted, ...file.nodes.keys()].filter((node) => !messages.distrusted.has(node)))
    if (all.size === before.size && all.isSubsetOf(before)) return
    for (const listener of listeners) listener()
  }

  return {
    has: (node) => all.has(node),
    get size() {
      return all.size
    },
    all: () => all,
    isChosen() {
      const met = new Set(file.contacts.values())
      return [...all].some((node) => named.has(node) || messages.trusted.has(node) || !met.has(node))
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    setFile(next) {
      file = next
      change()
    },
    setMessages(trusted, distrusted) {
      messages = { trusted, distrusted }
      change()
    }
  }
}
