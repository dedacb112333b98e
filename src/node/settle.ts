/** Turns what was said into what to do: for one CID, over all pinsets and authors, holds, jobs and operation states. */
import type { FailureCode, OperationState } from '../protocol/ack.ts'
import type { Job, SetMember, StoredRegister } from '../protocol/records.ts'
import type { Author } from '../protocol/ssh-key.ts'
import { decide, whyNot, type Standing, type Wish } from '../protocol/wish.ts'
import type { Store } from './store.ts'

/** What settling changed, for those who act on it once the transaction is durable. */
export interface Changes {
  /** `seq` of commands with an operation whose state changed. */
  readonly commands: Set<number>
  /** CIDs whose job was put, replaced or removed. */
  readonly cids: Set<string>
  /** Commands that came to hold a register, or hold none any more, in order. */
  readonly sets: SetChange[]
}

/** A command that joined the set of its author and pinset, or left it, or never came to stand in it. */
export interface SetChange extends SetMember {
  readonly kind: 'joined' | 'left'
}

/** A fresh record of changes. */
export function noChanges(): Changes {
  return { commands: new Set(), cids: new Set(), sets: [] }
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

/** Makes a settler over a store; `standing` says what is known of an author, `expiryNow` by which time pins expire when it is `now`. */
export function createSettler(
  store: Store,
  standing: (author: Author) => Standing | undefined,
  expiryNow: (now: number) => number = (now) => now
): Settler {
  const settle = (cid: string, now: number, changes: Changes, seen: ReadonlySet<string> = new Set()): void => {
    const registers = store.registers(cid)
    const pinsets = Map.groupBy(registers, ({ pinset }) => pinset)
    const wishes = new Map<string, Wish>()
    for (const [pinset, group] of pinsets) wishes.set(pinset, decide(group, pinset, standing, expiryNow(now)))

    const wanted: StoredRegister[] = []
    for (const [pinset, wish] of wishes) {
      if (wish.want === 'pin') {
        wanted.push(wish.by as StoredRegister)
        store.hold(cid, pinset)
      } else if (wish.want === 'unpin' && !awaitsSuccessor(store, wish.by as StoredRegister)) {
        store.release(cid, pinset)
      } else if (wish.want === 'none' && store.pin(cid) === undefined) {
        // Unowned, but no byte of it is here yet: there is nothing to keep.
        store.release(cid, pinset)
      }
    }
    schedule(store, cid, wanted, now, changes)

    for (const register of registers) {
      const author = standing(register.author)
      const state = stateOf(store, register, wishes.get(register.pinset) as Wish, author)
      recordState(store, register, state, now, changes)
    }
    // A CID that an update let wait for this one may go once this one is held, or no longer wanted.
    for (const { kind, counterpart } of registers) {
      if (kind === 'pin' && counterpart !== undefined && !seen.has(counterpart) && store.holds(counterpart).length > 0) {
        settle(counterpart, now, changes, new Set([...seen, cid]))
      }
    }
  }

  return {
    settle,
    view(cid, now) {
      const views: View[] = []
      for (const [pinset, group] of Map.groupBy(store.registers(cid), (register) => register.pinset)) {
        const wish = decide(group, pinset, standing, expiryNow(now))
        if (wish.want === 'none') continue
        const by = wish.by as StoredRegister
        views.push({ pinset, want: wish.want, by, state: stateOf(store, by, wish, standing(by.author)) })
      }
      return views
    }
  }
}

/** `update` holds the old CID while the new one is wanted here and not yet pinned here. */
function awaitsSuccessor(store: Store, unpin: StoredRegister): boolean {
  if (unpin.counterpart === undefined) return false
  return store.pin(unpin.counterpart) === undefined && store.holds(unpin.counterpart).includes(unpin.pinset)
}

/**
 * A job is only ever replaced by another, never just called off: it may be running, and what it did by then is known
 * only once its opposite has run. Both kinds are idempotent.
 */
function schedule(store: Store, cid: string, wanted: readonly StoredRegister[], now: number, changes: Changes): void {
  const job = store.job(cid)
  const pin = store.pin(cid)
  const put = (action: Job['action'], spelled: string): void => {
    const origins = [...new Set(wanted.flatMap((register) => register.origins ?? []))]
    store.putJob({ cid, action, spelled, origins, nextAt: now })
    changes.cids.add(cid)
  }
  const [first] = wanted
  if (first !== undefined) {
    if (job === undefined && pin !== undefined) return
    // Somebody who says where the content is wants it fetched from there, also by a try that runs or waits.
    if (job?.action === 'pin' && wanted.every(({ origins = [] }) => origins.every((origin) => job.origins.includes(origin)))) return
    if (job?.action === 'unpin') store.removePin(cid)
    put('pin', job?.spelled ?? first.spelled)
  } else if (store.holds(cid).length === 0 && job?.action !== 'unpin') {
    const spelled = pin?.spelled ?? job?.spelled
    if (spelled !== undefined) put('unpin', spelled)
  }
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
  if (pin !== undefined) return { status: 'pinned', bytes: pin.bytes }
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
