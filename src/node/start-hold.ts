/** Holds gossip back after a start until admin operations are up to date: a key may have been revoked while this node was off. */
import type { Clock } from '../protocol/clock.ts'

/** Gossip waits so long for a first peer, milliseconds. */
const ALONE_MS = 5_000

/** And so long in all: a peer that stalls must not silence a node. */
const MOST_MS = 15_000

/** The hold. */
export interface StartHold {
  /** Whether gossip still waits. */
  readonly isHeld: boolean
  /** Begins the wait; from now on `isNeeded` is not asked again. */
  start(): void
  /** What a peer knows of admin operations is known here. */
  release(): void
  stop(): void
}

/** Makes it; held from the beginning. */
export function createStartHold(ports: {
  readonly clock: Clock
  /** Whether any key may be taken away by message, and there is anybody to hear of that. */
  isNeeded(): boolean
  /** Whether a peer is being asked right now. */
  isAsking(): boolean
  /** Called once, when gossip need not wait any longer. */
  onRelease(): void
}): StartHold {
  const { clock } = ports
  let isHeld = true
  let cancel = (): void => {}

  const release = (): void => {
    cancel()
    if (!isHeld) return
    isHeld = false
    ports.onRelease()
  }

  return {
    get isHeld() {
      return isHeld
    },
    start() {
      if (!ports.isNeeded()) return release()
      cancel = clock.after(ALONE_MS, () => {
        if (!ports.isAsking()) return release()
        cancel = clock.after(MOST_MS - ALONE_MS, release)
      })
    },
    release,
    stop: () => cancel()
  }
}
