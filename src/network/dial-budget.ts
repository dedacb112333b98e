/** How often machines are dialled that only presence told of: whoever signs presences must not aim all nodes at a machine of his choice. */
import type { Clock } from '../protocol/clock.ts'
import { HEARSAY_DIAL_MS, MAX_HEARSAY_DIALS, MAX_HEARSAY_HOSTS } from '../protocol/limits.ts'
import { parseMultiaddr } from './addresses.ts'
import { createLevels } from './levels.ts'

/** A budget for each machine, by its IP address. */
export interface DialBudget {
  /** Takes one dial from the budget of the machine in a multiaddr (text); false where none is left, or the address is none. */
  take(address: string): boolean
  /** Gives it back: who was expected answered there. */
  giveBack(address: string): void
}

/** Makes one: MAX_HEARSAY_DIALS at once, one more each HEARSAY_DIAL_MS. */
export function createDialBudget(ports: { readonly clock: Clock }): DialBudget {
  const spent = createLevels({ perSecond: 1_000 / HEARSAY_DIAL_MS, most: MAX_HEARSAY_DIALS, kept: MAX_HEARSAY_HOSTS }, ports)
  return {
    take(address) {
      const host = hostOf(address)
      if (host === undefined || spent.get(host) > MAX_HEARSAY_DIALS - 1) return false
      spent.add(host, 1)
      return true
    },
    giveBack(address) {
      const host = hostOf(address)
      if (host !== undefined && spent.get(host) > 0) spent.add(host, -1)
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
