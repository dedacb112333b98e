/**
 * Keeps a block that somebody works with from being freed, and one that is being freed from being worked with.
 * Any number hold a key together; one takes it alone.
 */
export function createGuards() {
  const held = new Map<string, number>()
  const taken = new Map<string, Promise<void>>()

  return {
    /** Holds a key; waits while it is taken. Call what it returns once, when done. */
    async hold(key: string): Promise<() => void> {
      while (taken.has(key)) await taken.get(key)
      held.set(key, (held.get(key) ?? 0) + 1)
      return () => {
        const left = (held.get(key) ?? 0) - 1
        if (left > 0) held.set(key, left)
        else held.delete(key)
      }
    },

    /** Takes a key alone, or says that it is held or taken. Call what it returns once, when done. */
    tryTake(key: string): (() => void) | undefined {
      if (held.has(key) || taken.has(key)) return undefined
      const { promise, resolve } = Promise.withResolvers<void>()
      taken.set(key, promise)
      return () => {
        taken.delete(key)
        resolve()
      }
    }
  }
}

/** What {@link createGuards} makes. */
export type Guards = ReturnType<typeof createGuards>
