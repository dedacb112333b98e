/** Wakes a loop that waits for news. */
export interface Bell {
  ring(): void
  /** Resolves at the next ring, or at once when it rang since the last time. */
  rung(): Promise<void>
}

/** Makes a bell that nobody has rung. */
export function createBell(): Bell {
  let hasRung = false
  let waiting: (() => void) | undefined
  return {
    ring() {
      hasRung = true
      waiting?.()
    },
    async rung() {
      if (!hasRung) await new Promise<void>((resolve) => (waiting = resolve))
      hasRung = false
      waiting = undefined
    }
  }
}
