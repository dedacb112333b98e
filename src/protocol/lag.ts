/** How far nodes are behind each other, from what each says of the command sets it holds. Pure. */
import { toString } from 'uint8arrays/to-string'
import type { NodeId } from './ssh-key.ts'
import type { SetDigest, SetName } from './sync/digest.ts'

/** What was heard of a node last. */
export interface HeardSets {
  readonly node: NodeId
  /** Whether it was heard lately. */
  readonly online: boolean
  /** Absent where it speaks of none. */
  readonly sets?: readonly SetDigest[]
}

/** How a node stands. */
export interface Lag {
  /** Commands that it lacks, at least so many; 0 where it is in sync, undefined where that is not known. */
  readonly behind: number | undefined
  /** An author has reached its limit there: of what this one says it takes only unpins, and that does not count as behind. */
  readonly capped: boolean
}

/**
 * Measures each node by the set that is most advanced among the online nodes that `counts`: the newest command, then the most of them;
 * a capped one only where all are. A node with another root lacks the difference, at least one. A set that a node does not announce
 * says nothing of it: its file may not cover that author or pinset, or it announces more sets than fit. A node that is silent, speaks
 * of no sets, or holds none while others do is unknown.
 */
export function lagOf(nodes: readonly HeardSets[], counts: (node: NodeId) => boolean): ReadonlyMap<NodeId, Lag> {
  const references = new Map<string, SetDigest>()
  for (const { node, online, sets = [] } of nodes) {
    if (!online || !counts(node)) continue
    for (const digest of sets) {
      const name = nameOf(digest)
      const best = references.get(name)
      if (best === undefined || isAhead(digest, best)) references.set(name, digest)
    }
  }
  return new Map(nodes.map((node) => [node.node, lag(node, references)]))
}

function lag({ online, sets }: HeardSets, references: ReadonlyMap<string, SetDigest>): Lag {
  if (!online || sets === undefined) return { behind: undefined, capped: false }
  const capped = sets.some((digest) => digest.capped === true)
  if (sets.length === 0 && references.size > 0) return { behind: undefined, capped }
  const own = new Map(sets.map((digest) => [nameOf(digest), digest]))
  const lacking = [...own].map(([name, digest]) => lacks(digest, references.get(name)))
  return { behind: lacking.reduce((sum, n) => sum + n, 0), capped }
}

function lacks(own: SetDigest, reference: SetDigest | undefined): number {
  if (reference === undefined || own.capped === true || rootOf(own) === rootOf(reference)) return 0
  return Math.max(1, reference.count - own.count)
}

/** The roots only settle which of two that look alike it is, so that the answer does not hang on the order of nodes. */
function isAhead(a: SetDigest, b: SetDigest): boolean {
  const [left, right] = [a, b].map(({ capped = false }) => capped)
  if (left !== right) return right === true
  return (a.newest - b.newest || a.count - b.count || (rootOf(a) > rootOf(b) ? 1 : -1)) > 0
}

function nameOf({ author, pinset }: SetName): string {
  return `${author} ${pinset ?? ''}`
}

function rootOf({ root }: SetDigest): string {
  return toString(root, 'hex')
}
