/** How every author that ever counted stands: by the file, and by what admins said in messages. */
import type { OperationState } from '../protocol/ack.ts'
import type { AdminOperation } from '../protocol/admin-operations.ts'
import { decideKeys, type AdminCommand, type AdminOutcome, type FiledKeys } from '../protocol/admin.ts'
import type { AuthorizedKeys } from '../protocol/authorized-keys.ts'
import type { CommandId } from '../protocol/envelope.ts'
import { closedAt, type Grant } from '../protocol/grants.ts'
import type { Author } from '../protocol/ssh-key.ts'
import { changedStandings, refiled } from '../protocol/standings.ts'
import type { Standing } from '../protocol/wish.ts'
import { readAdminCommand } from './admin-commands.ts'
import { noChanges, type Changes, type Settler } from './settle.ts'
import type { Store } from './store.ts'

/** CIDs settled in one transaction when keys change: keeps the event loop free between them. */
const BATCH = 500

/** How to settle what follows from a change of keys. */
export interface StandingsPorts {
  readonly settler: Settler
  /** Milliseconds since the epoch. */
  readonly now: number
  /** Called after each durable step. */
  onChanges(changes: Changes): void
}

/** The book of authors. */
export interface Standings {
  get(author: Author): Standing | undefined
  /** The line of a key that may say something new at `now`, or why it may not. Where the file lets nobody in, messages let nobody in either. */
  grant(author: Author, now: number): Grant | 'unauthorised' | 'expired'
  /** Whether the message that closed a key names this command as one that still counts. */
  keeps(author: Author, command: CommandId): boolean
  /** Whether there is a key that may change keys by message. */
  hasAdmin(): boolean
  /** What lets keys in that are open, by the file or by message. */
  open(): readonly Grant[]
  /** How many keys are open. */
  count(): number
  /**
   * Takes over a file as read: a line that is gone closes its key, `@revoked` voids it, a line that is back opens it.
   * Resolves when every CID is settled anew of which keys spoke that stand differently now.
   */
  apply(keys: AuthorizedKeys, ports: StandingsPorts): Promise<void>
  /** Takes over commands without a pinset once they are stored; who may command has changed when this returns. Throws what the store throws. */
  hear(commands: readonly AdminCommand[], ports: StandingsPorts): Heard
  /** What file and messages come to. */
  outcome(): AdminOutcome
}

/** What came of commands that were heard. */
export interface Heard {
  /** Whether any key or node stands differently now. */
  readonly isChanged: boolean
  /** Resolves when what follows is settled. */
  readonly settled: Promise<void>
}

const NOBODY: AdminOutcome = { keys: new Map(), nodes: new Map(), states: new Map() }

/**
 * Opens the book kept in `store`. Until {@link Standings.apply} is called nobody may command. With `obeysMessages` false what admins say
 * is kept and passed on, and changes nothing here.
 */
export function openStandings(store: Store, options: { readonly network: string; readonly obeysMessages?: boolean }): Standings {
  const { network, obeysMessages = true } = options
  const known = new Map(store.standings())
  const filed = new Map(store.filed())
  const commands = new Map(store.adminCommands().map((stored) => [stored.id, readAdminCommand(stored, network)]))
  /** Authors whose standing, by the file alone or in all, is in force and not durable yet. */
  const unfiled = new Set<Author>()
  const unsaved = new Set<Author>()
  /** Authors whose standing changed since the last look of whoever settles their CIDs. */
  const changedMeanwhile = new Set<Author>()
  const told = new Map<CommandId, string>()
  let current: FiledKeys | undefined
  let outcome = NOBODY
  let settling: Promise<void> = Promise.resolve()

  /** One change after the other; what is under way when one comes is settled by it. */
  const settle = (ports: StandingsPorts): Promise<void> => {
    const next = settling.then(async () => {
      // Also those of a run that ended before it was through.
      for (const author of store.unsettled()) await settleAll(author, ports)
    })
    settling = next.catch(() => {})
    return next
  }

  const settleAll = async (author: Author, { settler, now, onChanges }: StandingsPorts): Promise<void> => {
    let after = ''
    for (;;) {
      // What was settled before the last change was settled by a standing that is gone.
      if (changedMeanwhile.delete(author)) after = ''
      const cids = store.cidsOfAuthor(author, after, BATCH)
      if (cids.length === 0) {
        store.markSettled(author)
        return
      }
      const changes = noChanges()
      store.transaction(() => cids.forEach((cid) => settler.settle(cid, now, changes)))
      onChanges(changes)
      after = cids.at(-1) as string
      await new Promise(setImmediate)
    }
  }

  /** Puts in force what file and messages come to, at once, and makes it durable. Throws what the store throws: then the next call does it. */
  const enforce = (ports: StandingsPorts): boolean => {
    const { nodes } = outcome
    outcome = decideKeys(current as FiledKeys, obeysMessages ? [...commands.values()] : [])
    const changed = changedStandings(known, outcome)
    for (const [author, standing] of changed) {
      known.set(author, standing)
      unsaved.add(author)
      changedMeanwhile.add(author)
    }
    write(commands.values(), ports)
    return changed.size > 0 || JSON.stringify([...nodes]) !== JSON.stringify([...outcome.nodes])
  }

  const write = (spoken: Iterable<AdminCommand>, { now, onChanges }: StandingsPorts): void => {
    const changes = noChanges()
    try {
      store.transaction(() => {
        for (const author of unfiled) store.putFiled(author, filed.get(author) as Standing)
        for (const author of unsaved) {
          store.putStanding(author, known.get(author) as Standing)
          // There may be room by the line as it is now.
          store.forgetRefusals(author)
          store.markUnsettled(author)
        }
        tellStates(spoken, now, changes)
      })
    } catch (err) {
      told.clear()
      throw err
    }
    unfiled.clear()
    unsaved.clear()
    if (changes.commands.size > 0) onChanges(changes)
  }

  /** How far admin operations have come; of those that are not obeyed here, that. */
  const tellStates = (spoken: Iterable<AdminCommand>, now: number, changes: Changes): void => {
    for (const { id, operations } of spoken) {
      const states = outcome.states.get(id) ?? operations.map(notForHim)
      const text = states.map((state) => ('code' in state ? state.code : state.status)).join()
      if (told.get(id) === text) continue
      told.set(id, text)
      const seq = store.command(id)?.seq as number
      for (const [index, state] of states.entries()) {
        if (JSON.stringify(store.operation(seq, index)?.state) === JSON.stringify(state)) continue
        store.putOperation({ command: seq, index, cid: undefined, state, at: now })
        changes.commands.add(seq)
      }
    }
  }

  const open = (): readonly Grant[] =>
    [...outcome.keys.values()].flatMap(({ standing: { grant, voided, closedAt: at } }) => (voided || at !== undefined ? [] : [grant]))

  return {
    get: (author) => known.get(author),
    grant(author, now) {
      const standing = known.get(author)
      if (current === undefined || current.order.length === 0 || standing === undefined) return 'unauthorised'
      if (standing.voided || standing.closedAt !== undefined) return 'unauthorised'
      return closedAt(standing.grant, now) ?? standing.grant
    },
    keeps: (author, command) => outcome.keys.get(author)?.keeps?.has(command) === true,
    hasAdmin: () => [...known.values()].some(({ grant, voided }) => grant.admin && !voided),
    open,
    count: () => open().length,
    async apply(keys, ports) {
      const { grants, revoked } = keys
      for (const [author, standing] of refiled(filed, keys, ports.now)) {
        filed.set(author, standing)
        unfiled.add(author)
      }
      current = { order: [...grants.keys()], standings: filed, revoked }
      enforce(ports)
      await settle(ports)
    },
    hear(heard, ports) {
      for (const command of heard) commands.set(command.id, command)
      if (current === undefined) return { isChanged: false, settled: Promise.resolve() }
      // Nothing follows from what keys say that are no admins: they may not keep a node busy with it.
      if (heard.length > 0 && heard.every(({ author }) => known.get(author)?.grant.admin !== true)) {
        write(heard, ports)
        return { isChanged: false, settled: Promise.resolve() }
      }
      return { isChanged: enforce(ports), settled: settle(ports) }
    },
    outcome: () => outcome
  }
}

/** The state of an operation of somebody who may not say it. */
function notForHim(operation: AdminOperation | undefined): OperationState {
  return { status: 'refused', code: operation === undefined ? 'unsupported' : 'operation' }
}
