/** Hears every node anew: all announce themselves to a newcomer, and only words of the same moment can be compared. */
import type { PresenceTable } from '../network/presence-table.ts'
import type { Clock } from '../protocol/clock.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { createBell, type Bell } from './bell.ts'

/** The roll. */
export interface RollCall {
  /** A node announced itself to all, which it did after this sender had come. */
  answered(node: NodeId): void
  /** Resolves once all nodes that are there have answered, at the latest after a second and a half. Rejects with the signal's reason. */
  wait(signal: AbortSignal | undefined): Promise<void>
}

/** A node announces itself within 50 ms of a link, and a link takes a few round trips; milliseconds. */
const WAIT_MS = 1_500

/** Makes a roll on which nobody has answered. */
export function createRollCall(ports: { readonly presence: PresenceTable; readonly clock: Clock }): RollCall {
  const { presence, clock } = ports
  const here = new Set<NodeId>()
  const bells = new Set<Bell>()
  const isComplete = (): boolean => presence.all().every(({ online, presence: { node } }) => !online || here.has(node))
  return {
    answered(node) {
      here.add(node)
      bells.forEach((bell) => bell.ring())
    },
    async wait(signal) {
      const bell = createBell()
      bells.add(bell)
      let isLate = false
      const ring = (): void => bell.ring()
      const cancel = clock.after(WAIT_MS, () => {
        isLate = true
        ring()
      })
      signal?.addEventListener('abort', ring)
      try {
        while (!isLate && !isComplete()) {
          signal?.throwIfAborted()
          await bell.rung()
        }
      } finally {
        cancel()
        bells.delete(bell)
        signal?.removeEventListener('abort', ring)
      }
    }
  }
}
