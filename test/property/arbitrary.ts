/** Messages of every shape, for property tests. */
import fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import type { Ack, OperationState } from '../../src/protocol/ack.ts'
import { cidKey } from '../../src/protocol/cid.ts'
import { cidsOf, type CommandInit, type PinsetOperation } from '../../src/protocol/command.ts'
import { MAX_ADDRESSES, MAX_COUNTER, MAX_HELD_BY, MAX_REPLICAS } from '../../src/protocol/limits.ts'
import { compareHlc, type Hlc } from '../../src/protocol/order.ts'
import type { Presence } from '../../src/protocol/presence.ts'
import type { SetDigest } from '../../src/protocol/sync/digest.ts'
import type { QueryPage } from '../../src/protocol/query.ts'

/** Every run is the same: a failure that a colleague cannot repeat helps nobody. */
export const RUNS: fc.Parameters<unknown> = { seed: 20_261_121, numRuns: 200 }

const MAX = Number.MAX_SAFE_INTEGER

/** Integers of all sizes that the wire carries. */
const uint = (max = MAX): fc.Arbitrary<number> =>
  fc.oneof(
    fc.nat({ max: Math.min(max, 300) }),
    fc.maxSafeNat().map((n) => n % (max + 1)),
    fc.constant(max)
  )

/** CIDs of both versions, several codecs and hashes, identity too. */
const cid: fc.Arbitrary<CID> = fc.oneof(
  fc.uint8Array({ minLength: 32, maxLength: 32 }).map((digest) => CID.createV0(Digest.create(0x12, digest))),
  fc
    .tuple(fc.constantFrom(0x55, 0x70, 0x71, 0x0129), fc.uint8Array({ minLength: 32, maxLength: 32 }))
    .map(([codec, digest]) => CID.createV1(codec, Digest.create(0x12, digest))),
  fc.uint8Array({ maxLength: 92 }).map((digest) => CID.createV1(0x55, Digest.create(0, digest))),
  fc.uint8Array({ minLength: 64, maxLength: 64 }).map((digest) => CID.createV1(0x71, Digest.create(0x13, digest)))
)

/** Names of networks and pinsets. */
const label = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)

/** Text that keeps its meaning in UTF-8 without a byte order mark, at most `max` bytes. */
const text = (max: number): fc.Arbitrary<string> =>
  fc.string({ unit: 'binary', maxLength: max }).filter((value) => !value.startsWith('\uFEFF') && Buffer.byteLength(value) <= max)

/** Clock readings. */
export const hlc: fc.Arbitrary<Hlc> = fc.record({ ms: uint(), counter: uint(MAX_COUNTER) })

const tags = fc.dictionary(text(20), text(20), { maxKeys: 8, noNullPrototype: true })
const optional = { requiredKeys: ['op', 'cid'] } as const

const pin = fc.record(
  {
    op: fc.constant('pin' as const),
    cid,
    name: text(255),
    metadata: tags,
    replicas: uint(MAX_REPLICAS).filter((n) => n > 0),
    where: tags,
    expires: uint(),
    origins: fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }),
    at: hlc
  },
  optional as never
)
const unpin = fc.record({ op: fc.constant('unpin' as const), cid, at: hlc }, optional as never)
const update = fc.record({ op: fc.constant('update' as const), from: cid, to: cid, at: hlc }, { requiredKeys: ['op', 'from', 'to'] })

/** What a sender may say. */
export const command: fc.Arbitrary<CommandInit> = fc
  .record({ network: label, pinset: label, time: hlc, operations: fc.array(fc.oneof(pin, unpin, update), { minLength: 1, maxLength: 12 }) })
  .map((init) => ({ ...init, operations: init.operations.map((op) => withSoundAt(op as PinsetOperation, init.time)) }))
  .filter(({ operations }) => {
    const all = operations.flatMap(cidsOf).map(cidKey)
    return new Set(all).size === all.length
  })

function withSoundAt<T extends PinsetOperation>(operation: T, time: Hlc): T {
  return operation.at !== undefined && compareHlc(operation.at, time) > 0 ? { ...operation, at: time } : operation
}

const commandId = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'))

/** How far a node may have come. */
const state: fc.Arbitrary<OperationState> = fc.oneof(
  fc.record({ status: fc.constantFrom('accepted', 'queued') }),
  fc.record({ status: fc.constantFrom('pinning', 'pinned'), bytes: uint() }),
  fc.record({ status: fc.constant('unpinned'), heldBy: fc.array(label, { maxLength: MAX_HELD_BY }) }),
  fc.record({ status: fc.constant('superseded'), by: commandId }),
  fc.record({
    status: fc.constant('failed'),
    code: fc.constantFrom('unavailable', 'timeout', 'not-found', 'no-space', 'too-large', 'invalid', 'failed'),
    attempt: uint(),
    next: uint()
  }),
  fc.record({
    status: fc.constant('refused'),
    code: fc.constantFrom('operation', 'pinset', 'quota', 'size', 'unsupported', 'expired', 'skew', 'unauthorised')
  })
) as fc.Arbitrary<OperationState>

/** What a node may answer; neighbours are often equal. */
export const ack: fc.Arbitrary<Omit<Ack, 'node'>> = fc.record({
  command: commandId,
  sequence: uint(),
  time: uint(),
  states: fc
    .array(fc.tuple(fc.integer({ min: 1, max: 6 }), state), { maxLength: 12 })
    .map((runs) => runs.flatMap(([n, item]) => Array.from({ length: n }, () => item)))
})

const addresses = fc.array(text(60), { maxLength: MAX_ADDRESSES })

const author = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => `SHA256:${Buffer.from(bytes).toString('base64').slice(0, 43)}`)

const digest = fc.record(
  {
    author,
    pinset: fc.option(label, { nil: undefined }),
    count: uint(),
    root: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    newest: uint(),
    capped: fc.constant(true)
  },
  { requiredKeys: ['author', 'pinset', 'count', 'root', 'newest'] }
) as fc.Arbitrary<SetDigest>

/** What a node may say of itself. */
export const presence: fc.Arbitrary<Omit<Presence, 'node'>> = fc.record(
  {
    sequence: uint(),
    time: uint(),
    addresses,
    tags,
    free: uint(),
    used: uint(),
    queue: uint(),
    version: text(64),
    backend: fc.record(
      { kind: fc.constantFrom('helia', 'kubo'), up: fc.boolean(), full: fc.boolean(), peer: text(60), addresses },
      { requiredKeys: ['kind', 'up', 'addresses'] }
    ),
    newest: hlc,
    sets: fc.array(digest, { maxLength: 32 }),
    clockOff: fc.boolean()
  },
  { requiredKeys: ['sequence', 'time', 'addresses', 'tags', 'queue', 'version', 'backend'] }
) as fc.Arbitrary<Omit<Presence, 'node'>>

const status = fc.constantFrom('accepted', 'queued', 'pinning', 'pinned', 'unpinned', 'superseded', 'failed', 'refused')
/** Pages of answers. */
export const page = fc.oneof(
  fc.record(
    {
      page: fc.constant('hello'),
      network: label,
      version: text(64),
      authorised: fc.boolean(),
      closed: text(256),
      presences: fc.array(fc.uint8Array())
    },
    { requiredKeys: ['page', 'network', 'version', 'presences'] }
  ),
  fc.record({
    page: fc.constant('status'),
    rows: fc.array(
      fc.record(
        { cid, pinset: label, status, bytes: uint(), code: fc.constantFrom('timeout', 'pinset'), command: commandId, at: uint() },
        { requiredKeys: ['cid', 'pinset', 'status', 'at'] }
      )
    )
  }),
  fc.record({
    page: fc.constant('pins'),
    rows: fc.array(
      fc.record(
        { cid, pinset: label, name: text(255), author, at: uint(), status },
        { requiredKeys: ['cid', 'pinset', 'author', 'at', 'status'] }
      )
    )
  }),
  fc.record({ page: fc.constant('acks'), acks: fc.array(fc.uint8Array()) }),
  fc.record({ page: fc.constant('error'), error: fc.constantFrom('unsupported', 'busy') })
) as unknown as fc.Arbitrary<QueryPage>
