/** Who stands above whom: keys of the file in its order, then those that were let in by message, each below whoever let it in. */
import { compareRank, type Rank } from './order.ts'

/** When an admin said something: rank of the command, and place within it. Total over all admin operations. */
export interface Moment {
  readonly rank: Rank
  readonly index: number
}

/** The place of a key. A key may close and revoke those below it alone. */
export interface KeyPlace {
  /** Whether the file, or the keys that succeeded one of the file, gave it its place: these stand above all others. */
  readonly isFiled: boolean
  /** Place of the first key in the file, from 0. */
  readonly line: number
  /** By what each key on the way from there let in the next one. */
  readonly path: readonly Moment[]
}

/** Negative where `a` was said before `b`. */
export function compareMoments(a: Moment, b: Moment): number {
  return compareRank(a.rank, b.rank) || a.index - b.index
}

/** Negative where `a` stands above `b`. Whoever stands above a key stands above all that it let in, whatever time these give themselves. */
export function comparePlaces(a: KeyPlace, b: KeyPlace): number {
  if (a.isFiled !== b.isFiled) return a.isFiled ? -1 : 1
  if (a.line !== b.line) return a.line - b.line
  for (const [i, moment] of a.path.entries()) {
    const other = b.path[i]
    const order = other === undefined ? 1 : compareMoments(moment, other)
    if (order !== 0) return order
  }
  return a.path.length - b.path.length
}

/** The place of a key that the one at `place` lets in; a successor comes right behind it, above all that stood below. */
export function placeBelow(place: KeyPlace, moment: Moment, isSuccessor: boolean): KeyPlace {
  return { isFiled: place.isFiled && isSuccessor, line: place.line, path: [...place.path, moment] }
}
