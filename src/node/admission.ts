/** Takes commands that did not come by gossip: from another node when catching up, or from a file. Each is verified like a fresh one. */
import { setImmediate } from 'node:timers/promises'
import type { Clock } from '../protocol/clock.ts'
import { decodeCommand } from '../protocol/command.ts'
import { commandId, openEnvelope, verifyEnvelope, type CommandId } from '../protocol/envelope.ts'
import { InvalidMessageError } from '../protocol/errors.ts'
import { closedAt, coversPinset } from '../protocol/grants.ts'
import { MAX_AHEAD_MS, MAX_SKIPPED } from '../protocol/limits.ts'
import type { Author } from '../protocol/ssh-key.ts'
import type { SetName } from '../protocol/sync/digest.ts'
import type { Accepted, Recorder } from './record.ts'
import type { CommandSets } from './sets.ts'
import { noChanges, type Changes } from './settle.ts'
import type { Standings } from './standings.ts'
import type { Store } from './store.ts'

/** Commands stored in one transaction unless said: bounds how long others wait for the store. */
const BATCH = 250

/** A command as another keeps it. */
export interface Offered {
  /** When it was first accepted there, milliseconds since the epoch. */
  readonly acceptedAt: number
  readonly envelope: Uint8Array
}

/** Who offers, and what was asked for. */
export interface Offer {
  /** The set that was asked for; any where absent. */
  readonly set?: SetName
  /** Whether its word counts on when a command was first accepted; else that is now. */
  readonly isVouched: boolean
}

/** What became of a command: it holds a register, it holds none, it was here, or why it counts for nothing here. */
export type Admitted = 'held' | 'passed' | 'known' | 'unauthorised' | 'expired' | 'skew' | 'pinset' | 'quota'

/** The side door. */
export interface Admission {
  /** Whether a command is neither here nor known to be of no use here. */
  lacks(id: CommandId): boolean
  /**
   * Takes commands in order; resolves with what became of each once all are stored. Throws {@link InvalidMessageError} for what no
   * honest node keeps, and what the store throws; what was stored before stays.
   */
  take(offered: readonly Offered[], offer: Offer): Promise<readonly Admitted[]>
}

/** What the door needs. */
export interface AdmissionPorts {
  readonly store: Store
  readonly record: Recorder
  readonly standings: Pick<Standings, 'get' | 'keeps'>
  readonly sets: Pick<CommandSets, 'hasRoom'>
  readonly clock: Clock
  /** Whether the intake has it: it may not be stored yet. */
  knows(id: CommandId): boolean
  /** Called after each durable step. */
  onChanges(changes: Changes): void
}

/** Makes the door of one network; `batch` commands are stored in one transaction, 250 unless said. */
export function createAdmission(options: { readonly network: string; readonly batch?: number }, ports: AdmissionPorts): Admission {
  const { batch = BATCH } = options
  const { store, record, standings, sets, clock } = ports
  /** Of no use here, whoever offers them. */
  const skipped = new Set<CommandId>()

  const skip = (id: CommandId): void => {
    if (skipped.size >= MAX_SKIPPED) skipped.delete(skipped.values().next().value as CommandId)
    skipped.add(id)
  }

  /** Verifies one; a command to record, or why not. */
  const judge = (offered: Offered, { set, isVouched }: Offer, now: number): Accepted | Admitted => {
    const envelope = openEnvelope(offered.envelope)
    if (envelope.kind !== 'command') throw new InvalidMessageError('shape', 'not a command')
    if (set !== undefined && envelope.author !== set.author) throw new InvalidMessageError('shape', 'a command of another author')
    const id = commandId(envelope.payload)
    if (ports.knows(id)) return 'known'
    const standing = standings.get(envelope.author)
    if (standing === undefined || standing.voided) return 'unauthorised'
    const acceptedAt = isVouched ? Math.min(offered.acceptedAt, now) : now
    // Another may have heard it in time, and vouch for that: it is not skipped for good.
    const isKept = standings.keeps(envelope.author, id)
    if (!isKept) {
      if (standing.closedAt !== undefined && acceptedAt > standing.closedAt) return 'expired'
      const closed = closedAt(standing.grant, acceptedAt)
      if (closed !== undefined) return closed
    }
    const command = decodeCommand(verifyEnvelope(envelope), options.network)
    if (set !== undefined && command.pinset !== set.pinset) throw new InvalidMessageError('shape', 'a command of another pinset')
    if (command.time.ms > now + MAX_AHEAD_MS) return 'skew'
    if (command.pinset !== undefined && !coversPinset(standing.grant, command.pinset)) return 'pinset'
    if (isKept || sets.hasRoom(command, standing.grant.admin)) return { command, bytes: offered.envelope, acceptedAt }
    // Of what an admin said each word may matter once others are gone.
    if (command.pinset !== undefined) skip(id)
    return 'quota'
  }

  /** Judges up to a batch from `at` on; no further than commands that change by whose word others count. */
  const judgeSome = (offered: readonly Offered[], at: number, offer: Offer, now: number): (Accepted | Admitted)[] => {
    const judged: (Accepted | Admitted)[] = []
    let admin: Author | undefined
    for (const one of offered.slice(at, at + batch)) {
      if (admin !== undefined && openEnvelope(one.envelope).author !== admin) break
      const verdict = judge(one, offer, now)
      if (typeof verdict !== 'string' && verdict.command.pinset === undefined) admin = verdict.command.author
      judged.push(verdict)
    }
    return judged
  }

  const takeSome = (offered: readonly Offered[], at: number, offer: Offer): Admitted[] => {
    const now = clock.now()
    const judged = judgeSome(offered, at, offer, now)
    const changes = noChanges()
    const admitted = store.transaction(() =>
      judged.map((one): Admitted => {
        if (typeof one === 'string') return one
        if (store.command(one.command.id) !== undefined) return 'known'
        return record(one, { from: 'peer', now }, changes) ? 'held' : 'passed'
      })
    )
    judged.forEach((one, i) => {
      if (typeof one !== 'string' && admitted[i] === 'passed') skip(one.command.id)
    })
    ports.onChanges(changes)
    return admitted
  }

  return {
    lacks: (id) => !skipped.has(id) && !ports.knows(id),
    async take(offered, offer) {
      const admitted: Admitted[] = []
      while (admitted.length < offered.length) {
        if (admitted.length > 0) await setImmediate()
        admitted.push(...takeSome(offered, admitted.length, offer))
      }
      return admitted
    }
  }
}
