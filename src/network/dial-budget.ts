/** How often machines are dialled on somebody's word: whoever signs presences, or commands, must not aim all nodes at a machine of his choice. */
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Clock } from '../protocol/clock.ts'
import { HEARSAY_DIAL_MS, MAX_HEARSAY_DIALS, MAX_HEARSAY_HOSTS } from '../protocol/limits.ts'
import { createLevels } from './levels.ts'
import { ipIn } from './origin.ts'

/** A budget for each machine, by its IP address, whatever the port, the peer and the transport. */
export interface DialBudget {
  /** Takes one dial from the budget of the machine in a multiaddr (text); false where none is left, or the address names no machine. */
  take(address: string): boolean
  /** Gives it back: who was expected answered there. */
  giveBack(address: string): void
}

/**
 * Makes one: MAX_HEARSAY_DIALS at once, one more each HEARSAY_DIAL_MS. Host names are no machine, unless `names`: then all of them are
 * one, as all of them may lead to the same.
 */
export function createDialBudget(options: { readonly names: boolean }, ports: { readonly clock: Clock }): DialBudget {
  const spent = createLevels({ perSecond: 1_000 / HEARSAY_DIAL_MS, most: MAX_HEARSAY_DIALS, kept: MAX_HEARSAY_HOSTS }, ports)
  const hostOf = (address: string): string | undefined => machineIn(address) ?? (options.names && isNamed(address) ? 'names' : undefined)
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

/** With a zone an address is no machine: whoever says it means a network of his own. */
function machineIn(address: string): string | undefined {
  const parsed = parse(address)
  return /^ip[46]$/.test(firstIn(parsed)) ? ipIn(parsed as Multiaddr) : undefined
}

function isNamed(address: string): boolean {
  return firstIn(parse(address)).startsWith('dns')
}

function firstIn(address: Multiaddr | undefined): string {
  return address?.getComponents()[0]?.name ?? ''
}

function parse(text: string): Multiaddr | undefined {
  try {
    return multiaddr(text)
  } catch {
    return undefined
  }
}
