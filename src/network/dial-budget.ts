/** How often machines are dialled that only presence told of: whoever signs presences must not aim all nodes at a machine of his choice. */
import type { Clock } from '../protocol/clock.ts'
import { HEARSAY_DIAL_MS, MAX_HEARSAY_DIALS, MAX_HEARSAY_HOSTS } from '../protocol/limits.ts'
import { parseMultiaddr } from './addresses.ts'

/** A budget for each machine, by its IP address. */
export interface DialBudget {
  /** Takes one dial from the budget of the machine in a multiaddr (text); false where none is left, or the address is none. */
  take(address: string): boolean
  /** Gives it back: who was expected answered there. */
  giveBack(address: string): void
}

interface Bucket {
  readonly left: number
  readonly at: number
}

/** Makes one: MAX_HEARSAY_DIALS at once, one more each HEARSAY_DIAL_MS. */
export function createDialBudget({ clock }: { readonly clock: Clock }): DialBudget {
  const buckets = new Map<string, Bucket>()

  const keep = (host: string, bucket: Bucket): void => {
    // What was dialled last is last.
    buckets.delete(host)
    buckets.set(host, bucket)
    if (buckets.size > MAX_HEARSAY_HOSTS) buckets.delete(buckets.keys().next().value as string)
  }
  const leftOf = (host: string): number => {
    const { left, at } = buckets.get(host) ?? { left: MAX_HEARSAY_DIALS, at: 0 }
    return Math.min(MAX_HEARSAY_DIALS, left + Math.max(0, clock.now() - at) / HEARSAY_DIAL_MS)
  }
  return {
    take(address) {
      const host = hostOf(address)
      if (host === undefined) return false
      const left = leftOf(host)
      if (left < 1) return false
      keep(host, { left: left - 1, at: clock.now() })
      return true
    },
    giveBack(address) {
      const host = hostOf(address)
      if (host !== undefined && buckets.has(host)) keep(host, { left: Math.min(MAX_HEARSAY_DIALS, leftOf(host) + 1), at: clock.now() })
    }
  }
}

function hostOf(address: string): string | undefined {
  try {
    return parseMultiaddr(address).getComponents()[0]?.value
  } catch {
    return undefined
  }
}
