/** The durable step for one command: its row, its registers, what they push out, and what follows for the CIDs it names. */
import { isAdminOperation } from '../protocol/admin-operations.ts'
import { cidKey } from '../protocol/cid.ts'
import type { Command, Operation } from '../protocol/command.ts'
import { compareRank } from '../protocol/order.ts'
import type { StoredCommand, StoredRegister } from '../protocol/records.ts'
import { textAddress } from './addresses.ts'
import { adminCommand } from './admin-commands.ts'
import type { Changes, Settler } from './settle.ts'
import type { Store } from './store.ts'

/** A command as it came, with when it was first accepted, milliseconds since the epoch. */
export interface Accepted {
  readonly command: Command
  /** Its envelope. */
  readonly bytes: Uint8Array
  readonly acceptedAt: number
}

/** Records a command that is not stored yet; see {@link createRecorder}. */
export type Recorder = (
  accepted: Accepted,
  options: { readonly from: 'gossip' | 'peer'; readonly now: number },
  changes: Changes
) => boolean

/**
 * Makes the step; call it inside a store transaction. It returns whether the command holds a register now. One that holds none is
 * kept for a while if it came by gossip, where somebody waits for an answer; what comes from a peer that keeps it is not answered.
 */
export function createRecorder(store: Store, settler: Settler): Recorder {
  return (accepted, options, changes) => {
    const { command, bytes, acceptedAt } = accepted
    const { id, author, pinset, time } = command
    const { now } = options
    const registers = command.operations.flatMap((operation, index) => registersOf(operation, { command, index, acceptedAt }))
    const isAwaited = options.from === 'gossip'
    if (!isAwaited && !registers.some((register) => outranks(store, register))) return false

    const seq = store.addCommand({ id, author, pinset, time, acceptedAt, envelope: bytes })
    if (!isAwaited) store.hush(seq)
    changes.commands.add(seq)
    if (pinset === undefined) changes.admin.push(adminCommand(command, acceptedAt))
    const touched = new Set<string>()
    /** What updates put in place of something that another now replaces: it makes room for that one only. */
    const crowded = new Set<string>()
    const losers = new Set<number>()
    for (const register of registers) {
      const loser = offer({ ...register, command: seq })
      if (register.spelled === '')
        store.putOperation({
          command: seq,
          index: register.index,
          cid: undefined,
          // Who may say what is worked out once all of it is stored.
          state: isAdminOperation(command.operations[register.index] as Operation)
            ? { status: 'accepted' }
            : { status: 'refused', code: 'unsupported' },
          at: now
        })
      else touched.add(register.cid)
      if (loser !== undefined) losers.add(loser)
    }
    const isHeld = !losers.has(seq) || store.holdsRegister(seq)
    if (isHeld) changes.sets.push({ kind: 'joined', author, pinset, ms: time.ms, id, bytes: bytes.byteLength })
    for (const loser of losers) if (!store.holdsRegister(loser)) pass(loser)
    for (const cid of crowded.union(touched)) settler.settle(cid, now, changes)
    return isHeld

    /** The `seq` of the command that stays or falls behind. */
    function offer(register: StoredRegister): number | undefined {
      const { taken, other } = store.offerRegister(register)
      if (taken && other?.kind === 'unpin' && other.counterpart !== undefined) crowded.add(other.counterpart)
      const [loser, winner] = taken ? [other, register] : [register, other]
      if (loser === undefined || winner === undefined) return undefined
      if (loser.kind !== 'unpin' || loser.counterpart === undefined) {
        const state = { status: 'superseded', by: winner.rank.command } as const
        store.putOperation({ command: loser.command, index: loser.index, cid: loser.cid, state, at: now })
        changes.commands.add(loser.command)
      }
      return loser.command
    }

    function pass(loser: number): void {
      store.pass(loser, now)
      const old = store.commandBySeq(loser) as StoredCommand
      changes.sets.push({
        kind: 'left',
        author: old.author,
        pinset: old.pinset,
        ms: old.time.ms,
        id: old.id,
        bytes: old.envelope.byteLength
      })
    }
  }
}

function outranks(store: Store, { cid, pinset, author, kind, rank }: StoredRegister): boolean {
  return !store
    .registers(cid)
    .some((other) => other.pinset === pinset && other.author === author && other.kind === kind && compareRank(other.rank, rank) >= 0)
}

function registersOf(
  operation: Operation,
  { command, index, acceptedAt }: { readonly command: Command; readonly index: number; readonly acceptedAt: number }
): StoredRegister[] {
  const { author, pinset, time, id } = command
  // Nothing outranks what an admin said: who may what is worked out from all of it.
  if (isAdminOperation(operation)) return registersOf({ op: 'unknown', kind: operation.op }, { command, index, acceptedAt })
  const rank = { at: operation.at ?? time, time, command: id }
  const base = { author, pinset: pinset ?? '', command: 0, index, acceptedAt, rank }
  switch (operation.op) {
    case 'update': {
      const [from, to] = [cidKey(operation.from), cidKey(operation.to)]
      return [
        { ...base, kind: 'pin', cid: to, spelled: operation.to.toString(), counterpart: from },
        { ...base, kind: 'unpin', cid: from, spelled: operation.from.toString(), counterpart: to }
      ]
    }
    case 'unpin':
      return [{ ...base, kind: 'unpin', cid: cidKey(operation.cid), spelled: operation.cid.toString() }]
    case 'pin': {
      const { name, expires, origins, cid } = operation
      return [
        {
          ...base,
          kind: 'pin',
          cid: cidKey(cid),
          spelled: cid.toString(),
          ...(name === undefined ? {} : { name }),
          ...(expires === undefined ? {} : { expires }),
          ...(origins === undefined ? {} : { origins: origins.flatMap(textAddress) })
        }
      ]
    }
    case 'unknown': {
      const { kind, cid } = operation
      // Without a CID there is no place to share: it has one of its own, and is kept for ever.
      if (cid === undefined) return [{ ...base, kind: `?${kind}`, cid: `?${id}/${index}`, spelled: '', unsupported: true }]
      const known = kind === 'pin' || kind === 'unpin'
      return [{ ...base, kind: known ? kind : `?${kind}`, cid: cidKey(cid), spelled: cid.toString(), unsupported: true }]
    }
  }
}
