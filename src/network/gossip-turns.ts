/** Takes turns with the rest of the program: frames of gossip are read a few messages at a time, and no faster than that. */
import { setImmediate } from 'node:timers/promises'
import { MAX_GOSSIP_TURN } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'

/** The turns of all peers. */
export interface GossipTurns {
  /** Resolves when one more message may be verified: {@link MAX_GOSSIP_TURN} in one turn of the event loop, in the order of asking. */
  next(): Promise<void>
  /** Reads a frame of a peer, whose streams are held while it waits for a turn, until all that came with it is read. */
  read(peer: NodeId, frame: () => Promise<void>): Promise<void>
}

/** Makes them; `hold` has what a peer sends wait at its end, or goes on. */
export function createGossipTurns(hold: (peer: NodeId, isHeld: boolean) => void): GossipTurns {
  /** Frames under way; a peer may have several streams. */
  const frames = new Map<NodeId, number>()
  const held = new Set<NodeId>()
  let left = MAX_GOSSIP_TURN
  let line: Promise<void> = Promise.resolve()

  const rest = async (): Promise<void> => {
    // Else it would pile up here what it sends meanwhile.
    for (const peer of frames.keys()) {
      held.add(peer)
      hold(peer, true)
    }
    await setImmediate()
    left = MAX_GOSSIP_TURN
  }

  const release = async (peer: NodeId): Promise<void> => {
    // By then the next frame is begun, if there is one here.
    await setImmediate()
    if (!frames.has(peer) && held.delete(peer)) hold(peer, false)
  }

  return {
    next: () => {
      line = line.then(async () => {
        if (left === 0) await rest()
        left--
      })
      return line
    },
    read: async (peer, frame) => {
      frames.set(peer, (frames.get(peer) ?? 0) + 1)
      try {
        await frame()
      } finally {
        const others = (frames.get(peer) ?? 1) - 1
        if (others > 0) frames.set(peer, others)
        else frames.delete(peer)
        if (held.has(peer)) void release(peer)
      }
    }
  }
}
