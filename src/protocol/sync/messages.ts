/** The asks and answers of `/pinsub/sync/1`: shapes, writing and strict reading. */
import { PROTOCOL_VERSION } from '../version.ts'
import { commandIdBytes, commandIdFrom, type CommandId } from '../envelope.ts'
import { InvalidMessageError } from '../errors.ts'
import {
  MAX_ENVELOPE_BYTES,
  MAX_PAGE_BYTES,
  MAX_SYNC_ASK_BYTES,
  MAX_SYNC_IDS,
  MAX_SYNC_MESSAGE_BYTES,
  MAX_SYNC_SETS,
  MAX_SYNC_WANT
} from '../limits.ts'
import * as wire from '../wire.ts'
import { digestFromWire, digestToWire, nameFromWire, nameToWire, type SetDigest, type SetName } from './digest.ts'

/** A command in a set: when it was said, in milliseconds since the epoch, and the 32 bytes of its id. */
export interface SyncItem {
  readonly ms: number
  readonly id: Uint8Array
}

/** A command as it is handed on. */
export interface SyncCommand {
  /** When the node that answers, or one that it had it from, first accepted it; milliseconds since the epoch. */
  readonly acceptedAt: number
  /** The envelope, as it was received; not verified. */
  readonly envelope: Uint8Array
}

/** These are my sets behind `after`, in order (all that I have up to the last; `more`: I have others behind it): what differs? */
export interface SetsAsk {
  readonly ask: 'sets'
  readonly network: string
  readonly sets: readonly SetDigest[]
  readonly after?: SetName
  readonly more: boolean
}

/** A message of the reconciliation of one set. */
export interface ReconcileAsk {
  readonly ask: 'reconcile'
  readonly network: string
  readonly set: SetName
  readonly message: Uint8Array
}

/** Which commands stand in this set behind `after`, from the start where absent? */
export interface IdsAsk {
  readonly ask: 'ids'
  readonly network: string
  readonly set: SetName
  readonly after?: SyncItem
}

/** Give me these commands. */
export interface CommandsAsk {
  readonly ask: 'commands'
  readonly network: string
  readonly ids: readonly CommandId[]
}

/** One ask; a stream carries as many as its budget allows, one after the other. */
export type SyncAsk = SetsAsk | ReconcileAsk | IdsAsk | CommandsAsk

/** The answer to one ask, one frame. */
export type SyncAnswer =
  /** My sets within the range of the ask that you did not list, or listed with another root, in order; `more` where they did not fit. */
  | { readonly answer: 'sets'; readonly sets: readonly SetDigest[]; readonly more: boolean }
  | { readonly answer: 'reconcile'; readonly message: Uint8Array }
  /** In order of (ms, id). */
  | { readonly answer: 'ids'; readonly ids: readonly SyncItem[]; readonly more: boolean }
  /** Of the first `upTo` ids that were asked for, those that are known, in the order of the ask. */
  | { readonly answer: 'commands'; readonly commands: readonly SyncCommand[]; readonly upTo: number }
  /** The node is of another network: this one. */
  | { readonly answer: 'error'; readonly error: 'network'; readonly network: string }
  /** The node does not know this kind of ask, or the stream has used up its budget. */
  | { readonly answer: 'error'; readonly error: 'unsupported' | 'busy' }

/** Bytes that a command adds to an answer, beside its envelope: a list of two, a time, the head of the envelope. */
export const COMMAND_OVERHEAD_BYTES = 16

const ID_BYTES = 32

/** Writes an ask. Throws a `size` fault for one that no node would read. */
export function encodeSyncAsk(ask: SyncAsk): Uint8Array {
  return bounded(wire.encode({ v: PROTOCOL_VERSION, network: ask.network, ask: ask.ask, ...askFields(ask) }), MAX_SYNC_ASK_BYTES)
}

/**
 * Reads an ask; throws `size`, `encoding` and `shape` faults. A kind or a version that is not known comes back as `unknown`, so
 * that the asker can be told; unknown fields are ignored.
 */
export function decodeSyncAsk(bytes: Uint8Array): SyncAsk | { readonly ask: 'unknown'; readonly network: string } {
  const map = wire.fields(wire.decode(bounded(bytes, MAX_SYNC_ASK_BYTES)), 'ask')
  const network = wire.label(map['network'], 'network')
  const ask = wire.text(map['ask'], 'ask', 32)
  if (wire.uint(map['v'], 'version') !== PROTOCOL_VERSION) return { ask: 'unknown', network }
  switch (ask) {
    case 'sets':
      return { ask, network, sets: digests(map['sets']), ...optional('after', map['after'], nameFromWire), more: flag(map['more']) }
    case 'reconcile':
      return { ask, network, set: nameFromWire(map['set']), message: message(map['message']) }
    case 'ids':
      return { ask, network, set: nameFromWire(map['set']), ...optional('after', map['after'], itemFromWire) }
    case 'commands':
      return { ask, network, ids: wire.list(map['ids'], 'ids', MAX_SYNC_WANT).map((item) => commandIdFrom(idBytes(item))) }
    default:
      return { ask: 'unknown', network }
  }
}

/** Writes an answer. Throws a `size` fault above {@link MAX_PAGE_BYTES}: the caller answers with less. */
export function encodeSyncAnswer(answer: SyncAnswer): Uint8Array {
  return bounded(wire.encode(answerFields(answer)), MAX_PAGE_BYTES)
}

/** Reads an answer; throws `size`, `encoding` and `shape` faults. Unknown fields are ignored. */
export function decodeSyncAnswer(bytes: Uint8Array): SyncAnswer {
  const map = wire.fields(wire.decode(bounded(bytes, MAX_PAGE_BYTES)), 'answer')
  const answer = wire.text(map['answer'], 'answer', 32)
  switch (answer) {
    case 'sets':
      return { answer, sets: digests(map['sets']), more: flag(map['more']) }
    case 'reconcile':
      return { answer, message: message(map['message']) }
    case 'ids':
      return { answer, ids: wire.list(map['ids'], 'ids', MAX_SYNC_IDS).map(itemFromWire), more: flag(map['more']) }
    case 'commands':
      return {
        answer,
        commands: wire.list(map['commands'], 'commands', MAX_SYNC_WANT).map(commandFromWire),
        upTo: wire.uint(map['upTo'], 'upTo', MAX_SYNC_WANT)
      }
    case 'error': {
      const { error } = map
      if (error === 'network') return { answer, error, network: wire.label(map['network'], 'network') }
      if (error === 'unsupported' || error === 'busy') return { answer, error }
      return wire.malformed('error')
    }
    default:
      return wire.malformed('answer')
  }
}

function askFields(ask: SyncAsk): Record<string, unknown> {
  switch (ask.ask) {
    case 'sets':
      return { sets: ask.sets.map(digestToWire), after: ask.after === undefined ? null : nameToWire(ask.after), more: ask.more }
    case 'reconcile':
      return { set: nameToWire(ask.set), message: ask.message }
    case 'ids':
      return { set: nameToWire(ask.set), after: ask.after === undefined ? null : itemToWire(ask.after) }
    case 'commands':
      return { ids: ask.ids.map(commandIdBytes) }
  }
}

function answerFields(answer: SyncAnswer): Record<string, unknown> {
  switch (answer.answer) {
    case 'sets':
      return { ...answer, sets: answer.sets.map(digestToWire) }
    case 'ids':
      return { ...answer, ids: answer.ids.map(itemToWire) }
    case 'commands':
      return { ...answer, commands: answer.commands.map(({ acceptedAt, envelope }) => [acceptedAt, envelope]) }
    default:
      return { ...answer }
  }
}

function bounded(bytes: Uint8Array, max: number): Uint8Array {
  if (bytes.byteLength > max) throw new InvalidMessageError('size', `${bytes.byteLength} bytes, at most ${max}`)
  return bytes
}

function digests(value: unknown): readonly SetDigest[] {
  return wire.list(value, 'sets', MAX_SYNC_SETS).map(digestFromWire)
}

function message(value: unknown): Uint8Array {
  return wire.bytes(value, 'message', { max: MAX_SYNC_MESSAGE_BYTES })
}

function flag(value: unknown): boolean {
  return typeof value === 'boolean' ? value : wire.malformed('more')
}

function optional<Name extends string, T>(name: Name, value: unknown, read: (value: unknown) => T): { readonly [_ in Name]?: T } {
  return value === null ? {} : ({ [name]: read(value) } as { readonly [_ in Name]: T })
}

function idBytes(value: unknown): Uint8Array {
  return wire.bytes(value, 'id', { length: ID_BYTES })
}

function itemToWire({ ms, id }: SyncItem): unknown[] {
  return [ms, id]
}

function itemFromWire(value: unknown): SyncItem {
  const [ms, id] = pair(value, 'item')
  return { ms: wire.uint(ms, 'ms'), id: idBytes(id) }
}

function commandFromWire(value: unknown): SyncCommand {
  const [acceptedAt, envelope] = pair(value, 'command')
  return { acceptedAt: wire.uint(acceptedAt, 'acceptedAt'), envelope: wire.bytes(envelope, 'envelope', { max: MAX_ENVELOPE_BYTES }) }
}

function pair(value: unknown, what: string): readonly unknown[] {
  const items = wire.list(value, what, 2)
  return items.length === 2 ? items : wire.malformed(what)
}
