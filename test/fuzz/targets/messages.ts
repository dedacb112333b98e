/** Messages of the wire. What is read must be written as it was, or mean the same when it is read again. */
import { CID } from 'multiformats/cid'
import { decodeAck, encodeAck } from '../../../src/protocol/ack.ts'
import { requireCanonical } from '../../../src/protocol/canonical.ts'
import { cidKey, parseCid } from '../../../src/protocol/cid.ts'
import { cidsOf, decodeCommand, encodeCommand, networkOf, type CommandInit, type Operation } from '../../../src/protocol/command.ts'
import { openEnvelope, verifyEnvelope } from '../../../src/protocol/envelope.ts'
import { InvalidMessageError } from '../../../src/protocol/errors.ts'
import { toldOperation } from '../../../src/protocol/log-entry.ts'
import { decodePresence, encodePresence } from '../../../src/protocol/presence.ts'
import {
  decodeQueryPage,
  decodeQueryRequest,
  decodeRefusal,
  encodeQueryPage,
  encodeQueryRequest,
  encodeRefusal
} from '../../../src/protocol/query.ts'
import { decodeSyncAnswer, decodeSyncAsk, encodeSyncAnswer, encodeSyncAsk } from '../../../src/protocol/sync/messages.ts'
import * as wire from '../../../src/protocol/wire.ts'
import { asVerified } from '../../support/verified.ts'
import { author, NETWORK } from '../../vectors/source/make.ts'
import { requireSame, type Target } from '../target.ts'
import { envelopes, messages, payloads } from './vectors.ts'

const errors = [InvalidMessageError]

/** The encoder takes a map for a CID where its keys "/" and "bytes" have one value, which no message that we write has. */
function isTakenForCid(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof CID) return false
  const { '/': slash, bytes } = value as Record<string, unknown>
  return (slash !== undefined && slash === bytes) || Object.values(value).some(isTakenForCid)
}

/** A DAG-CBOR item that is read has no other form. */
function readItem(bytes: Uint8Array): void {
  const value = wire.decode(bytes)
  if (!isTakenForCid(value)) requireSame(wire.encode(value), bytes)
}

/** A reader and a writer of one message: what is read, written and read again is the same. */
function again<T>(read: (bytes: Uint8Array) => T, write: (value: T) => Uint8Array): (bytes: Uint8Array) => T {
  return (bytes) => {
    const value = read(bytes)
    if (isTakenForCid(value)) return value
    const written = write(value)
    requireCanonical(written)
    requireSame(read(written), value)
    return value
  }
}

const isKnown = (operation: Operation): operation is CommandInit['operations'][number] => operation.op !== 'unknown'

function readCommand(bytes: Uint8Array): string {
  const { network, pinset, time, operations } = decodeCommand(asVerified('command', bytes))
  requireSame(networkOf({ payload: bytes }), network)
  for (const cid of operations.flatMap(cidsOf)) {
    requireSame(parseCid(cid.toString()).toString(), cid.toString())
    requireSame(cidKey(parseCid(cidKey(cid))), cidKey(cid))
  }
  for (const operation of operations) JSON.stringify(toldOperation(operation))
  const known = operations.filter(isKnown)
  // A key line is read without the spaces around it.
  const isExact = known.length === operations.length && known.every((one) => one.op !== 'authorize') && !isTakenForCid(operations)
  if (isExact) {
    const written = encodeCommand({ network, time, ...(pinset === undefined ? {} : { pinset }), operations: known }, author.blob)
    requireSame(written, bytes)
  }
  return operations
    .map(({ op }) => op)
    .join(' ')
    .slice(0, 30)
}

const ack = again(
  (bytes) => decodeAck(asVerified('ack', bytes), NETWORK),
  (value) => encodeAck(NETWORK, value)
)
const presence = again(
  (bytes) => decodePresence(asVerified('presence', bytes), NETWORK),
  ({ node: _node, ...value }) => encodePresence(NETWORK, value)
)
const page = again(decodeQueryPage, encodeQueryPage)
const refusal = again(decodeRefusal, encodeRefusal)
const answer = again(decodeSyncAnswer, encodeSyncAnswer)

const questions = messages('queries.json', 'request')
const asks = messages('sync-messages.json', 'ask')

/** Every message. */
export const MESSAGES: readonly Target[] = [
  {
    name: 'dag-cbor',
    form: 'cbor',
    errors,
    seeds: [...envelopes, ...payloads('command'), ...questions, ...asks],
    run: readItem
  },
  { name: 'envelope', form: 'cbor', errors, seeds: envelopes, cost: 4, run: (bytes) => verifyEnvelope(openEnvelope(bytes)).kind },
  { name: 'command', form: 'cbor', errors, seeds: payloads('command'), run: readCommand },
  { name: 'ack', form: 'cbor', errors, seeds: payloads('ack'), run: (bytes) => ack(bytes).states[0]?.status },
  { name: 'presence', form: 'cbor', errors, seeds: payloads('presence'), run: (bytes) => presence(bytes).backend.kind },
  {
    name: 'question',
    form: 'cbor',
    errors,
    seeds: questions,
    run(bytes) {
      const value = decodeQueryRequest(bytes)
      if (value.want !== 'unknown') requireSame(decodeQueryRequest(encodeQueryRequest(value)), value)
      return value.want
    }
  },
  { name: 'page', form: 'cbor', errors, seeds: messages('queries.json', 'page'), run: (bytes) => page(bytes).page },
  { name: 'refusal', form: 'cbor', errors, seeds: messages('queries.json', 'refusal'), run: (bytes) => refusal(bytes).code },
  {
    name: 'sync-ask',
    form: 'cbor',
    errors,
    seeds: asks,
    run(bytes) {
      const value = decodeSyncAsk(bytes)
      if (value.ask !== 'unknown') requireSame(decodeSyncAsk(encodeSyncAsk(value)), value)
      return value.ask
    }
  },
  { name: 'sync-answer', form: 'cbor', errors, seeds: messages('sync-messages.json', 'answer'), run: (bytes) => answer(bytes).answer }
]
