/** Messages of the sync stream: what is written is read back, and whatever arrives is read or refused. */
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { requireCanonical } from '../../src/protocol/canonical.ts'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_SYNC_ASK_BYTES, MAX_SYNC_WANT } from '../../src/protocol/limits.ts'
import type { Author } from '../../src/protocol/ssh-key.ts'
import {
  decodeSyncAnswer,
  decodeSyncAsk,
  encodeSyncAnswer,
  encodeSyncAsk,
  type SyncAnswer,
  type SyncAsk
} from '../../src/protocol/sync/messages.ts'
import { RUNS } from './arbitrary.ts'

const label = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)
const hash = fc.uint8Array({ minLength: 32, maxLength: 32 })
const author = hash.map((bytes): Author => `SHA256:${Buffer.from(bytes).toString('base64').slice(0, 43)}`)
const set = fc.record({ author, pinset: fc.option(label, { nil: undefined }) })
const more = fc.boolean()
const digest = fc
  .tuple(set, fc.record({ count: fc.maxSafeNat(), root: hash, newest: fc.maxSafeNat() }), fc.boolean())
  .map(([name, rest, capped]) => ({ ...name, ...rest, ...(capped ? { capped } : {}) }))
const item = fc.record({ ms: fc.maxSafeNat(), id: hash })
const message = fc.uint8Array({ maxLength: 300 })
const error = fc.constantFrom('unsupported', 'busy')
const after = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<{ after?: T }> => fc.option(value).map((v) => (v === null ? {} : { after: v }))

const ask = fc
  .tuple(
    label,
    fc.oneof(
      fc
        .tuple(fc.record({ ask: fc.constant('sets'), sets: fc.array(digest, { maxLength: 6 }), more }), after(set))
        .map(([rest, last]) => ({ ...rest, ...last })),
      fc.record({ ask: fc.constant('reconcile'), set, message }),
      fc.tuple(fc.record({ ask: fc.constant('ids'), set }), after(item)).map(([rest, last]) => ({ ...rest, ...last })),
      fc.record({
        ask: fc.constant('commands'),
        ids: fc.array(
          hash.map((bytes) => Buffer.from(bytes).toString('hex')),
          { maxLength: 9 }
        )
      })
    )
  )
  .map(([network, rest]) => ({ ...rest, network })) as unknown as fc.Arbitrary<SyncAsk>

const answer = fc.oneof(
  fc.record({ answer: fc.constant('sets'), sets: fc.array(digest, { maxLength: 6 }), more }),
  fc.record({ answer: fc.constant('reconcile'), message }),
  fc.record({ answer: fc.constant('ids'), ids: fc.array(item, { maxLength: 9 }), more }),
  fc.record({
    answer: fc.constant('commands'),
    commands: fc.array(fc.record({ acceptedAt: fc.maxSafeNat(), envelope: message }), { maxLength: 6 }),
    upTo: fc.nat(MAX_SYNC_WANT)
  }),
  fc.record({ answer: fc.constant('error'), error: fc.constant('network'), network: label }),
  fc.record({ answer: fc.constant('error'), error })
) as unknown as fc.Arbitrary<SyncAnswer>

describe('what is written is canonical and is read as it was meant', () => {
  test('asks', () =>
    fc.assert(
      fc.property(ask, (said) => {
        const bytes = encodeSyncAsk(said)
        requireCanonical(bytes)
        expect({ ...decodeSyncAsk(bytes) }).toEqual({ ...said })
      }),
      RUNS
    ))

  test('answers', () =>
    fc.assert(
      fc.property(answer, (said) => {
        const bytes = encodeSyncAnswer(said)
        requireCanonical(bytes)
        expect({ ...decodeSyncAnswer(bytes) }).toEqual({ ...said })
      }),
      RUNS
    ))
})

/** Runs a reader; anything but a value or our error is a fault of ours. */
function survives(read: () => unknown): void {
  try {
    read()
  } catch (err) {
    if (!(err instanceof InvalidMessageError)) throw err
  }
}

describe.each([
  ['asks', decodeSyncAsk, ask.map(encodeSyncAsk)],
  ['answers', decodeSyncAnswer, answer.map(encodeSyncAnswer)]
] as const)('%s are read or refused', (_name, read, good) => {
  const runs = { ...RUNS, numRuns: 500 }

  test('any bytes', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400, size: 'max' }), (bytes) => survives(() => read(bytes))),
      runs
    ))

  test('a good one with bytes changed, left out or put in', () =>
    fc.assert(
      fc.property(good, fc.nat(), fc.nat(3), fc.uint8Array({ maxLength: 3 }), (bytes, where, gone, put) => {
        const at = where % bytes.byteLength
        survives(() => read(Buffer.concat([bytes.subarray(0, at), put, bytes.subarray(at + gone)])))
      }),
      runs
    ))

  test('a good one with a field turned into anything', () => {
    const junk = fc.oneof(
      fc.constantFrom<unknown>(null, true, -1, 2n ** 64n - 1n, 0.5, '', '__proto__', [], [[]], [null, null], {}, [[1, 2, 3, 4, 5, 6]]),
      fc.uint8Array({ maxLength: 40 }),
      fc.array(fc.array(hash, { maxLength: 3 }), { maxLength: 3 })
    )
    fc.assert(
      fc.property(good, fc.nat(), junk, (bytes, which, value) => {
        const map = dagCbor.decode<Record<string, unknown>>(bytes)
        const names = Object.keys(map)
        survives(() => read(dagCbor.encode({ ...map, [names[which % names.length] as string]: value })))
      }),
      runs
    )
  })

  test.each([
    ['lists in lists', new Uint8Array(MAX_SYNC_ASK_BYTES).fill(0x81)],
    ['a list of four thousand million', Uint8Array.of(0x9a, 0xff, 0xff, 0xff, 0xff)],
    ['nothing', new Uint8Array(0)]
  ])('%s', (_what, bytes) => expect(() => read(bytes)).toThrow(InvalidMessageError))
})
