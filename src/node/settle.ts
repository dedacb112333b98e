/** Turns what was said into what to do: for one CID, over all pinsets and authors, holds, jobs and operation states. */
import type { FailureCode, OperationState } from '../protocol/ack.ts'
import { isAdminOperation } from '../protocol/admin-operations.ts'
import type { AdminCommand } from '../protocol/admin.ts'
import { MAX_UPDATE_CHAIN } from '../protocol/limits.ts'
import type { SetMember, StoredRegister } from '../protocol/records.ts'
import type { Author } from '../protocol/ssh-key.ts'
import { decide, wanting, whyNot, type Standing, type Wish } from '../protocol/wish.ts'
import type { Caps } from './caps.ts'
import type { Store } from './store.ts'

/** What settling changed, for those who act on it once the transaction is durable. */
export interface Changes {
  /** `seq` of commands with an operation whose state changed. */
  readonly commands: Set<number>
  /** CIDs whose job was put, replaced or removed. */
  readonly cids: Set<string>
  /** Commands without a pinset that were recorded. */
  readonly admin: AdminCommand[]
  /** Commands that came to hold a register, or hold none any more, in order. */
  readonly sets: SetChange[]
}

/** A command that joined the set of its author and pinset, or left it, or never came to stand in it. */
export interface SetChange extends SetMember {
  readonly kind: 'joined' | 'left'
}

/** A fresh record of changes. */
export function noChanges(): Changes {
  return { commands: new Set(), cids: new Set(), admin: [], sets: [] }
}

/** Settles CIDs. Call it inside a store transaction, and again whenever a register, a standing, a pin or the time changed. */
export interface Settler {
  settle(cid: string, now: number, changes: Changes): void
  /** How a CID stands in each pinset in which somebody who counts has spoken of it. */
  view(cid: string, now: number): readonly View[]
}

/** How a CID stands in one pinset. */
export interface View {
  readonly pinset: string
  readonly want: 'pin' | 'unpin'
  /** The register that decides. */
  readonly by: StoredRegister
  readonly state: OperationState
}

/** What a settler works with. */
export interface SettlerPorts {
  readonly store: Store
  /** What is known of an author. */
  standing(author: Author): Standing | undefined
  readonly caps: Caps
  /** By which time pins expire when it is `now`; by that, where it is not given. */
  expiryNow?(now: number): number
}

/** Makes a settler. */
export function createSettler({ store, standing, caps, expiryNow = (now) => now }: SettlerPorts): Settler {
  const settle = (cid: string, now: number, changes: Changes, seen: Set<string> = new Set()): void => {
    seen.add(cid)
    const { registers, wishes, spared } = takeOn(cid, now)
    const held = new Set(store.holds(cid))
    const wanted = wishes.flatMap(({ want, by }) => (want === 'pin' ? [by as StoredRegister] : []))
    // Whether what is being let go is still there nobody knows.
    if (wanted.length > 0 && store.job(cid)?.action === 'unpin') store.removePin(cid)
    const isHere = store.pin(cid) !== undefined
    const keeps = ({ pinset, want, by }: PinsetWish): boolean => {
      if (want === 'pin') return true
      // Only what an unpin or an expiry lets go goes, unless no byte of it is here.
      return held.has(pinset) && (want === 'unpin' ? awaitsSuccessor(by as StoredRegister, now) : isHere)
    }
    const keeping = wishes.filter(keeps)
    for (const wish of wishes) {
      if (wish.want === 'pin') store.hold(cid, wish.pinset)
      // The last hold stands until the bytes are gone: until then they can be called back.
      else if (!keeping.includes(wish) && (keeping.length > 0 || !isHere)) store.release(cid, wish.pinset)
    }
    schedule(store, cid, keeping.length > 0, wanted, now, changes)

    for (const register of registers) {
      // How far an admin's operation has come is told by the book of authors.
      if (isOfAdmin(register)) continue
      const wish = wishes.find(({ pinset }) => pinset === register.pinset) as PinsetWish
      recordState(store, register, stateOf(store, register, wish, standing(register.author)), now, changes)
      // While an update waits, who pinned what it replaces goes on paying.
      const isPaid = wish.pins.includes(register) || (wish.want === 'unpin' && keeping.includes(wish))
      if (register.charge !== undefined && !isPaid) store.discharge(register)
    }
    // A CID that an update let wait for this one may go once this one is held, or no longer wanted.
    for (const replaced of heldBefore(cid)) if (!seen.has(replaced)) settle(replaced, now, changes, seen)
    // What an update would have replaced that is refused now stays, or makes room no more.
    for (const other of spared) settle(other, now, changes)
    for (const other of crowded(registers, wishes)) if (!seen.has(other)) settle(other, now, changes, seen)
  }

  /** Charges the authors of all pins that want a CID, and refuses those for which a cap leaves no room: then what their updates would have replaced is spared. */
  const takeOn = (
    cid: string,
    now: number
  ): { readonly registers: readonly StoredRegister[]; readonly wishes: readonly PinsetWish[]; readonly spared: readonly string[] } => {
    const registers = store.registers(cid)
    const wishes = wishesOf(registers, now)
    const refused: StoredRegister[] = []
    for (const pin of wishes.flatMap(({ pins }) => pins)) {
      const code = caps.refusal(pin)
      if (code !== undefined) {
        store.refuse(pin.command, pin.index, code)
        store.discharge(pin)
        refused.push(pin)
      } else if (pin.charge === undefined) store.charge(pin)
    }
    if (refused.length === 0) return { registers, wishes, spared: [] }
    const left = store.registers(cid)
    return { registers: left, wishes: wishesOf(left, now), spared: refused.flatMap(({ counterpart }) => counterpart ?? []) }
  }

  /** What came in place of a CID by an update that replaces nothing any more, as the CID is wanted again: its author may have no room for both. */
  const crowded = (registers: readonly StoredRegister[], wishes: readonly PinsetWish[]): readonly string[] =>
    registers.flatMap((register) => {
      const { author, pinset, kind, refused } = register
      if (kind !== 'unpin' || refused !== undefined || !caps.holds(author)) return []
      const isBack = wishes.some((wish) => wish.pinset === pinset && wish.pins.some((pin) => pin.author === author))
      return isBack ? (lastOf(register) ?? []) : []
    })

  /** What is at the end of a row of updates by one key. */
  const lastOf = ({ author, pinset, counterpart }: StoredRegister): string | undefined => {
    let last = counterpart
    for (let n = 0; n < MAX_UPDATE_CHAIN && last !== undefined; n++) {
      const next = store.registers(last).find((one) => one.kind === 'unpin' && one.author === author && one.pinset === pinset)?.counterpart
      if (next === undefined) break
      last = next
    }
    return last
  }

  /** What is held and was replaced by a CID, at once or by way of others that are not held. */
  const heldBefore = (cid: string): string[] => {
    const found: string[] = []
    const chain = new Set([cid])
    for (const next of chain) {
      for (const replaced of store.replacedBy(next)) {
        if (store.holds(replaced).length > 0) found.push(replaced)
        else if (chain.size < MAX_UPDATE_CHAIN) chain.add(replaced)
      }
    }
    return found
  }

  const wishesOf = (registers: readonly StoredRegister[], now: number): PinsetWish[] =>
    [...Map.groupBy(registers, ({ pinset }) => pinset)].map(([pinset, group]) => ({
      pinset,
      ...decide(group, pinset, standing, expiryNow(now)),
      pins: wanting(group, pinset, standing, expiryNow(now))
    }))

  /** `update` holds the old CID while the new one is wanted and not pinned here, or waits itself for what replaces it. */
  const awaitsSuccessor = ({ cid, kind, counterpart, pinset }: StoredRegister, now: number, behind: readonly string[] = []): boolean => {
    // Of updates in a circle none is waited for.
    if (kind !== 'unpin' || counterpart === undefined || behind.includes(counterpart)) return false
    if (behind.length >= MAX_UPDATE_CHAIN) return true
    const group = store.registers(counterpart).filter((register) => register.pinset === pinset)
    const { want, by } = decide(group, pinset, standing, expiryNow(now))
    const isHere = store.pin(counterpart) !== undefined && store.job(counterpart) === undefined
    // What is here for another pinset may yet be refused in this one.
    if (isHere) return want === 'pin' && !store.holds(counterpart).includes(pinset)
    return want === 'pin' || (by !== undefined && awaitsSuccessor(by as StoredRegister, now, [...behind, cid]))
  }

  return {
    settle,
    view(cid, now) {
      const views: View[] = []
      for (const wish of wishesOf(store.registers(cid), now)) {
        if (wish.want === 'none') continue
        const by = wish.by as StoredRegister
        views.push({ pinset: wish.pinset, want: wish.want, by, state: stateOf(store, by, wish, standing(by.author)) })
      }
      return views
    }
  }
}

function isOfAdmin({ pinset, kind }: StoredRegister): boolean {
  return pinset === '' && isAdminOperation({ op: kind.slice(1) })
}

interface PinsetWish extends Wish {
  readonly pinset: string
  /** All that want it there. */
  readonly pins: readonly StoredRegister[]
}

/**
 * A job is only ever replaced by another, never just called off: it may be running, and what it did by then is known
 * only once its opposite has run. Both kinds are idempotent.
 */
function schedule(store: Store, cid: string, isKept: boolean, wanted: readonly StoredRegister[], now: number, changes: Changes): void {
  const job = store.job(cid)
  const pin = store.pin(cid)
  const spelled = job?.spelled ?? pin?.spelled ?? wanted[0]?.spelled
  if (spelled === undefined || (job === undefined && isKept === (pin !== undefined))) return
  const action = isKept ? 'pin' : 'unpin'
  // Somebody who says where the content is wants it fetched from there, also by a try that runs or waits.
  const origins = isKept ? [...new Set(wanted.flatMap((register) => register.origins ?? []))] : []
  if (job?.action === action && origins.every((origin) => job.origins.includes(origin))) return
  store.putJob({ cid, action, spelled, origins, nextAt: now })
  changes.cids.add(cid)
}

/** Failures of the backend, not of the job: it waits until the daemon is back or has room, and nobody is told that it failed. */
const WAITED_FOR: ReadonlySet<FailureCode | undefined> = new Set(['unavailable', 'no-space'])

function stateOf(store: Store, register: StoredRegister, wish: Wish, author: Standing | undefined): OperationState {
  const code = author === undefined ? 'unauthorised' : whyNot(register, register.pinset, author)
  if (code !== undefined) return { status: 'refused', code }
  const by = wish.by as StoredRegister
  if (register.kind !== wish.want && by !== register) return { status: 'superseded', by: by.rank.command }
  const { cid, pinset } = register
  const held = store.holds(cid)
  const job = store.job(cid)
  if (wish.want === 'unpin') {
    if (held.includes(pinset) || job?.action === 'unpin') return { status: 'queued' }
    return { status: 'unpinned', heldBy: held }
  }
  const pin = store.pin(cid)
  // With a job it was called back while it was being let go: it may be gone.
  if (pin !== undefined && job === undefined) return { status: 'pinned', bytes: pin.bytes }
  if (job?.code === undefined || WAITED_FOR.has(job.code)) return { status: 'queued' }
  return { status: 'failed', code: job.code, attempt: job.attempt, next: job.nextAt }
}

function recordState(store: Store, register: StoredRegister, state: OperationState, at: number, changes: Changes): void {
  const { command, index, cid, kind, counterpart } = register
  // An update is one operation with two registers; the one that pins speaks for it.
  if (kind === 'unpin' && counterpart !== undefined) return
  const before = store.operation(command, index)
  if (before !== undefined && JSON.stringify(before.state) === JSON.stringify(state)) return
  store.putOperation({ command, index, cid, state, at })
  changes.commands.add(command)
}
