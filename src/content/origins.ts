/** Dials who has content, as commands name them: each is only its author's word, which must not aim all nodes at one machine. */
import type { Libp2p } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { createDialBudget } from '../network/dial-budget.ts'
import type { Clock } from '../protocol/clock.ts'

/** What the dial of one origin may take. */
const DIAL_MS = 5_000

/**
 * Makes what dials origins (multiaddrs with /p2p), all at once, and resolves when all have answered or failed. Who answers costs his
 * machine nothing of its budget of dials.
 */
export function createOrigins(ports: { readonly libp2p: Libp2p; readonly clock: Clock }): {
  dial(origins: readonly string[], signal: AbortSignal): Promise<void>
} {
  const budget = createDialBudget({ names: true }, ports)
  return {
    async dial(origins, signal) {
      const dialled = origins.filter(budget.take).map(async (origin) => {
        await ports.libp2p.dial(multiaddr(origin), { signal: AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS)]) })
        budget.giveBack(origin)
      })
      await Promise.allSettled(dialled)
    }
  }
}
