/**
 * The lines of an exported log: one JSON object each, which says what happened and carries what was signed, so that it can be checked
 * by itself. Pure; docs/OPERATIONS.md "The log" describes the format.
 */
import { FAILURES, flatState, REFUSALS, STATUSES, type Ack } from './ack.ts'
import { decodeCommand, type Command } from './command.ts'
import { openEnvelope, verifyEnvelope } from './envelope.ts'
import { InvalidMessageError } from './errors.ts'
import { isoTime, readBase64, readHash, readJson, readTime, toBase64 } from './line-fields.ts'
import { MAX_ENVELOPE_BYTES, MAX_LOG_LINE_BYTES, MAX_NESTING, MAX_OPERATIONS, MAX_TRACKED_NODES } from './limits.ts'
import { openReceipt, tally, toldOperation, type LogEntry, type LoggedCommand, type RefusalRow } from './log-entry.ts'
import * as wire from './wire.ts'

/** Reasons to refuse a command: what a node says of its own accord, and what is wrong with the bytes. */
const CODES: ReadonlySet<unknown> = new Set([...REFUSALS, ...FAILURES, 'encoding', 'signer', 'signature', 'shape', 'network'])

/** What a line was found to be. */
export type CheckedLine =
  /** The command is as its author signed it, and each of `receipts` as its node did. */
  | { readonly kind: 'command'; readonly receipts: number }
  /** Sound, and nobody's signed word. */
  | { readonly kind: 'refusal' }

/** The object of a line. `comment` is what the reader calls the author. */
export function logLine(entry: LogEntry, comment?: string): Readonly<Record<string, unknown>> {
  const event = { event: 'log', source: entry.source, at: isoTime(entry.at) }
  const named = comment === undefined || comment === '' ? {} : { comment }
  return entry.kind === 'refusal' ? { ...event, ...refusalFields(entry, named) } : { ...event, ...commandFields(entry, named) }
}

/**
 * Checks a line, without its end, by itself. Throws {@link InvalidMessageError} that says what is wrong: `size` above
 * `MAX_LOG_LINE_BYTES`, `encoding`, `shape` for fields that are not what was signed, `signature`.
 */
export function checkLogLine(bytes: Uint8Array): CheckedLine {
  if (bytes.byteLength > MAX_LOG_LINE_BYTES) throw new InvalidMessageError('size', `longer than ${MAX_LOG_LINE_BYTES} bytes`)
  const map = wire.fields(parseJson(bytes), 'line: an object was expected')
  if (map['event'] !== 'log') throw new InvalidMessageError('shape', 'not a line of a log')
  if (map['source'] !== 'node' && map['source'] !== 'sender') wire.malformed('source')
  readTime(map['at'], 'at')
  if (map['envelope'] === undefined && map['refused'] === undefined)
    throw new InvalidMessageError('shape', 'neither an envelope nor a refusal')
  return map['refused'] === undefined ? checkCommand(map) : checkRefusal(map)
}

function commandFields({ command, envelope, states, answers }: LoggedCommand, named: object): object {
  const { operations } = command
  return {
    ...signedFields(command),
    ...named,
    ops: operations.map((operation, index) => {
      const found = states.get(index)
      const { state } = found ?? {}
      return {
        ...toldOperation(operation),
        ...(state === undefined ? {} : flatState(state)),
        ...(state?.status === 'superseded' ? { by: state.by } : {}),
        ...(found === undefined ? {} : { at: isoTime(found.at) })
      }
    }),
    ...(answers.length === 0
      ? {}
      : { receipts: answers.map(({ ack, envelope: word }) => ({ ...answerFields(ack), envelope: toBase64(word) })) }),
    envelope: toBase64(envelope)
  }
}

/** What the author signed, but for the operations. */
function signedFields({ id, author, network, pinset, time }: Command): Readonly<Record<string, unknown>> {
  return {
    command: id,
    author,
    network,
    ...(pinset === undefined ? {} : { pinset }),
    time: isoTime(time.ms),
    counter: time.counter
  }
}

function answerFields({ node, time, states }: Ack): Readonly<Record<string, unknown>> {
  return { node, at: isoTime(time), statuses: tally(states) }
}

function refusalFields({ refusal }: RefusalRow, named: object): object {
  const { command, author, isProven, pinset, code, peer, more, until } = refusal
  return {
    ...(command === undefined ? {} : { command }),
    ...(author === undefined ? {} : { author, claimed: !isProven }),
    ...named,
    ...(pinset === undefined ? {} : { pinset }),
    refused: code,
    peer,
    ...(more === 0 ? {} : { more, until: isoTime(until) })
  }
}

function checkCommand(map: wire.Fields): CheckedLine {
  const envelope = verifyEnvelope(openEnvelope(readBase64(map['envelope'], 'envelope', MAX_ENVELOPE_BYTES)))
  const command = decodeCommand(envelope)
  const ops = wire.list(map['ops'], 'ops', MAX_OPERATIONS).map((item) => wire.fields(item, 'operation'))
  const wrong = differing(map, signedFields(command), ['command', 'author', 'network', 'pinset', 'time', 'counter'])
  if (ops.length !== command.operations.length) wrong.push('ops')
  command.operations.slice(0, ops.length).forEach((operation, i) => {
    const op = ops[i] as wire.Fields
    wrong.push(
      ...differing(op, { ...toldOperation(operation) }, ['op', 'cid', 'from', 'name', 'subject', 'line']).map(
        (field) => `ops[${i}].${field}`
      )
    )
    if (op['status'] !== undefined && !STATUSES.includes(op['status'] as never)) wire.malformed(`ops[${i}].status`)
    if (op['code'] !== undefined && !CODES.has(op['code'])) wire.malformed(`ops[${i}].code`)
    if (op['at'] !== undefined) readTime(op['at'], `ops[${i}].at`)
  })
  if (wrong.length > 0) throw differs(wrong, 'its author')
  const receipts = map['receipts'] === undefined ? [] : wire.list(map['receipts'], 'receipts', MAX_TRACKED_NODES)
  receipts.forEach((item, i) => checkReceipt(wire.fields(item, `receipts[${i}]`), i, command))
  return { kind: 'command', receipts: receipts.length }
}

function checkReceipt(map: wire.Fields, i: number, command: Command): void {
  let ack: Ack
  try {
    ack = openReceipt(readBase64(map['envelope'], 'envelope', MAX_ENVELOPE_BYTES), command)
  } catch (err) {
    if (!(err instanceof InvalidMessageError)) throw err
    throw new InvalidMessageError(err.code, `receipts[${i}]: ${err.message}`)
  }
  const wrong = differing(map, answerFields(ack), ['node', 'at', 'statuses'])
  if (wrong.length > 0)
    throw differs(
      wrong.map((field) => `receipts[${i}].${field}`),
      'its node'
    )
}

function checkRefusal(map: wire.Fields): CheckedLine {
  if (map['envelope'] !== undefined) throw new InvalidMessageError('shape', 'both an envelope and a refusal')
  if (!CODES.has(map['refused'])) wire.malformed('refused')
  const { author, command, pinset, claimed, more } = map
  if (author !== undefined) wire.author(author, 'author')
  if (author !== undefined && typeof claimed !== 'boolean') wire.malformed('claimed')
  if (command !== undefined) readHash(command, 'command')
  if (pinset !== undefined) wire.label(pinset, 'pinset')
  if (typeof map['peer'] !== 'string') wire.malformed('peer')
  if (more !== undefined) {
    wire.uint(more, 'more')
    readTime(map['until'], 'until')
  }
  return { kind: 'refusal' }
}

/** The fields that are not as they should be, in order. */
function differing(told: wire.Fields, signed: Readonly<Record<string, unknown>>, names: readonly string[]): string[] {
  return names.filter((name) => JSON.stringify(told[name]) !== JSON.stringify(signed[name]))
}

/** Names the first few: a line may have a thousand operations. */
function differs(fields: readonly string[], who: string): InvalidMessageError {
  const more = fields.length > 5 ? ` and ${fields.length - 5} more` : ''
  return new InvalidMessageError('shape', `not what ${who} signed: ${fields.slice(0, 5).join(', ')}${more}`)
}

/** A line that is not written as {@link logLine} writes it could say one thing to its reader and another to the check. */
function parseJson(bytes: Uint8Array): unknown {
  const { value, text } = readJson(bytes)
  requireShallow(value)
  if (JSON.stringify(value) !== text) throw new InvalidMessageError('encoding', 'a field twice, or written in another way than pinsub does')
  return value
}

/** Writing JSON recurses: what nests deeper than its stack must not get there. */
function requireShallow(value: unknown): void {
  let level: unknown[] = [value]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > MAX_NESTING) throw new InvalidMessageError('shape', `nested deeper than ${MAX_NESTING}`)
    level = level.flatMap((item) => (typeof item === 'object' && item !== null ? Object.values(item) : []))
  }
}
