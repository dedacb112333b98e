/** How many nodes share the acks topic: the more there are, the rarer each of them speaks. */
import type { PresenceEntry } from '../network/presence-table.ts'
import { MAX_STRANGERS_SHARING } from '../protocol/limits.ts'
import type { KnownNodes } from './known-nodes.ts'

/** This node, those it knows, and of the strangers that say they are nodes a few: their word must not make it speak rarely. */
export function sharers(present: readonly Pick<PresenceEntry, 'presence'>[], known: Pick<KnownNodes, 'has' | 'size'>): number {
  const strangers = present.filter(({ presence: { node } }) => !known.has(node)).length
  return 1 + known.size + Math.min(strangers, MAX_STRANGERS_SHARING)
}
