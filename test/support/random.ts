/** Choices that can be made again: the same seed gives the same ones. */
export interface Random {
  /** A number in [0, 1). */
  next(): number
  /** A whole number of `from` to `to`, both included. */
  between(from: number, to: number): number
  /** Whether something of this likelihood comes true. */
  chance(likelihood: number): boolean
  /** One of a list that is not empty. */
  pick<T>(list: readonly T[]): T
  /** As many of a list as there are, `count` at most, each at most once. */
  some<T>(list: readonly T[], count: number): T[]
}

/** Makes a source of them by mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  const between = (from: number, to: number): number => from + Math.floor(next() * (to - from + 1))
  return {
    next,
    between,
    chance: (likelihood) => next() < likelihood,
    pick: <T>(list: readonly T[]): T => list[between(0, list.length - 1)] as T,
    some: <T>(list: readonly T[], count: number): T[] => {
      const left = [...list]
      const chosen: T[] = []
      while (chosen.length < count && left.length > 0) chosen.push(...left.splice(between(0, left.length - 1), 1))
      return chosen
    }
  }
}
