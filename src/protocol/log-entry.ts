/** What the log tells: commands that were taken or sent, with what became of them, and refusals. */
import { decodeAck, type Ack, type OperationState } from './ack.ts'
import { decodeCommand, type Command, type Operation } from './command.ts'
import { openEnvelope, verifyEnvelope } from './envelope.ts'
import { InvalidMessageError } from './errors.ts'
import type { StoredRefusal } from './records.ts'
import type { Author } from './ssh-key.ts'

/** Whose memory an entry is from: that of the agent of this home, or of what was sent from here. */
export type LogSource = 'node' | 'sender'

/** How far an operation has come, and since when (milliseconds since the epoch). */
export interface TimedState {
  readonly state: OperationState
  readonly at: number
}

/** A command as it is kept. */
export interface CommandRow {
  readonly kind: 'command'
  readonly source: LogSource
  /** When it was accepted, or sent; milliseconds since the epoch. */
  readonly at: number
  /** Names the row in its source while it is there; undefined in the history. */
  readonly seq?: number
  readonly author: Author
  readonly envelope: Uint8Array
  /** By the place of the operation; empty for what was sent. */
  readonly states: ReadonlyMap<number, TimedState>
  /** Envelopes of the newest word of each node, for what was sent. */
  readonly receipts: readonly Uint8Array[]
}

/** A refusal as it is kept. */
export interface RefusalRow {
  readonly kind: 'refusal'
  readonly source: 'node'
  readonly at: number
  readonly refusal: StoredRefusal
}

/** One thing that happened, as it is kept. */
export type LogRow = CommandRow | RefusalRow

/** The same before what belongs to it is looked up. */
export type BareRow = Omit<CommandRow, 'states' | 'receipts'> | RefusalRow

/** What a node said of a command, and its own signed word for it. */
export interface Answer {
  readonly ack: Ack
  readonly envelope: Uint8Array
}

/** A command that can be told. */
export interface LoggedCommand {
  readonly kind: 'command'
  readonly source: LogSource
  readonly at: number
  readonly command: Command
  readonly envelope: Uint8Array
  readonly states: ReadonlyMap<number, TimedState>
  readonly answers: readonly Answer[]
}

/** One thing that happened, as it can be told. */
export type LogEntry = LoggedCommand | RefusalRow

/** An operation in the plain words that the log has for all of them. */
export interface ToldOperation {
  /** Its kind, as sent. */
  readonly op: string
  readonly cid?: string
  /** What an update replaces. */
  readonly from?: string
  readonly name?: string
  /** The key (its fingerprint) or node that an admin's is about. */
  readonly subject?: string
  /** The key line that lets it in. */
  readonly line?: string
}

/** Says what an operation asks for; one of a kind that is not known is told by its kind. */
export function toldOperation(operation: Operation): ToldOperation {
  switch (operation.op) {
    case 'authorize':
      return { op: operation.op, subject: operation.key.author, line: operation.line }
    case 'close':
    case 'revoke':
      return { op: operation.op, subject: operation.author }
    case 'trust':
    case 'distrust':
      return { op: operation.op, subject: operation.node }
    case 'pin':
      return { op: 'pin', cid: operation.cid.toString(), ...(operation.name === undefined ? {} : { name: operation.name }) }
    case 'unpin':
      return { op: 'unpin', cid: operation.cid.toString() }
    case 'update':
      return { op: 'update', cid: operation.to.toString(), from: operation.from.toString() }
    case 'unknown':
      return { op: operation.kind, ...(operation.cid === undefined ? {} : { cid: operation.cid.toString() }) }
  }
}

/** Reads a row; what it holds was verified when it came. Throws {@link InvalidMessageError} where it was damaged since. */
export function toLogEntry(row: LogRow): LogEntry {
  if (row.kind === 'refusal') return row
  const { kind, source, at, envelope, states, receipts } = row
  const command = decodeCommand(openEnvelope(envelope))
  const answers = receipts.map((bytes) => ({ ack: openReceipt(bytes, command), envelope: bytes }))
  return { kind, source, at, command, envelope, states, answers }
}

/** A node's word on a command, its signature checked; throws {@link InvalidMessageError} for one on another command. */
export function openReceipt(bytes: Uint8Array, { id, network, operations }: Command): Ack {
  const envelope = openEnvelope(bytes)
  if (envelope.kind !== 'ack') throw new InvalidMessageError('shape', 'the receipt is no acknowledgement')
  const ack = decodeAck(verifyEnvelope(envelope), network)
  if (ack.command !== id) throw new InvalidMessageError('shape', 'the receipt is for another command')
  if (ack.states.length !== operations.length) throw new InvalidMessageError('shape', 'the receipt is for another number of operations')
  return ack
}

/** A state in a word, with why: `pinned`, `refused: pinset`. */
export function stateWord(state: OperationState): string {
  return 'code' in state ? `${state.status}: ${state.code}` : state.status
}

/** How many are in which state, by {@link stateWord}, in the order in which they first come. */
export function tally(states: Iterable<OperationState>): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const word of [...states].map(stateWord)) counts[word] = (counts[word] ?? 0) + 1
  return counts
}
