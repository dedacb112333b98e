/** The door: judges what gossip brings, in PROTOCOL.md's order, and stores what is accepted before anything is done. */
import type { OperationState } from '../protocol/ack.ts'
import type { Clock } from '../protocol/clock.ts'
import { decodeCommand, type Command } from '../protocol/command.ts'
import { commandId, openEnvelope, verifyEnvelope, type CommandId, type Envelope } from '../protocol/envelope.ts'
import { InvalidMessageError } from '../protocol/errors.ts'
import { coversPinset } from '../protocol/grants.ts'
import { MAX_AHEAD_MS, MAX_PENDING_COMMANDS, MAX_REMEMBERED, REPEAT_ACK_MS } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { Log } from './ports.ts'
import type { Accepted, Recorder } from './record.ts'
import type { Claim, RefusalBook } from './refusal-book.ts'
import type { CommandSets } from './sets.ts'
import { noChanges, type Changes } from './settle.ts'
import type { Standings } from './standings.ts'
import type { Store } from './store.ts'

/** What becomes of a message: relayed, dropped, or dropped and held against who relayed it. */
export type Judgement =
  | { readonly verdict: 'accept' }
  | {
      readonly verdict: 'ignore'
      readonly reason: 'duplicate' | 'unauthorised' | 'expired' | 'skew' | 'pinset' | 'quota' | 'busy' | 'starting'
    }
  | { readonly verdict: 'reject'; readonly reason: InvalidMessageError['code'] }

/** What the intake works with. */
export interface IntakePorts {
  readonly store: Store
  readonly record: Recorder
  readonly standings: Standings
  readonly sets: Pick<CommandSets, 'hasRoom'>
  readonly clock: Clock
  readonly log: Log
  /** Tells the peer that published a command why it counts for nothing here. */
  refuse(peer: NodeId, refusal: { readonly command: CommandId; readonly code: 'unauthorised' | 'expired' | 'skew' }): void
  /** Whether what comes waits until {@link Intake.release}. */
  isHeld(): boolean
  /** Answers a command of a known author that is not stored. */
  answer(id: CommandId, states: readonly OperationState[]): void
  /** Where what is refused is noted for the log. */
  readonly refusals: Pick<RefusalBook, 'note'>
  /** Called after each durable step. */
  onChanges(changes: Changes): void
}

/** The intake. */
export interface Intake {
  /** Judges the bytes of a command that `from` published. Fast, and never throws. */
  judge(bytes: Uint8Array, from: NodeId): Judgement
  /** Whether a command was accepted here. */
  knows(id: CommandId): boolean
  /** Judges what waited. */
  release(): void
  /** How often each judgement was passed since the start. */
  counts(): Readonly<Record<string, number>>
  /** Stores what is pending. */
  stop(): void
}

/** Makes the intake of one network. */
export function createIntake(options: { readonly network: string }, ports: IntakePorts): Intake {
  const { store, record, standings, clock, log } = ports
  const pending = new Map<CommandId, Accepted>()
  let held: { readonly bytes: Uint8Array; readonly from: NodeId }[] = []
  const answeredAt = new Map<CommandId, number>()
  const counts: Record<string, number> = {}
  let timer: (() => void) | undefined

  const judge = (bytes: Uint8Array, from: NodeId, claim: Claim): Judgement => {
    let envelope: Envelope
    const now = clock.now()
    try {
      envelope = openEnvelope(bytes)
      if (envelope.kind !== 'command') throw new InvalidMessageError('shape', 'not a command')
      if (ports.isHeld()) {
        if (held.length < MAX_PENDING_COMMANDS) held.push({ bytes, from })
        return { verdict: 'ignore', reason: 'starting' }
      }
      const id = commandId(envelope.payload)
      Object.assign(claim, { author: envelope.author, command: id })
      if (knows(id)) {
        acknowledgeAgain(id, now)
        return { verdict: 'ignore', reason: 'duplicate' }
      }
      const grant = standings.grant(envelope.author, now)
      if (typeof grant === 'string') {
        ports.refuse(from, { command: id, code: grant })
        return { verdict: 'ignore', reason: grant }
      }
      const command = decodeCommand(verifyEnvelope(envelope), options.network)
      Object.assign(claim, { pinset: command.pinset, isProven: true })
      if (command.time.ms > now + MAX_AHEAD_MS) {
        ports.refuse(from, { command: id, code: 'skew' })
        return { verdict: 'ignore', reason: 'skew' }
      }
      if (command.pinset !== undefined && !coversPinset(grant, command.pinset)) {
        return refuse(command, 'pinset', now)
      }
      if (!ports.sets.hasRoom(command, grant.admin)) return refuse(command, 'quota', now)
      if (pending.size >= MAX_PENDING_COMMANDS) return { verdict: 'ignore', reason: 'busy' }
      pending.set(id, { command, bytes, acceptedAt: now })
      timer ??= clock.after(0, flush)
      return { verdict: 'accept' }
    } catch (err) {
      if (err instanceof InvalidMessageError) return { verdict: 'reject', reason: err.code }
      throw err
    }
  }

  const refuse = ({ id, operations }: Command, code: 'pinset' | 'quota', now: number): Judgement => {
    if (isAnswerDue(id, now))
      ports.answer(
        id,
        operations.map(() => ({ status: 'refused', code }))
      )
    return { verdict: 'ignore', reason: code }
  }

  const knows = (id: CommandId): boolean => pending.has(id) || store.command(id) !== undefined

  const isAnswerDue = (id: CommandId, now: number): boolean => {
    const last = answeredAt.get(id)
    if (last !== undefined && now - last < REPEAT_ACK_MS) return false
    if (answeredAt.size >= MAX_REMEMBERED) answeredAt.delete(answeredAt.keys().next().value as CommandId)
    answeredAt.delete(id)
    answeredAt.set(id, now)
    return true
  }

  /** Who asks again wants it done: its jobs that wait to be retried are due now. */
  const acknowledgeAgain = (id: CommandId, now: number): void => {
    const command = store.command(id)
    if (command === undefined || !isAnswerDue(id, now)) return
    store.unhush(command.seq)
    const cids = new Set<string>()
    for (const { cid, state } of store.operations(command.seq)) {
      if (state.status !== 'failed' || cid === undefined) continue
      store.hastenJob(cid, now)
      cids.add(cid)
    }
    ports.onChanges({ ...noChanges(), commands: new Set([command.seq]), cids })
  }

  const flush = (): void => {
    timer = undefined
    const batch = [...pending.values()]
    const now = clock.now()
    const changes = noChanges()
    try {
      store.transaction(() => {
        for (const accepted of batch) {
          // Catching up may have brought it meanwhile.
          if (store.command(accepted.command.id) === undefined) record(accepted, { from: 'gossip', now }, changes)
        }
      })
    } catch (err) {
      // Not stored is not accepted: nothing is acknowledged, and the sender offers it again.
      log.warn(`cannot store ${batch.length} commands: ${err instanceof Error ? err.message : String(err)}`)
      return
    } finally {
      pending.clear()
    }
    for (const { command } of batch) isAnswerDue(command.id, now)
    ports.onChanges(changes)
  }

  const judgeAndCount = (bytes: Uint8Array, from: NodeId): Judgement => {
    const claim: Claim = {}
    const judgement = judge(bytes, from, claim)
    if (
      judgement.verdict !== 'accept' &&
      judgement.reason !== 'duplicate' &&
      judgement.reason !== 'busy' &&
      judgement.reason !== 'starting'
    ) {
      ports.refusals.note(judgement.reason, claim, from)
    }
    const name = judgement.verdict === 'accept' ? 'accept' : `${judgement.verdict}: ${judgement.reason}`
    counts[name] = (counts[name] ?? 0) + 1
    if (judgement.verdict !== 'accept') log.debug(`a command through ${from}: ${name}`)
    return judgement
  }

  return {
    judge: judgeAndCount,
    release() {
      const waited = held
      held = []
      for (const { bytes, from } of waited) judgeAndCount(bytes, from)
    },
    knows,
    counts: () => counts,
    stop() {
      timer?.()
      flush()
    }
  }
}
