/** Which presences a node tells of when it is asked: strangers can announce as many as a table holds, and the question takes 60 bytes. */
import type { PresenceEntry } from '../network/presence-table.ts'
import { MAX_TOLD_STRANGER_BYTES, MAX_TOLD_UNVOUCHED_BYTES } from '../protocol/limits.ts'
import type { KnownNodes } from './known-nodes.ts'

/** Those of known nodes, all of them, then as many others as there is room for; the last heard first. Takes them in the order of hearing. */
export function toldPresences(entries: readonly PresenceEntry[], known: Pick<KnownNodes, 'has' | 'isChosen'>): readonly PresenceEntry[] {
  let room = known.isChosen() ? MAX_TOLD_STRANGER_BYTES : MAX_TOLD_UNVOUCHED_BYTES
  const newest = entries.toReversed()
  const others = newest.filter(({ presence, envelope }) => {
    const { byteLength } = envelope.bytes
    if (known.has(presence.node) || byteLength > room) return false
    room -= byteLength
    return true
  })
  return [...newest.filter(({ presence }) => known.has(presence.node)), ...others]
}
