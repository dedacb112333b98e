/** How far the clocks of others are off ours, from what they sign with a time in it. Pure. */
import { MAX_AHEAD_MS } from './limits.ts'

/** A message that tells the clock of who signed it. */
export interface HeardTime {
  /** The signer's clock when it signed, milliseconds since the epoch. */
  readonly time: number
  /** Our clock when the message was heard first, milliseconds since the epoch. */
  readonly heardAt: number
}

/** By how much the signer's clock is ahead of ours, milliseconds, less the time that the message took; negative where it is behind. */
export function offsetOf({ time, heardAt }: HeardTime): number {
  return time - heardAt
}

/**
 * The median of offsets, milliseconds; undefined of none. Of an even number it is what lies nearest to 0 between the two in the middle,
 * so that one wrong clock of two does not make ours look wrong.
 */
export function medianOffset(offsets: readonly number[]): number | undefined {
  if (offsets.length === 0) return undefined
  const sorted = offsets.toSorted((a, b) => a - b)
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]] as [number, number]
  return Math.min(Math.max(0, low), high)
}

/** Whether an offset is more than commands may be ahead: {@link MAX_AHEAD_MS} either way. */
export function isOff(offset: number | undefined): offset is number {
  return offset !== undefined && Math.abs(offset) > MAX_AHEAD_MS
}

const MINUTE_MS = 60_000

/** An offset in words: `61 min ahead`, `3 h behind`, or, where it is said of what, `2 days ahead of the nodes`. */
export function sayOffset(offset: number, whom?: string): string {
  const minutes = Math.abs(offset) / MINUTE_MS
  const size =
    minutes < 90 ? `${Math.round(minutes)} min` : minutes < 2_880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1_440)} days`
  if (whom === undefined) return `${size} ${offset < 0 ? 'behind' : 'ahead'}`
  return `${size} ${offset < 0 ? 'behind' : 'ahead of'} ${whom}`
}
