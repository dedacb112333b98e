/** Known nodes that have said nothing: whoever waits wants to know for whom. */
import type { NodeEvent } from '../sender/types.ts'
import { ago, shortNode } from './format.ts'

/** Nobody is called silent before this long, milliseconds. */
const PATIENCE_MS = 2_000

/** A row of the table for each of them, once `elapsed` milliseconds have passed. */
export function silentRows(
  nodes: readonly NodeEvent[],
  hasSpoken: (node: string) => boolean,
  { elapsed, now }: { readonly elapsed: number; readonly now: number }
): string[][] {
  if (elapsed < PATIENCE_MS) return []
  return nodes
    .filter(({ node, trusted }) => trusted && !hasSpoken(node))
    .map(({ node, last_seen }) => {
      const seen = last_seen === null ? 'it was never seen' : `last seen ${ago(now - Date.parse(last_seen))}`
      return [`  ${shortNode(node)}`, `no answer: ${seen}`]
    })
}
