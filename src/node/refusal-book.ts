/** What was refused, for the log: gathered in memory, so that neither a message costs a commit nor a flood more than a few rows. */
import type { RefusalCode } from '../protocol/ack.ts'
import type { Clock } from '../protocol/clock.ts'
import type { CommandId } from '../protocol/envelope.ts'
import type { FaultCode } from '../protocol/errors.ts'
import { MAX_REFUSALS_TOLD, REFUSALS_MS } from '../protocol/limits.ts'
import type { StoredRefusal } from '../protocol/records.ts'
import type { Author, NodeId } from '../protocol/ssh-key.ts'
import type { Log } from './ports.ts'
import type { Store } from './store.ts'

/** The first refusals after a quiet time are written so soon; milliseconds. */
const SOON_MS = 250

/** What could be read of a command before it was refused. */
export interface Claim {
  author?: Author
  command?: CommandId
  pinset?: string
  /** The signature was checked. */
  isProven?: boolean
}

/** The book. */
export interface RefusalBook {
  /** Notes a refusal; never throws and writes nothing at once. */
  note(code: RefusalCode | FaultCode, claim: Readonly<Claim>, peer: NodeId): void
  /** Writes what is noted. */
  stop(): void
}

/**
 * Makes the book. Of one author and reason one refusal is told in {@link REFUSALS_MS}, with the number of those that followed; beyond
 * {@link MAX_REFUSALS_TOLD} authors the rest is one number for each reason.
 */
export function createRefusalBook({ store, clock, log }: { readonly store: Store; readonly clock: Clock; readonly log: Log }): RefusalBook {
  let noted = new Map<string, StoredRefusal>()
  let cancel: (() => void) | undefined
  let nextAt = 0

  const write = (): void => {
    cancel?.()
    cancel = undefined
    if (noted.size === 0) return
    const refusals = [...noted.values()]
    noted = new Map()
    nextAt = clock.now() + REFUSALS_MS
    try {
      store.transaction(() => store.addRefusals(refusals))
    } catch (err) {
      log.warn(`cannot note refusals for the log: ${err instanceof Error ? err.message : String(err)}`)
    }
  }

  return {
    note(code, { author, command, pinset, isProven = false }, peer) {
      const now = clock.now()
      const own = `${code} ${isProven} ${author ?? ''}`
      const isTold = noted.has(own) || noted.size < MAX_REFUSALS_TOLD
      const key = isTold ? own : code
      const first = noted.get(key)
      if (first !== undefined) noted.set(key, { ...first, until: now, more: first.more + 1 })
      else {
        const who = isTold
          ? {
              isProven,
              ...(author === undefined ? {} : { author }),
              ...(command === undefined ? {} : { command }),
              ...(pinset === undefined ? {} : { pinset })
            }
          : { isProven: false }
        noted.set(key, { at: now, until: now, code, ...who, peer, more: 0 })
      }
      cancel ??= clock.after(Math.max(SOON_MS, Math.min(nextAt - now, REFUSALS_MS)), write)
    },
    stop: write
  }
}
