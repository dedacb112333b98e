/** Whatever arrives, parsers answer with a value or with one of our own errors, and soon. */
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { beforeEach, describe, expect, test } from 'vitest'
import { decodeAck } from '../../src/protocol/ack.ts'
import { requireCanonical } from '../../src/protocol/canonical.ts'
import { cidKey, parseCid } from '../../src/protocol/cid.ts'
import { cidsOf, decodeCommand } from '../../src/protocol/command.ts'
import { openEnvelope, verifyEnvelope } from '../../src/protocol/envelope.ts'
import { InvalidMessageError, InvalidTextError } from '../../src/protocol/errors.ts'
import { MAX_ENVELOPE_BYTES, MAX_PAGE_BYTES } from '../../src/protocol/limits.ts'
import { formatPrivateKey, parsePrivateKey } from '../../src/protocol/openssh-private-key.ts'
import { decodePresence } from '../../src/protocol/presence.ts'
import { decodeQueryPage, decodeQueryRequest, decodeRefusal } from '../../src/protocol/query.ts'
import { verifySignature } from '../../src/protocol/signature.ts'
import { blobOfNodeId, keyBlob, parseKeyBase64, rawKey } from '../../src/protocol/ssh-key.ts'
import { asVerified } from '../support/verified.ts'
import { ackFields, author, commandFields, identityCid, NETWORK, presenceFields, rawCid, seedOf } from '../vectors/source/make.ts'
import { SPECIAL_NAMES } from '../support/names.ts'
import { RUNS } from './arbitrary.ts'

/** Far above what any of it takes on a busy machine, far below work in the square of the length. */
const SOON_MS = 10_000

/** Runs a parser; anything but a value or one of our errors is a fault of ours. */
function survives(work: () => unknown): 'read' | 'refused' {
  try {
    work()
    return 'read'
  } catch (err) {
    if (err instanceof InvalidMessageError || err instanceof InvalidTextError) return 'refused'
    throw err
  }
}

const READERS: readonly [string, (bytes: Uint8Array) => unknown][] = [
  ['envelope', (bytes) => verifyEnvelope(openEnvelope(bytes))],
  ['command', (bytes) => decodeCommand(asVerified('command', bytes), NETWORK)],
  ['ack', (bytes) => decodeAck(asVerified('ack', bytes), NETWORK)],
  ['presence', (bytes) => decodePresence(asVerified('presence', bytes), NETWORK)],
  ['query', decodeQueryRequest],
  ['page', decodeQueryPage],
  ['refusal', decodeRefusal],
  ['canonical', requireCanonical],
  ['key blob', rawKey]
]

const NAMES = [...SPECIAL_NAMES, 'kind', 'v', 'states', 'rows', 'page', 'want', 'code']
const key = fc.oneof(fc.constantFrom(...NAMES), fc.string({ maxLength: 5 }))
const leaf = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -1,
    1,
    2 ** 53 - 1,
    -(2 ** 53),
    2n ** 64n - 1n,
    0.5,
    '',
    'pin',
    NETWORK,
    rawCid('a'),
    identityCid(97)
  ),
  fc.uint8Array({ maxLength: 40 }),
  fc.constantFrom(...NAMES)
)
const { value: anyValue } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    leaf,
    fc.array(tie('value'), { maxLength: 4 }),
    // A Map, as an object cannot say `__proto__`, and one that looks like a CID is taken for one.
    fc
      .array(
        fc.tuple(
          key.filter((name) => name !== ''),
          tie('value')
        ),
        { maxLength: 5 }
      )
      .map((entries) => new Map(entries))
  )
}))

describe.each(READERS)('%s', (name, read) => {
  test('any bytes', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400, size: 'max' }), (bytes) => void survives(() => read(bytes))),
      { ...RUNS, numRuns: 500 }
    ))

  test('any DAG-CBOR', () =>
    fc.assert(
      fc.property(anyValue, (value) => void survives(() => read(dagCbor.encode(value)))),
      { ...RUNS, numRuns: 500 }
    ))

  test('a good message with one field turned into anything', () => {
    const good = { command: commandFields(), ack: ackFields(), presence: presenceFields() }[name] ?? {
      payload: new Uint8Array(1),
      signer: author.blob,
      signature: new Uint8Array(64),
      page: 'status',
      rows: [],
      want: 'status',
      network: NETWORK,
      v: 1
    }
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.keys(good)),
        anyValue,
        (field, value) => void survives(() => read(dagCbor.encode({ ...good, [field]: value })))
      ),
      { ...RUNS, numRuns: 500 }
    )
  })

  test.each([
    ['lists in lists', () => new Uint8Array(MAX_ENVELOPE_BYTES).fill(0x81)],
    ['maps in maps', () => new Uint8Array(MAX_ENVELOPE_BYTES).map((_, i) => [0xa1, 0x61, 0x61][i % 3] as number)],
    ['tags on tags', () => new Uint8Array(MAX_ENVELOPE_BYTES).map((_, i) => [0xd8, 42][i % 2] as number)],
    ['a list of a page of nothing', () => Buffer.concat([Uint8Array.of(0x9a, 0, 0xf, 0xff, 0xfb), new Uint8Array(MAX_PAGE_BYTES - 5)])],
    ['a list of four thousand million', () => Uint8Array.of(0x9a, 0xff, 0xff, 0xff, 0xff)],
    ['bytes of 2^64', () => Uint8Array.of(0x5b, 255, 255, 255, 255, 255, 255, 255, 255)]
  ])('%s, soon', (_what, make) => {
    const bytes = make()
    const start = performance.now()
    expect(survives(() => read(bytes))).toBe(name === 'canonical' && bytes.byteLength === MAX_PAGE_BYTES ? 'read' : 'refused')
    expect(performance.now() - start).toBeLessThan(SOON_MS)
  })
})

test('operations named as properties of every object are unknown ones', () => {
  for (const op of NAMES) {
    const read = decodeCommand(asVerified('command', dagCbor.encode(commandFields({ ops: [{ op }] }))), NETWORK)
    expect(read.operations).toEqual([{ op: 'unknown', kind: op }])
  }
})

test('every CID that a command can carry is written, read back and compared', () => {
  const header = (bytes: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(0xd8, 42, 0x58, bytes.byteLength + 1, 0), bytes])
  const marked = Buffer.from(dagCbor.encode(commandFields({ ops: [{ op: 'pin', cid: 'HERE' }] })))
  const at = marked.indexOf('HERE') - 1
  let read = 0
  const cids = fc.oneof(
    fc.uint8Array({ minLength: 23, maxLength: 100 }),
    fc
      .tuple(fc.constantFrom(0x12, 0x01, 0x00), fc.uint8Array({ minLength: 23, maxLength: 60 }))
      .map(([first, rest]) => Uint8Array.of(first, rest.byteLength - 1, ...rest.slice(1))),
    fc
      .tuple(fc.nat({ max: 200 }), fc.nat({ max: 200 }), fc.uint8Array({ minLength: 23, maxLength: 60 }))
      .map(([codec, hash, digest]) => Uint8Array.of(1, codec, hash, digest.byteLength, ...digest))
  )
  fc.assert(
    fc.property(cids, (bytes) => {
      const payload = Buffer.concat([marked.subarray(0, at), header(bytes), marked.subarray(at + 5)])
      survives(() => {
        for (const cid of decodeCommand(asVerified('command', payload), NETWORK).operations.flatMap(cidsOf)) {
          read++
          expect(CID.parse(cid.toString()).bytes).toEqual(cid.bytes)
          expect(cidKey(CID.parse(cidKey(cid)))).toBe(cidKey(cid))
          expect(parseCid(cid.toString()).equals(cid)).toBe(true)
        }
      })
    }),
    { ...RUNS, numRuns: 500 }
  )
  expect(read).toBeGreaterThan(50)
})

test('no key makes the verifier throw', () =>
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.uint8Array({ maxLength: 70 }), (raw, signature) => {
      expect(verifySignature(keyBlob(raw), 'pinsub', raw, signature)).toBe(false)
    }),
    RUNS
  ))

describe('text', () => {
  const PARSERS: readonly [string, (text: string) => unknown][] = [
    ['cid', parseCid],
    ['private key', parsePrivateKey],
    ['key base64', parseKeyBase64],
    ['peer id', blobOfNodeId]
  ]
  const key = formatPrivateKey(seedOf(1), 'you@laptop', 1)
  const samples = [key, rawCid('a').toString(), '12D3KooWA6WjWaMBcp72uJEGF57cgLiiKT8ekCkHKJmXcnMwG6rW', 'ssh-ed25519 AAAA']

  describe.each(PARSERS)('%s', (_name, parse) => {
    let start = 0
    beforeEach(() => {
      start = performance.now()
    })

    test('any text', () =>
      fc.assert(
        fc.property(
          fc.oneof(fc.string({ unit: 'binary' }), fc.base64String(), fc.stringMatching(/^[Qzbk1][1-9A-HJ-NP-Za-km-z]*$/)),
          (text) => void survives(() => parse(text))
        ),
        {
          ...RUNS,
          numRuns: 500
        }
      ))

    test('good text with a few characters changed', () =>
      fc.assert(
        fc.property(fc.constantFrom(...samples), fc.nat(), fc.nat(4), fc.string({ maxLength: 4 }), (text, where, gone, put) => {
          const at = where % text.length
          survives(() => parse(text.slice(0, at) + put + text.slice(at + gone)))
        }),
        { ...RUNS, numRuns: 500 }
      ))

    test.each(['Q', 'z', 'b', 'k', '1', '12D3KooW', '/ipfs/', '-----BEGIN OPENSSH PRIVATE KEY-----', ''])(
      'a hundred thousand characters behind "%s", soon',
      (prefix) => {
        for (const char of ['1', 'm', 'a', 'z', '/', '\n', ' ']) {
          expect(survives(() => parse(prefix + char.repeat(100_000)))).toBe('refused')
        }
        expect(performance.now() - start).toBeLessThan(SOON_MS)
      }
    )
  })

  test('a damaged private key is never quoted', () => {
    const secret = key.split('\n').slice(1, -2).join('').slice(-100, -40)
    for (let i = 0; i < key.length; i++) {
      try {
        parsePrivateKey(key.slice(0, i) + key.slice(i + 1))
      } catch (err) {
        expect((err as Error).message).not.toContain(secret.slice(0, 8))
      }
    }
  })
})
