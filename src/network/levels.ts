/** Leaky buckets by name: each fills with what is added and runs out at an even rate. */
import type { Clock } from '../protocol/clock.ts'

/** The buckets. */
export interface Levels {
  /** What is in one now. */
  get(name: string): number
  /** Adds to one, no higher than its brim, and tells what is in it then. */
  add(name: string, amount: number): number
}

/** Makes them: `perSecond` runs out of each, none holds more than `most`, and of more than `kept` the one that was added to least lately is forgotten. */
export function createLevels(
  options: { readonly perSecond: number; readonly most: number; readonly kept: number },
  ports: { readonly clock: Clock }
): Levels {
  const levels = new Map<string, { readonly level: number; readonly at: number }>()

  const get = (name: string): number => {
    const known = levels.get(name)
    if (known === undefined) return 0
    // A clock that was set back lets nothing run out, and adds nothing.
    const gone = (Math.max(0, ports.clock.now() - known.at) / 1_000) * options.perSecond
    return Math.max(0, known.level - gone)
  }

  return {
    get,
    add(name, amount) {
      const level = Math.min(options.most, get(name) + amount)
      levels.delete(name)
      levels.set(name, { level, at: ports.clock.now() })
      const [oldest] = levels.keys()
      if (levels.size > options.kept && oldest !== undefined) levels.delete(oldest)
      return level
    }
  }
}
