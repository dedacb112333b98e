/** A number of bytes that callers have in memory together, and wait for in turn. */
export interface Budget {
  /** Waits until there is room for so many bytes; more than all there is are taken alone. Call what it gives once, to give them back. */
  take(bytes: number): Promise<() => void>
}

/** Makes a {@link Budget} of `all` bytes. */
export function createBudget(all: number): Budget {
  const waiting: { readonly bytes: number; readonly go: () => void }[] = []
  let taken = 0

  function next(): void {
    for (let [first] = waiting; first !== undefined && (taken === 0 || taken + first.bytes <= all); [first] = waiting) {
      waiting.shift()
      taken += first.bytes
      first.go()
    }
  }

  return {
    async take(bytes) {
      const { promise, resolve } = Promise.withResolvers<void>()
      waiting.push({ bytes, go: resolve })
      next()
      await promise
      return () => {
        taken -= bytes
        next()
      }
    }
  }
}
