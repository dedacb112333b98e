/** What `max-pins` and `max-size` leave room for: the caps of each key, against what it is charged for and what is being fetched for it. */
import { MAX_UPDATE_CHAIN } from '../protocol/limits.ts'
import { compareRank } from '../protocol/order.ts'
import type { StoredRegister } from '../protocol/records.ts'
import type { Author } from '../protocol/ssh-key.ts'
import type { CapCode, Standing } from '../protocol/wish.ts'
import type { Store } from './store.ts'

/** The caps; they say what to take on, and never what to let go of. */
export interface Caps {
  /** Whether anything that the key says may be refused for a cap. */
  holds(author: Author): boolean
  /**
   * Which cap leaves no room for a pin, if one does. There is always room for what was pinned here for its author before, as
   * long as its author is charged for it. What an update replaces makes room for what it puts there.
   */
  refusal(pin: StoredRegister): CapCode | undefined
  /** A running pin has come to `bytes`; returns whether that leaves no room for it, in the name of any who pays for it. */
  fetched(cid: string, bytes: number): boolean
  /** A pin runs no more: what it fetched is counted by the store from now on, or goes. */
  ended(cid: string): void
}

/** Makes them; `standing` says what is known of an author. */
export function createCaps(store: Store, standing: (author: Author) => Standing | undefined): Caps {
  /** How far running pins have come, of those for which a key with a cap pays. */
  const fetching = new Map<string, number>()

  const holds = (author: Author): boolean => {
    const { maxPins, maxBytes } = standing(author)?.grant ?? {}
    return maxPins !== undefined || maxBytes !== undefined
  }

  const refusal = (pin: StoredRegister): CapCode | undefined => {
    const { author, charge } = pin
    const { maxPins = Infinity, maxBytes = Infinity } = standing(author)?.grant ?? {}
    if ((maxPins === Infinity && maxBytes === Infinity) || charge?.bytes !== undefined) return undefined
    let { pins, bytes } = wouldUse(pin)
    const replaced = replacedBy(pin)
    // How far back it goes matters only where there is no room.
    while (pins > maxPins || bytes > maxBytes) {
      const next = replaced.next()
      if (next.done === true) return pins > maxPins ? 'quota' : 'size'
      pins -= 1
      bytes -= next.value
    }
    return undefined
  }

  /** What its author uses once the pin is taken on, with what was fetched so far. */
  const wouldUse = ({ author, cid, charge }: StoredRegister): { pins: number; bytes: number } => {
    const { pins, bytes } = store.usage(author)
    let coming = 0
    for (const [running, fetched] of fetching) coming += fetched * (store.payers(running).get(author) ?? 0)
    if (charge !== undefined) return { pins, bytes: bytes + coming }
    return { pins: pins + 1, bytes: bytes + coming + (store.pin(cid)?.bytes ?? fetching.get(cid) ?? 0) }
  }

  /** The bytes of each pin that goes once this one is here: what its update replaces, what the update before that did, and so on. */
  function* replacedBy(pin: StoredRegister): Generator<number> {
    const { author, pinset } = pin
    let later = pin
    for (let n = 0; n < MAX_UPDATE_CHAIN && later.counterpart !== undefined; n++) {
      const own = store.registers(later.counterpart).filter((register) => register.pinset === pinset && register.author === author)
      const unpin = own.find(({ kind }) => kind === 'unpin')
      const before = own.find(({ kind }) => kind === 'pin')
      // It was wanted again since, or replaced by something else.
      if (before === undefined || unpin?.command !== later.command || compareRank(before.rank, unpin.rank) > 0) return
      if (before.charge !== undefined) yield before.charge.bytes ?? fetching.get(before.cid) ?? 0
      later = before
    }
  }

  return {
    holds,
    refusal,
    fetched(cid, bytes) {
      if (!store.payers(cid).keys().some(holds)) return false
      fetching.set(cid, bytes)
      return store.registers(cid).some((register) => register.charge !== undefined && refusal(register) !== undefined)
    },
    ended(cid) {
      fetching.delete(cid)
    }
  }
}
