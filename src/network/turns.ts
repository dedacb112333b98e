/** Strangers take turns with what costs this process time. */
import type { Clock } from '../protocol/clock.ts'
import type { NodeId } from '../protocol/ssh-key.ts'

/** The turns of one kind of work. */
export interface Turns {
  /** Does a piece of work for a peer: at once where it is known, else one after the other, with a rest as long as the last one took. */
  take<T>(peer: NodeId, work: () => Promise<T>): Promise<T>
}

/** Makes them: all strangers together never get more than half of this process. */
export function createTurns(ports: { readonly clock: Clock; isKnown(peer: NodeId): boolean }): Turns {
  const { clock } = ports
  let last = Promise.resolve()
  return {
    async take(peer, work) {
      if (ports.isKnown(peer)) return work()
      const before = last
      const { promise, resolve } = Promise.withResolvers<void>()
      last = promise
      await before
      const began = clock.now()
      try {
        return await work()
      } finally {
        clock.after(Math.max(0, clock.now() - began), resolve)
      }
    }
  }
}
