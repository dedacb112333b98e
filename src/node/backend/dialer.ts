import type { DialBudget } from '../../network/dial-budget.ts'
import type { Clock } from '../../protocol/clock.ts'

/** One bulk command gives the same origins to thousands of pins: within this time (ms) each address is dialled once. */
const REDIAL_MS = 10_000
/** Addresses remembered; the oldest is forgotten, which costs one dial too many at worst. */
const MAX_REMEMBERED = 256

/** Dials, and can forget that it did. */
export interface OriginDialer {
  (origins: readonly string[]): void
  /** The connections are gone: every address is dialled again when it is named next. */
  forget(): void
}

/**
 * Dials who may hold the content, in the background. Resolves never and fails never: a want goes out to peers that connect later too,
 * so that a pin does not have to wait for addresses that lead nowhere (a laptop's private ones do, each time). With a budget a machine is
 * dialled only so often, but for those who answer.
 */
export function createOriginDialer(
  connect: (address: string) => Promise<unknown>,
  { clock, budget }: { readonly clock: Clock; readonly budget?: DialBudget }
): OriginDialer {
  const dialled = new Map<string, number>()
  /** Other nodes write the addresses: one that cannot be read must not stop the rest. */
  const attempt = async (address: string): Promise<void> => {
    try {
      await connect(address)
      budget?.giveBack(address)
    } catch {
      // Who cannot be reached has nothing for us.
    }
  }
  const dial = (origins: readonly string[]): void => {
    for (const address of origins) {
      const now = clock.now()
      if (now - (dialled.get(address) ?? -Infinity) < REDIAL_MS) continue
      dialled.delete(address)
      dialled.set(address, now)
      const [oldest] = dialled.keys()
      if (dialled.size > MAX_REMEMBERED && oldest !== undefined) dialled.delete(oldest)
      if (budget?.take(address) !== false) void attempt(address)
    }
  }
  return Object.assign(dial, { forget: () => dialled.clear() })
}
