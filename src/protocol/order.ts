import { MAX_COUNTER } from './limits.ts'

/** A hybrid logical clock reading: wall-clock milliseconds, then a counter within the millisecond. */
export interface Hlc {
  readonly ms: number
  readonly counter: number
}

/** The place of an operation in the total order of design and PROTOCOL.md: (`at` or time, time, command id). */
export interface Rank {
  readonly at: Hlc
  readonly time: Hlc
  /** Command id, lower-case hex. */
  readonly command: string
}

/** Negative when `a` is earlier than `b`, 0 when equal, positive when later. */
export function compareHlc(a: Hlc, b: Hlc): number {
  return a.ms - b.ms || a.counter - b.counter
}

/** Orders ranks; 0 only for the same command. Within one command a CID stands once, so this is total over operations on it. */
export function compareRank(a: Rank, b: Rank): number {
  return compareHlc(a.at, b.at) || compareHlc(a.time, b.time) || (a.command < b.command ? -1 : a.command > b.command ? 1 : 0)
}

/** The next reading above `last` at wall-clock time `now`: never goes back, even when the wall clock does. */
export function tick(last: Hlc | undefined, now: number): Hlc {
  if (last === undefined || now > last.ms) return { ms: now, counter: 0 }
  return last.counter < MAX_COUNTER ? { ms: last.ms, counter: last.counter + 1 } : { ms: last.ms + 1, counter: 0 }
}

/** The later of two readings, either of which may be missing. */
export function laterHlc(a: Hlc | undefined, b: Hlc | undefined): Hlc | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return compareHlc(a, b) >= 0 ? a : b
}
