import { encodeAck, type OperationState } from '../../../src/protocol/ack.ts'
import { authorizeOperation } from '../../../src/protocol/admin-operations.ts'
import { encodeCommand, type CommandInit } from '../../../src/protocol/command.ts'
import { commandId, commandIdFrom, sealEnvelope } from '../../../src/protocol/envelope.ts'
import { encodePresence, type Presence } from '../../../src/protocol/presence.ts'
import { formatPublicKey, nodeIdOf } from '../../../src/protocol/ssh-key.ts'
import { author, cbor, commandFields, hex, identityCid, NETWORK, node, NOW, oldCid, rawCid, sealed, sha256, signerHash, stranger } from './make.ts'
import { plain } from './plain.ts'

type Operations = CommandInit['operations']

const ORIGIN = Uint8Array.of(4, 203, 0, 113, 1, 6, 0x10, 0x05)
const TAGS_16 = Object.fromEntries(Array.from({ length: 16 }, (_, i) => [`tag${i}`, 'x']))

const LINE = `ops="pin",pinset="site",expiry-time="20271231" ${formatPublicKey(stranger.blob, 'ci@build')}`
const NEXT = formatPublicKey(stranger.blob, 'you@laptop')
const KEPT = ['a', 'b'].map((text) => commandIdFrom(sha256(text)))
const ADMIN = { pinset: undefined }

/** Undefined for the pinset where there is none. */
type Init = Omit<Partial<CommandInit>, 'pinset'> & { readonly pinset?: string | undefined }

const COMMANDS: readonly [name: string, comment: string, operations: Operations, init?: Init][] = [
  ['pin', 'the smallest command', [{ op: 'pin', cid: rawCid('a') }]],
  ['pin-v0', 'a CIDv0 stays as it is spelled', [{ op: 'pin', cid: oldCid('a') }]],
  ['pin-identity', 'the longest CID: 96 bytes', [{ op: 'pin', cid: identityCid(96) }]],
  ['pin-name', 'a name of exactly 255 bytes', [{ op: 'pin', cid: rawCid('a'), name: `${'é'.repeat(127)}x` }]],
  [
    'pin-metadata',
    'metadata, keys sorted by DAG-CBOR',
    [{ op: 'pin', cid: rawCid('a'), metadata: { title: 'Home', a: '', ['__proto__']: 'no prototype' } }]
  ],
  ['pin-replicas', 'the largest factor', [{ op: 'pin', cid: rawCid('a'), replicas: 1_000 }]],
  ['pin-where', 'as many tags as allowed', [{ op: 'pin', cid: rawCid('a'), where: TAGS_16 }]],
  ['pin-expires', 'the largest integer of this protocol', [{ op: 'pin', cid: rawCid('a'), expires: Number.MAX_SAFE_INTEGER }]],
  ['pin-origins', 'a binary multiaddr, /ip4/203.0.113.1/tcp/4101', [{ op: 'pin', cid: rawCid('a'), origins: [ORIGIN] }]],
  ['pin-at', 'ranks at an older time', [{ op: 'pin', cid: rawCid('a'), at: { ms: NOW - 1_000, counter: 4 } }]],
  [
    'pin-all',
    'every option at once',
    [
      {
        op: 'pin',
        cid: rawCid('a'),
        name: 'site',
        metadata: { a: 'b' },
        replicas: 3,
        where: { region: 'eu' },
        expires: NOW + 86_400_000,
        origins: [ORIGIN, ORIGIN],
        at: { ms: NOW, counter: 0 }
      }
    ]
  ],
  ['unpin', 'lets go', [{ op: 'unpin', cid: rawCid('a') }]],
  ['unpin-at', 'lets go at an older time', [{ op: 'unpin', cid: rawCid('a'), at: { ms: 0, counter: 0 } }]],
  ['update', 'pins the new, then lets go of the old', [{ op: 'update', from: oldCid('a'), to: rawCid('b') }]],
  ['update-at', 'the same at an older time', [{ op: 'update', from: rawCid('a'), to: rawCid('b'), at: { ms: NOW, counter: 0 } }]],
  [
    'many',
    'three kinds in one command, in a pinset of its own, with a counter',
    [
      { op: 'pin', cid: rawCid('a') },
      { op: 'unpin', cid: rawCid('b') },
      { op: 'update', from: rawCid('c'), to: rawCid('d') }
    ],
    { pinset: `B.l_o-g${'x'.repeat(57)}`, time: { ms: NOW, counter: 0xffff_ffff } }
  ],
  ['authorize', 'lets a key in, by a line of authorized_keys', [authorizeOperation(LINE)], ADMIN],
  ['succeed', "takes the signer's place: a line without options", [authorizeOperation(NEXT, { succeeds: true })], ADMIN],
  ['close', 'closes a key, and names which of its commands without a pinset stay', [{ op: 'close', author: stranger.author, keeps: KEPT }], ADMIN],
  [
    'admin-many',
    'three kinds at once',
    [
      { op: 'revoke', author: stranger.author },
      { op: 'trust', node: nodeIdOf(node.blob) },
      { op: 'distrust', node: nodeIdOf(stranger.blob) }
    ],
    ADMIN
  ],
  ['hundred', 'a hundred pins under one signature', Array.from({ length: 100 }, (_, i) => ({ op: 'pin', cid: rawCid(String(i)) }) as const)]
]

/** Commands that every implementation takes. */
export async function commandVectors(): Promise<unknown[]> {
  const known = COMMANDS.map(async ([name, comment, operations, init]) => {
    const { pinset, ...all } = { network: NETWORK, pinset: 'default', time: { ms: NOW, counter: 0 }, operations, ...init }
    const payload = encodeCommand(pinset === undefined ? all : { ...all, pinset }, author.blob)
    const envelope = await sealEnvelope('command', payload, author)
    return commandVector(name, comment, envelope.bytes, payload, { pinset, time: all.time, operations })
  })
  return [...(await Promise.all(known)), ...(await unknownKinds())]
}

function commandVector(name: string, comment: string, bytes: Uint8Array, payload: Uint8Array, command: object): unknown {
  return { name, comment, network: NETWORK, id: commandId(payload), author: author.author, envelope: hex(bytes), command: plain(command) }
}

async function unknownKinds(): Promise<unknown[]> {
  const cases: [string, string, Record<string, unknown>, object][] = [
    [
      'unknown-kind',
      'a kind of a later version, with its CID',
      { ops: [{ op: 'freeze', cid: rawCid('a'), how: [1] }] },
      { op: 'unknown', kind: 'freeze', cid: rawCid('a') }
    ],
    [
      'unknown-field',
      'a field of a later version makes the operation unknown',
      { ops: [{ op: 'pin', cid: rawCid('a'), colour: 'red' }] },
      { op: 'unknown', kind: 'pin', cid: rawCid('a') }
    ],
    [
      'unknown-prototype',
      'a kind named as a property of every object',
      { ops: [{ op: 'constructor' }] },
      { op: 'unknown', kind: 'constructor' }
    ]
  ]
  const unknown = cases.map(async ([name, comment, fields, operation]) => {
    const payload = cbor(commandFields(fields))
    return commandVector(name, comment, await sealed('command', payload), payload, {
      pinset: 'default',
      time: { ms: NOW, counter: 0 },
      operations: [operation]
    })
  })
  const admin = cbor({ v: 1, network: NETWORK, signer: signerHash, time: [NOW, 0], ops: [{ op: 'delegate' }] })
  const last = commandVector(
    'no-pinset',
    'without a pinset admin operations stand, and such of later versions',
    await sealed('command', admin),
    admin,
    {
      time: { ms: NOW, counter: 0 },
      operations: [{ op: 'unknown', kind: 'delegate' }]
    }
  )
  return [...(await Promise.all(unknown)), last]
}

const BY = commandIdFrom(sha256('other'))

const ACKS: readonly (readonly [name: string, comment: string, states: readonly OperationState[]])[] = [
  ['accepted', 'stored, nothing done', [{ status: 'accepted' }]],
  ['queued', 'thirty operations in one run', Array.from({ length: 30 }, () => ({ status: 'queued' }) as const)],
  ['pinning', 'progress in bytes', [{ status: 'pinning', bytes: 262_144 }]],
  ['pinned', 'bytes held', [{ status: 'pinned', bytes: Number.MAX_SAFE_INTEGER }]],
  ['unpinned', 'held by nothing', [{ status: 'unpinned', heldBy: [] }]],
  ['unpinned-held', 'two pinsets still hold it', [{ status: 'unpinned', heldBy: ['blog', 'site'] }]],
  ['superseded', 'another command decided', [{ status: 'superseded', by: BY }]],
  ...(['unavailable', 'timeout', 'not-found', 'no-space', 'too-large', 'invalid', 'failed'] as const).map(
    (code, i) => [`failed-${code}`, 'will be tried again', [{ status: 'failed', code, attempt: i + 1, next: NOW + 5_000 }]] as const
  ),
  ...(['operation', 'pinset', 'quota', 'size', 'unsupported', 'expired', 'skew', 'unauthorised'] as const).map(
    (code) => [`refused-${code}`, 'will not be done', [{ status: 'refused', code }]] as const
  ),
  [
    'mixed',
    'runs of equal neighbours',
    [
      { status: 'queued' },
      { status: 'queued' },
      { status: 'pinned', bytes: 1 },
      { status: 'pinned', bytes: 1 },
      { status: 'pinned', bytes: 2 },
      { status: 'queued' }
    ]
  ]
]

/** Acks that every implementation takes. */
export async function ackVectors(): Promise<unknown[]> {
  return Promise.all(
    ACKS.map(async ([name, comment, states], index) => {
      const ack = { command: commandIdFrom(sha256('command')), sequence: index + 1, time: NOW, states }
      const envelope = await sealEnvelope('ack', encodeAck(NETWORK, ack), node)
      return { name, comment, network: NETWORK, envelope: hex(envelope.bytes), ack: plain(ack) }
    })
  )
}

const PRESENCES: readonly [name: string, comment: string, presence: Omit<Presence, 'node'>][] = [
  [
    'smallest',
    'only what must be there',
    { sequence: 1, time: NOW, addresses: [], tags: {}, queue: 0, version: 'x', backend: { kind: 'helia', up: false, addresses: [] } }
  ],
  [
    'all',
    'every field',
    {
      sequence: Number.MAX_SAFE_INTEGER,
      time: NOW,
      addresses: ['/ip4/203.0.113.1/tcp/4101', '/dns4/node.example/tcp/4101'],
      tags: { region: 'eu', tier: 'cold' },
      free: 1_000_000,
      used: 2_000_000,
      queue: 12,
      version: 'pinsub/0.1.0',
      backend: {
        kind: 'kubo',
        up: true,
        peer: '12D3KooWA6WjWaMBcp72uJEGF57cgLiiKT8ekCkHKJmXcnMwG6rW',
        addresses: ['/ip4/203.0.113.1/tcp/4001']
      },
      newest: { ms: NOW, counter: 5 }
    }
  ],
  [
    'sets',
    'the command sets it holds: one of a pinset, one of admin operations, one that is capped; a full backend and a wrong clock',
    {
      sequence: 2,
      time: NOW,
      addresses: [],
      tags: {},
      queue: 0,
      version: 'x',
      backend: { kind: 'helia', up: true, full: true, addresses: [] },
      sets: [
        { author: author.author, pinset: 'default', count: 1_000_000, root: sha256('one'), newest: NOW },
        { author: author.author, pinset: undefined, count: 1, root: sha256('two'), newest: 5 },
        { author: node.author, pinset: 'site', count: 7, root: sha256('three'), newest: 6, capped: true }
      ],
      clockOff: true
    }
  ]
]

/** Presences that every implementation takes. */
export async function presenceVectors(): Promise<unknown[]> {
  return Promise.all(
    PRESENCES.map(async ([name, comment, presence]) => {
      const envelope = await sealEnvelope('presence', encodePresence(NETWORK, presence), node)
      return { name, comment, network: NETWORK, envelope: hex(envelope.bytes), presence: plain(presence) }
    })
  )
}
