import { describe, expect, test } from 'vitest'
import { InvalidMessageError } from '../../../src/protocol/errors.ts'
import {
  MAX_ENVELOPE_BYTES,
  MAX_PAGE_BYTES,
  MAX_SYNC_ASK_BYTES,
  MAX_SYNC_IDS,
  MAX_SYNC_MESSAGE_BYTES,
  MAX_SYNC_SETS,
  MAX_SYNC_WANT
} from '../../../src/protocol/limits.ts'
import type { Author } from '../../../src/protocol/ssh-key.ts'
import type { SetDigest } from '../../../src/protocol/sync/digest.ts'
import {
  COMMAND_OVERHEAD_BYTES,
  decodeSyncAnswer,
  decodeSyncAsk,
  encodeSyncAnswer,
  encodeSyncAsk,
  type SyncAnswer,
  type SyncAsk
} from '../../../src/protocol/sync/messages.ts'
import * as wire from '../../../src/protocol/wire.ts'

const MAX = Number.MAX_SAFE_INTEGER
const author: Author = `SHA256:${Buffer.alloc(32, 7).toString('base64').slice(0, 43)}`
const set = { author, pinset: 'site' }
const admin = { author, pinset: undefined }
const digest: SetDigest = { ...set, count: 3, root: new Uint8Array(32).fill(1), newest: 5 }
const id = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const network = 'net'

const ASKS: readonly (readonly [string, SyncAsk])[] = [
  ['sets, of none', { ask: 'sets', network, sets: [], more: false }],
  ['sets, behind one', { ask: 'sets', network, sets: [digest, { ...digest, capped: true }], after: admin, more: true }],
  ['reconcile', { ask: 'reconcile', network, set, message: Uint8Array.of(0x61) }],
  ['ids', { ask: 'ids', network, set: admin }],
  ['ids, behind one', { ask: 'ids', network, set, after: { ms: 2 ** 41, id: id(9) } }],
  ['commands', { ask: 'commands', network, ids: ['ab'.repeat(32)] }]
]

const ANSWERS: readonly (readonly [string, SyncAnswer])[] = [
  ['sets', { answer: 'sets', sets: [{ ...digest, ...admin }, digest], more: true }],
  ['reconcile', { answer: 'reconcile', message: Uint8Array.of(0x61, 1) }],
  ['ids', { answer: 'ids', ids: [{ ms: 0, id: id(1) }], more: false }],
  ['commands', { answer: 'commands', commands: [{ acceptedAt: 2 ** 41, envelope: Uint8Array.of(1, 2) }], upTo: 4 }],
  ['no commands', { answer: 'commands', commands: [], upTo: 1 }],
  ['another network', { answer: 'error', error: 'network', network: 'other' }],
  ['unsupported', { answer: 'error', error: 'unsupported' }],
  ['busy', { answer: 'error', error: 'busy' }]
]

describe('what is written is read as it was meant', () => {
  test.each(ASKS)('ask: %s', (_name, ask) => expect(decodeSyncAsk(encodeSyncAsk(ask))).toEqual(ask))
  test.each(ANSWERS)('answer: %s', (_name, answer) => expect(decodeSyncAnswer(encodeSyncAnswer(answer))).toEqual(answer))

  test('unknown fields are ignored', () => {
    for (const [, ask] of ASKS) {
      const map = wire.fields(wire.decode(encodeSyncAsk(ask)), 'ask')
      expect(decodeSyncAsk(wire.encode({ ...map, later: [1] }))).toEqual(ask)
    }
    for (const [, answer] of ANSWERS) {
      const map = wire.fields(wire.decode(encodeSyncAnswer(answer)), 'answer')
      expect(decodeSyncAnswer(wire.encode({ ...map, later: [1] }))).toEqual(answer)
    }
  })

  test('an unknown ask, or one of a later version, is told from a malformed one', () => {
    expect(decodeSyncAsk(wire.encode({ v: 1, network, ask: 'dance' }))).toEqual({ ask: 'unknown', network })
    expect(decodeSyncAsk(wire.encode({ v: 2, network, ask: 'sets', sets: 'all' }))).toEqual({ ask: 'unknown', network })
  })
})

describe('the most that may be said fits', () => {
  const long: SetDigest = { author, pinset: 'p'.repeat(64), count: MAX, root: id(1), newest: MAX, capped: true }
  const net = 'n'.repeat(64)
  const many = <T>(n: number, item: T): T[] => Array.from({ length: n }, () => item)

  test('in an ask', () => {
    const asks: SyncAsk[] = [
      { ask: 'sets', network: net, sets: many(MAX_SYNC_SETS, long), after: long, more: true },
      { ask: 'reconcile', network: net, set: long, message: new Uint8Array(MAX_SYNC_MESSAGE_BYTES) },
      { ask: 'commands', network: net, ids: many(MAX_SYNC_WANT, 'ab'.repeat(32)) }
    ]
    for (const ask of asks) expect(decodeSyncAsk(encodeSyncAsk(ask)).ask).toBe(ask.ask)
  })

  test('in an answer', () => {
    const answers: SyncAnswer[] = [
      { answer: 'sets', sets: many(MAX_SYNC_SETS, long), more: true },
      { answer: 'reconcile', message: new Uint8Array(MAX_SYNC_MESSAGE_BYTES) },
      { answer: 'ids', ids: many(MAX_SYNC_IDS, { ms: MAX, id: id(1) }), more: true }
    ]
    for (const answer of answers) expect(decodeSyncAnswer(encodeSyncAnswer(answer)).answer).toBe(answer.answer)
  })

  test('a command adds no more than it is counted for', () => {
    const size = (n: number): number =>
      encodeSyncAnswer({
        answer: 'commands',
        commands: many(n, { acceptedAt: MAX, envelope: new Uint8Array(MAX_ENVELOPE_BYTES) }),
        upTo: 16
      }).byteLength
    expect(size(16) - size(15) - MAX_ENVELOPE_BYTES).toBeLessThanOrEqual(COMMAND_OVERHEAD_BYTES)
  })

  test('more is refused before it is decoded, and not written', () => {
    expect(() => decodeSyncAsk(new Uint8Array(MAX_SYNC_ASK_BYTES + 1))).toThrow(expect.objectContaining({ code: 'size' }))
    expect(() => decodeSyncAnswer(new Uint8Array(MAX_PAGE_BYTES + 1))).toThrow(expect.objectContaining({ code: 'size' }))
    const envelope = new Uint8Array(MAX_ENVELOPE_BYTES)
    expect(() => encodeSyncAnswer({ answer: 'commands', commands: many(18, { acceptedAt: 1, envelope }), upTo: 18 })).toThrow(
      expect.objectContaining({ code: 'size' })
    )
    expect(() => encodeSyncAsk({ ask: 'reconcile', network, set, message: new Uint8Array(MAX_SYNC_ASK_BYTES) })).toThrow(
      expect.objectContaining({ code: 'size' })
    )
  })
})

describe('broken ones', () => {
  const hash = new Uint8Array(32)
  const head = { v: 1, network }
  const wireDigest = [hash, 'site', 1, hash, 1, false]
  const list = <T>(n: number, item: T): T[] => Array.from({ length: n }, () => item)

  test.each([
    ['no network', { v: 1, ask: 'ids', set: [hash, null], after: null }],
    ['no version', { network, ask: 'ids', set: [hash, null], after: null }],
    ['no kind', { ...head, sets: [] }],
    ['no sets', { ...head, ask: 'sets', after: null, more: false }],
    ['too many sets', { ...head, ask: 'sets', sets: list(MAX_SYNC_SETS + 1, wireDigest), after: null, more: false }],
    ['a set of five', { ...head, ask: 'sets', sets: [wireDigest.slice(1)], after: null, more: false }],
    ['no after', { ...head, ask: 'sets', sets: [], more: false }],
    ['more as a number', { ...head, ask: 'sets', sets: [], after: null, more: 1 }],
    ['a short author', { ...head, ask: 'reconcile', set: [hash.slice(1), null], message: hash }],
    ['a bad pinset', { ...head, ask: 'reconcile', set: [hash, 'a b'], message: hash }],
    ['an empty pinset', { ...head, ask: 'reconcile', set: [hash, ''], message: hash }],
    ['no message', { ...head, ask: 'reconcile', set: [hash, null] }],
    ['too long a message', { ...head, ask: 'reconcile', set: [hash, null], message: new Uint8Array(MAX_SYNC_MESSAGE_BYTES + 1) }],
    ['an item of one', { ...head, ask: 'ids', set: [hash, null], after: [1] }],
    ['an item of three', { ...head, ask: 'ids', set: [hash, null], after: [1, hash, 1] }],
    ['a negative time', { ...head, ask: 'ids', set: [hash, null], after: [-1, hash] }],
    ['a short id', { ...head, ask: 'commands', ids: [hash.slice(1)] }],
    ['too many ids', { ...head, ask: 'commands', ids: list(MAX_SYNC_WANT + 1, hash) }],
    ['a list for a map', [1]]
  ])('an ask with %s', (_name, value) => expect(() => decodeSyncAsk(wire.encode(value))).toThrow(InvalidMessageError))

  test.each([
    ['no kind', { sets: [], more: false }],
    ['an unknown kind', { answer: 'poem' }],
    ['too many sets', { answer: 'sets', sets: list(MAX_SYNC_SETS + 1, wireDigest), more: false }],
    ['no more', { answer: 'sets', sets: [] }],
    ['a short root', { answer: 'sets', sets: [[hash, 'site', 1, hash.slice(1), 1, false]], more: false }],
    ['capped as a number', { answer: 'sets', sets: [[hash, 'site', 1, hash, 1, 0]], more: false }],
    ['a message as text', { answer: 'reconcile', message: 'a' }],
    ['too many ids', { answer: 'ids', ids: list(MAX_SYNC_IDS + 1, [1, hash]), more: false }],
    ['too many commands', { answer: 'commands', commands: list(MAX_SYNC_WANT + 1, [1, hash]), upTo: 1 }],
    ['too large an envelope', { answer: 'commands', commands: [[1, new Uint8Array(MAX_ENVELOPE_BYTES + 1)]], upTo: 1 }],
    ['a command of one', { answer: 'commands', commands: [[hash]], upTo: 1 }],
    ['no count', { answer: 'commands', commands: [] }],
    ['a count above all', { answer: 'commands', commands: [], upTo: MAX_SYNC_WANT + 1 }],
    ['an unknown error', { answer: 'error', error: 'sad' }],
    ['a network that is none', { answer: 'error', error: 'network', network: 1 }]
  ])('an answer with %s', (_name, value) => expect(() => decodeSyncAnswer(wire.encode(value))).toThrow(InvalidMessageError))
})
