/** One vector for each way in which an envelope can be wrong; the code is what a validator must find. */
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { concat } from 'uint8arrays/concat'
import type { FaultCode } from '../../../src/protocol/errors.ts'
import {
  ackFields,
  author,
  cbor,
  commandFields,
  frameOf,
  hex,
  NOW,
  oldCid,
  presenceFields,
  rawCid,
  sealed,
  sha256,
  stranger,
  without
} from './make.ts'
import { certificate, fidoKey, fidoSignature } from './reserved.ts'

type Kind = 'command' | 'ack' | 'presence'
type Case = readonly [name: string, code: FaultCode, comment: string, bytes: Uint8Array | Promise<Uint8Array>]

const bytes = (...parts: (string | number[] | Uint8Array)[]): Uint8Array =>
  concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : Uint8Array.from(part))))

const payload = cbor(commandFields())
const good = await frameOf('command', payload, author)
const ackFrame = await frameOf('ack', cbor(ackFields()), author)

const command = (changes: Record<string, unknown>): Promise<Uint8Array> => sealed('command', commandFields(changes))
const op = (...ops: unknown[]): Promise<Uint8Array> => command({ ops })
const adminOps = (...ops: unknown[]): Promise<Uint8Array> => sealed('command', without(commandFields({ ops }), 'pinset'))
const pin = (changes: Record<string, unknown>): Promise<Uint8Array> => op({ op: 'pin', cid: rawCid('a'), ...changes })
const ack = (changes: Record<string, unknown>): Promise<Uint8Array> => sealed('ack', ackFields(changes))
const presence = (changes: Record<string, unknown>): Promise<Uint8Array> => sealed('presence', presenceFields(changes))
const backend = (changes: Record<string, unknown>): Promise<Uint8Array> =>
  presence({ backend: { kind: 'helia', up: true, addresses: [], ...changes } })
/** A payload whose `ops` is one map with one more field, spelled in CBOR by hand. */
const rawField = (value: number[]): Promise<Uint8Array> =>
  sealed('command', spliced(cbor(commandFields({ ops: [{ op: 'x', zz: 'HERE' }] })), value))

function spliced(body: Uint8Array, value: readonly number[]): Uint8Array {
  const at = Buffer.from(body).indexOf('HERE') - 1
  return bytes(body.slice(0, at), [...value], body.slice(at + 5))
}

/** The same map with its keys in another order. */
function unsorted(map: Record<string, unknown>): Uint8Array {
  const entries = Object.entries(map).toSorted(([a], [b]) => b.length - a.length || (a < b ? 1 : -1))
  return bytes([0xa0 + entries.length], ...entries.flatMap(([key, value]) => [cbor(key), cbor(value)]))
}

function flipped(value: unknown, at: number): Uint8Array {
  return (value as Uint8Array).map((byte, i) => (i === at ? byte ^ 1 : byte))
}

/** The same signature with the group order added to S: verifiers that do not check S < L take it. @see RFC 8032, 5.1.7 */
function malleated(signature: Uint8Array): Uint8Array {
  const order = 2n ** 252n + 27_742_317_777_372_353_535_851_937_790_883_648_493n
  let s = order
  for (let i = 0; i < 32; i++) s += BigInt(signature[32 + i] as number) << BigInt(8 * i)
  return signature.map((byte, i) => (i < 32 ? byte : Number((s >> BigInt(8 * (i - 32))) & 0xffn)))
}

/** What a CID library may take for one of its objects: its two marks are equal. */
const LOOKALIKE = new Map<string, unknown>([
  ['/', 'a'],
  ['bytes', 'a'],
  ['version', 1],
  ['code', 0x55],
  ['multihash', { code: 0x12, size: 32 }]
])
const shortV0 = CID.decode(Uint8Array.of(0x12, 5, 1, 2, 3, 4, 5) as never)
const hugeCodec = bytes([0xd8, 42, 0x58, 45, 0, 1], new Uint8Array(8).fill(0xff), [0x7f, 0x12, 32], new Uint8Array(32))
const longCid = CID.createV1(0x55, Digest.create(0, new Uint8Array(93)))
const rsaBlob = bytes([0, 0, 0, 7], 'ssh-rsa', [0, 0, 0, 36], new Uint8Array(36))

const FRAMES: readonly Case[] = [
  ['empty', 'encoding', 'no bytes at all', bytes()],
  ['truncated', 'encoding', 'the last byte is missing', cbor(good).slice(0, -1)],
  ['trailing-byte', 'encoding', 'a byte behind the item', bytes(cbor(good), [0])],
  ['keys-unsorted', 'encoding', 'the keys of the envelope in another order', unsorted(good)],
  ['key-twice', 'encoding', 'a key that stands twice', bytes([0xa2], cbor('payload'), cbor(1), cbor('payload'), cbor(1))],
  ['key-not-text', 'encoding', 'an integer as a key', bytes([0xa1, 1, 1])],
  ['indefinite-map', 'encoding', 'a map without a length', bytes([0xbf], cbor('payload'), cbor(payload), [0xff])],
  ['length-not-shortest', 'encoding', 'a length of 3 in two bytes', bytes([0xb8, 3], cbor(good).slice(1))],
  ['count-without-items', 'encoding', 'a map that promises four thousand million entries', bytes([0xba, 0xff, 0xff, 0xff, 0xff])],
  ['not-a-map', 'shape', 'a list instead of a map', cbor([payload])],
  ['envelope-is-link', 'shape', 'a CID instead of a map', cbor(rawCid('a'))],
  ['field-missing', 'shape', 'no signature', cbor(without(good, 'signature'))],
  ['field-unknown', 'shape', 'a field that envelopes do not have', cbor({ ...good, extra: 1 })],
  ['kind-null', 'shape', 'a kind that is null', cbor({ ...good, kind: null })],
  ['kind-spelled-out', 'shape', 'commands have no kind', cbor({ ...good, kind: 'command' })],
  ['kind-unknown', 'shape', 'a kind of a later version', cbor({ ...good, kind: 'offer' })],
  ['payload-text', 'shape', 'text instead of bytes', cbor({ ...good, payload: 'text' })],
  ['signature-short', 'shape', '63 bytes of signature', cbor({ ...good, signature: (good['signature'] as Uint8Array).slice(1) })],
  ['signer-text', 'signer', 'a fingerprint instead of a key', cbor({ ...good, signer: author.author })],
  ['signer-rsa', 'signer', 'a key of another type in a blob of the right length', cbor({ ...good, signer: rsaBlob })],
  ['signer-fido', 'signer', 'FIDO keys are reserved', cbor({ ...good, signer: fidoKey })],
  ['signer-fido-signed', 'signer', 'a FIDO key with a signature as it would be written', cbor({ ...good, signer: fidoKey, signature: fidoSignature })],
  ['signer-certificate', 'signer', 'certificates are reserved', cbor({ ...good, signer: certificate() })],
  ['signature-of-stranger', 'signature', 'signed by another key', cbor({ ...good, signer: stranger.blob })],
  ['signature-flipped', 'signature', 'one bit of the signature', cbor({ ...good, signature: flipped(good['signature'], 0) })],
  [
    'signature-malleated',
    'signature',
    'S with the group order added',
    cbor({ ...good, signature: malleated(good['signature'] as Uint8Array) })
  ],
  ['payload-flipped', 'signature', 'one bit of the payload', cbor({ ...good, payload: flipped(payload, 40) })],
  [
    'namespace-of-ack',
    'signature',
    'the signature of an ack on the same bytes',
    cbor(without({ ...ackFrame, payload: cbor(ackFields()) }, 'kind'))
  ]
]

const COMMANDS: readonly Case[] = [
  ['payload-empty', 'encoding', 'a payload of no bytes', sealed('command', bytes())],
  ['payload-trailing', 'encoding', 'a byte behind the payload', sealed('command', bytes(payload, [0]))],
  ['payload-unsorted', 'encoding', 'the keys of the payload in another order', sealed('command', unsorted(commandFields()))],
  ['integer-not-shortest', 'encoding', 'the integer 1 in two bytes', rawField([0x18, 1])],
  ['float', 'encoding', 'an integer as a float', rawField([0xfb, 0x40, 8, 0, 0, 0, 0, 0, 0])],
  ['undefined', 'encoding', 'undefined', rawField([0xf7])],
  ['simple-value', 'encoding', 'a simple value that is not false, true or null', rawField([0xf0])],
  ['tag-unknown', 'encoding', 'a date', rawField([0xc1, 0])],
  ['link-without-zero', 'encoding', 'tag 42 without the leading zero', rawField([0xd8, 42, 0x44, 1, 0x55, 0, 0])],
  ['link-of-text', 'encoding', 'tag 42 on text', rawField([0xd8, 42, 0x61, 0x61])],
  ['link-empty', 'encoding', 'tag 42 on a zero alone', rawField([0xd8, 42, 0x41, 0])],
  [
    'link-version-0-said',
    'encoding',
    'a CID of version 0 that says so',
    rawField([0xd8, 42, 0x58, 37, 0, 0, 0x55, 0x12, 32, ...new Array<number>(32).fill(7)])
  ],
  ['text-not-utf8', 'encoding', 'a lone continuation byte', rawField([0x61, 0x80])],
  ['text-surrogate', 'encoding', 'half a surrogate pair in UTF-8', rawField([0x63, 0xed, 0xa0, 0x80])],
  ['text-bom', 'encoding', 'text that starts with a byte order mark', rawField([0x64, 0xef, 0xbb, 0xbf, 0x61])],
  ['nested-too-deep', 'encoding', 'lists in lists', rawField([...new Array<number>(20).fill(0x81), 0])],
  ['payload-list', 'shape', 'a list instead of a map', sealed('command', cbor([]))],
  ['version-2', 'shape', 'another version', command({ v: 2 })],
  ['network-missing', 'shape', 'no network', sealed('command', without(commandFields(), 'network'))],
  ['network-label', 'shape', 'a network with a slash', command({ network: 'a/b' })],
  ['network-other', 'network', 'another network', command({ network: 'red-fox-0000' })],
  ['signer-other', 'shape', 'the payload names another signer', command({ signer: sha256('other') })],
  ['signer-short', 'shape', '31 bytes of hash', command({ signer: sha256('other').slice(1) })],
  ['time-missing', 'shape', 'no time', sealed('command', without(commandFields(), 'time'))],
  ['time-without-counter', 'shape', 'milliseconds alone', command({ time: [NOW] })],
  ['time-of-three', 'shape', 'one number too many', command({ time: [NOW, 0, 0] })],
  ['time-negative', 'shape', 'before the epoch', command({ time: [-1, 0] })],
  ['time-too-large', 'shape', '2^53 milliseconds', command({ time: [2n ** 53n, 0] })],
  ['counter-too-large', 'shape', 'a counter of 2^32', command({ time: [NOW, 2 ** 32] })],
  ['pinset-label', 'shape', 'a pinset that starts with a sign', command({ pinset: '-x' })],
  ['pinset-too-long', 'shape', '65 characters', command({ pinset: 'x'.repeat(65) })],
  ['pinset-missing', 'shape', 'a pin without a pinset', sealed('command', without(commandFields(), 'pinset'))],
  ['payload-field-unknown', 'shape', 'a field that payloads do not have', command({ extra: 1 })],
  ['ops-empty', 'shape', 'no operations', op()],
  ['ops-too-many', 'shape', '1,201 operations', op(...Array.from({ length: 1_201 }, () => ({ op: 'x' })))],
  ['op-not-a-map', 'shape', 'text instead of an operation', op('pin')],
  ['op-without-kind', 'shape', 'an operation without a kind', op({ cid: rawCid('a') })],
  ['op-kind-too-long', 'shape', 'a kind of 33 bytes', op({ op: 'x'.repeat(33) })],
  ['unknown-op-cid', 'shape', 'an unknown operation whose cid is no CID', op({ op: 'freeze', cid: 1 })],
  ['cid-missing', 'shape', 'a pin of nothing', op({ op: 'pin' })],
  ['cid-text', 'shape', 'a CID as text', pin({ cid: rawCid('a').toString() })],
  ['cid-too-long', 'shape', '97 bytes', pin({ cid: longCid })],
  ['cid-v0-short', 'shape', 'a CIDv0 with 5 bytes of digest', pin({ cid: shortV0 })],
  ['cid-codec-too-large', 'shape', 'a codec of 2^63 - 1', rawLink(hugeCodec)],
  ['cid-lookalike', 'shape', 'a map with the fields of a CID object', pin({ cid: LOOKALIKE })],
  ['cid-twice', 'shape', 'a CID that is named twice', op({ op: 'pin', cid: rawCid('a') }, { op: 'unpin', cid: rawCid('a') })],
  ['cid-twice-spelled', 'shape', 'a CIDv0 and its CIDv1', op({ op: 'pin', cid: oldCid('a') }, { op: 'pin', cid: oldCid('a').toV1() })],
  ['update-to-itself', 'shape', 'from and to are one', op({ op: 'update', from: rawCid('a'), to: rawCid('a') })],
  ['update-without-from', 'shape', 'no from', op({ op: 'update', to: rawCid('a') })],
  ['name-too-long', 'shape', '256 bytes in 128 characters', pin({ name: 'é'.repeat(128) })],
  ['name-bytes', 'shape', 'bytes instead of text', pin({ name: bytes([1]) })],
  ['metadata-not-text', 'shape', 'a number as a value', pin({ metadata: { a: 1 } })],
  ['metadata-too-large', 'shape', '1,025 bytes', pin({ metadata: { a: 'x'.repeat(1_024) } })],
  ['replicas-zero', 'shape', 'no replicas', pin({ replicas: 0 })],
  ['replicas-too-many', 'shape', '1,001 replicas', pin({ replicas: 1_001 })],
  ['where-too-many', 'shape', '17 tags', pin({ where: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`t${i}`, ''])) })],
  ['expires-negative', 'shape', 'before the epoch', pin({ expires: -1 })],
  ['origins-too-many', 'shape', 'nine origins', pin({ origins: Array.from({ length: 9 }, () => bytes([4])) })],
  ['origin-too-long', 'shape', '257 bytes', pin({ origins: [new Uint8Array(257)] })],
  ['at-later', 'shape', 'ranks above its own time', pin({ at: [NOW, 1] })]
]

function rawLink(link: Uint8Array): Promise<Uint8Array> {
  return sealed('command', spliced(cbor(commandFields({ ops: [{ op: 'pin', cid: 'HERE' }] })), [...link]))
}

const state = (...items: unknown[]): Promise<Uint8Array> => ack({ states: [[1, ...items]] })

const ACKS: readonly Case[] = [
  ['ack-of-presence', 'shape', 'a presence where an ack is expected', sealed('presence', presenceFields())],
  ['ack-version', 'shape', 'another version', ack({ v: 2 })],
  ['ack-network', 'network', 'another network', ack({ network: 'red-fox-0000' })],
  ['ack-command', 'shape', '31 bytes of command id', ack({ command: sha256('x').slice(1) })],
  ['ack-sequence', 'shape', 'no sequence', sealed('ack', without(ackFields(), 'seq'))],
  ['ack-states', 'shape', 'states that are no list', ack({ states: 1 })],
  ['ack-run-of-none', 'shape', 'a run of no operations', ack({ states: [[0, 0]] })],
  [
    'ack-too-many',
    'shape',
    '1,201 states in two runs',
    ack({
      states: [
        [1_200, 0],
        [1, 1]
      ]
    })
  ],
  ['admin-pin', 'shape', 'a pin without a pinset', adminOps({ op: 'pin', cid: rawCid('a') })],
  ['admin-line', 'shape', 'an authorize without a line', adminOps({ op: 'authorize' })],
  ['admin-line-length', 'shape', 'a key line that is too long', adminOps({ op: 'authorize', line: 'x'.repeat(4097) })],
  ['admin-succeeds', 'shape', 'succeeds: false instead of nothing', adminOps({ op: 'authorize', line: 'x', succeeds: false })],
  ['admin-key', 'shape', 'a key in place of its hash', adminOps({ op: 'revoke', key: stranger.blob })],
  ['admin-keeps', 'shape', 'a close that does not say what stays', adminOps({ op: 'close', key: sha256('key') })],
  [
    'admin-keeps-many',
    'shape',
    'more than a thousand commands that stay',
    adminOps({ op: 'close', key: sha256('key'), keeps: Array.from({ length: 1_001 }, () => sha256('x')) })
  ],
  ['admin-node', 'shape', 'a node that is no key', adminOps({ op: 'trust', node: new Uint8Array(51) })],
  ['ack-status', 'shape', 'a status of a later version', state(9)],
  ['ack-bytes', 'shape', 'pinned without bytes', state(3)],
  [
    'ack-held-by',
    'shape',
    'nine pinsets',
    state(
      4,
      Array.from({ length: 9 }, (_, i) => `p${i}`)
    )
  ],
  ['ack-superseded-by', 'shape', '31 bytes of command id', state(5, sha256('x').slice(1))],
  ['ack-failure', 'shape', 'a failure of a later version', state(6, 7, 1, NOW)],
  ['ack-refusal', 'shape', 'a refusal of a later version', state(7, 8)]
]

/** The wire form of a set's digest that is right, with items changed by place. */
const setFields = (changes: Record<number, unknown> = {}): unknown[] =>
  Object.assign([new Uint8Array(32), 'default', 1, new Uint8Array(32), NOW, false], changes)

const PRESENCES: readonly Case[] = [
  ['presence-of-ack', 'shape', 'an ack where a presence is expected', sealed('ack', ackFields())],
  ['presence-network', 'network', 'another network', presence({ network: 'red-fox-0000' })],
  ['presence-addresses', 'shape', '17 addresses', presence({ addresses: Array.from({ length: 17 }, () => '/ip4/203.0.113.1') })],
  ['presence-address', 'shape', 'an address of 257 bytes', presence({ addresses: ['x'.repeat(257)] })],
  ['presence-tags', 'shape', 'a number as a tag', presence({ tags: { a: 1 } })],
  ['presence-queue', 'shape', 'a negative queue', presence({ queue: -1 })],
  ['presence-version', 'shape', 'a version of 65 bytes', presence({ version: 'x'.repeat(65) })],
  ['presence-newest', 'shape', 'a newest without a counter', presence({ newest: [NOW] })],
  ['presence-sets-many', 'shape', '33 sets', presence({ sets: Array.from({ length: 33 }, () => setFields()) })],
  ['presence-set-short', 'shape', 'a set without its last item', presence({ sets: [setFields().slice(0, 5)] })],
  ['presence-set-long', 'shape', 'a set with one item more', presence({ sets: [[...setFields(), 1]] })],
  ['presence-set-author', 'shape', 'an author of 31 bytes', presence({ sets: [setFields({ 0: new Uint8Array(31) })] })],
  ['presence-set-pinset', 'shape', 'a pinset with a blank', presence({ sets: [setFields({ 1: 'a b' })] })],
  ['presence-set-count', 'shape', 'a negative count', presence({ sets: [setFields({ 2: -1 })] })],
  ['presence-set-root', 'shape', 'a root of 16 bytes', presence({ sets: [setFields({ 3: new Uint8Array(16) })] })],
  ['presence-set-capped', 'shape', 'capped as a number', presence({ sets: [setFields({ 5: 0 })] })],
  ['presence-clock', 'shape', 'clockOff as a number', presence({ clockOff: 1 })],
  ['presence-full', 'shape', 'full as a number', backend({ full: 1 })],
  ['presence-backend', 'shape', 'a backend of a later version', backend({ kind: 'other' })],
  ['presence-up', 'shape', 'up as a number', backend({ up: 1 })]
]

/** Envelopes that every implementation refuses, with the fault it must find. `repeat` stands for that many equal bytes. */
export async function brokenVectors(): Promise<unknown[]> {
  const table: [Kind, readonly Case[]][] = [
    ['command', FRAMES],
    ['command', COMMANDS],
    ['ack', ACKS],
    ['presence', PRESENCES]
  ]
  const all = table.flatMap(([expected, cases]) =>
    cases.map(async ([name, code, comment, envelope]) => ({ name, comment, expected, code, envelope: hex(await envelope) }))
  )
  return [
    {
      name: 'too-large',
      comment: 'one byte above the bound, whatever it holds',
      expected: 'command',
      code: 'size',
      repeat: { byte: '00', count: 61_441 }
    },
    {
      name: 'presence-too-large',
      comment: 'one byte above the bound of presences',
      expected: 'presence',
      code: 'size',
      repeat: { byte: '00', count: 8_193 }
    },
    ...(await Promise.all(all))
  ]
}
