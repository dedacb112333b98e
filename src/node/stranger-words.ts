/** How many acks and presences of nodes that nobody named are passed on: strangers can sign as many as they like. */
import { createLevels, type Levels } from '../network/levels.ts'
import type { Clock } from '../protocol/clock.ts'
import {
  MAX_WATCHED_PEERS,
  STRANGER_WORDS,
  STRANGER_WORDS_PER_LINK,
  UNVOUCHED_WORDS,
  UNVOUCHED_WORDS_PER_LINK
} from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { KnownNodes } from './known-nodes.ts'

/** The judge of what a node signed that came through a peer. */
export interface StrangerWords {
  /** Whether it may be passed on; counts it where nobody named the node. */
  hasRoom(node: NodeId, via: NodeId): boolean
}

/** So many seconds' worth may come at once. */
const BURST_S = 4

/** Makes it. Where nobody is named, strangers have the room of a whole network. */
export function createStrangerWords(ports: { readonly known: Pick<KnownNodes, 'has' | 'isChosen'>; readonly clock: Clock }): StrangerWords {
  const { known, clock } = ports
  const rate = (perSecond: number, kept: number): { levels: Levels; most: number } => {
    const most = perSecond * BURST_S
    return { levels: createLevels({ perSecond, most, kept }, { clock }), most }
  }
  const chosen = { link: rate(STRANGER_WORDS_PER_LINK, MAX_WATCHED_PEERS), all: rate(STRANGER_WORDS, 1) }
  const unchosen = { link: rate(UNVOUCHED_WORDS_PER_LINK, MAX_WATCHED_PEERS), all: rate(UNVOUCHED_WORDS, 1) }
  return {
    hasRoom(node, via) {
      if (known.has(node)) return true
      const { link, all } = known.isChosen() ? chosen : unchosen
      if (link.levels.get(via) + 1 > link.most || all.levels.get('') + 1 > all.most) return false
      link.levels.add(via, 1)
      all.levels.add('', 1)
      return true
    }
  }
}
