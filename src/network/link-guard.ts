/** How much a peer may send for nothing: gossip that is ignored costs its sender no score, and would never end otherwise. */
import type { Clock } from '../protocol/clock.ts'
import { MAX_USELESS_BACKLOG, MAX_USELESS_BURST, MAX_USELESS_PER_SECOND, MAX_WATCHED_PEERS, USELESS_OWN_COST } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { createLevels } from './levels.ts'

/** The guard of all links. */
export interface LinkGuard {
  /** Whether what comes through the peer is looked at; else it is dropped, and should be counted all the same. */
  reads(peer: NodeId): boolean
  /** A message came through the peer and was of no use; `isOwn` where the peer published it itself. */
  useless(peer: NodeId, isOwn: boolean): void
  /** The peer is not listened to any more: cuts it off, unless it is a known node. */
  cut(peer: NodeId): void
}

/** Makes it. A known node is never cut off: what it says for nothing is dropped unread until it says less. */
export function createLinkGuard(ports: {
  readonly clock: Clock
  isKnown(peer: NodeId): boolean
  /** Ends the link and takes no other with the peer for a while. */
  shun(peer: NodeId): void
}): LinkGuard {
  const levels = createLevels({ perSecond: MAX_USELESS_PER_SECOND, most: MAX_USELESS_BACKLOG, kept: MAX_WATCHED_PEERS }, ports)
  const cut = (peer: NodeId): void => {
    if (!ports.isKnown(peer)) ports.shun(peer)
  }
  return {
    reads: (peer) => levels.get(peer) < MAX_USELESS_BURST,
    useless: (peer, isOwn) => {
      if (levels.add(peer, isOwn ? USELESS_OWN_COST : 1) >= MAX_USELESS_BACKLOG) cut(peer)
    },
    cut
  }
}
