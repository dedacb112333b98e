/** Time as an argument, so that tests can say when it is. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number
  /** Calls `fn` once after `ms` milliseconds; the returned function calls that off. */
  after(ms: number, fn: () => void): () => void
}
