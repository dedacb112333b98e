/** A number of places that callers wait for in turn. */
export interface Slots {
  /** Waits for a place; rejects with the signal's reason. Calling what it returns gives the place back; again is harmless. */
  acquire(signal: AbortSignal): Promise<() => void>
}

/** Makes {@link Slots} with `count` places. */
export function createSlots(count: number): Slots {
  let free = count
  const waiting = new Set<() => void>()

  function place(): () => void {
    let given = true
    return () => {
      if (!given) return
      given = false
      const [next] = waiting
      if (next === undefined) free += 1
      else {
        waiting.delete(next)
        next()
      }
    }
  }

  return {
    async acquire(signal) {
      signal.throwIfAborted()
      if (free > 0) {
        free -= 1
        return place()
      }
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      const onAbort = (): void => {
        waiting.delete(resolve)
        reject(signal.reason as Error)
      }
      waiting.add(resolve)
      signal.addEventListener('abort', onAbort, { once: true })
      try {
        await promise
      } finally {
        signal.removeEventListener('abort', onAbort)
      }
      return place()
    }
  }
}
