/** What a node says of itself, signed with its libp2p key; the higher sequence replaces the lower. */
import { hlcFromWire } from './command.ts'
import { PROTOCOL_VERSION } from './version.ts'
import type { Envelope, Verified } from './envelope.ts'
import { InvalidMessageError } from './errors.ts'
import { MAX_ADDRESSES, MAX_DIGESTS, MAX_METADATA_BYTES, MAX_MULTIADDR_BYTES, MAX_TAGS } from './limits.ts'
import type { Hlc } from './order.ts'
import { nodeIdOf, type NodeId } from './ssh-key.ts'
import { digestFromWire, digestToWire, type SetDigest } from './sync/digest.ts'
import * as wire from './wire.ts'

/** Where the content of a node can be reached. */
export interface BackendPresence {
  readonly kind: 'helia' | 'kubo'
  /** Whether it can work now. */
  readonly up: boolean
  /** Whether it has no space left for what it was asked to hold. */
  readonly full?: boolean
  /** The backend's own peer id: two nodes with one are one replica. */
  readonly peer?: NodeId
  /** Multiaddrs of that peer, text, without /p2p. */
  readonly addresses: readonly string[]
}

/** A node's presence. */
export interface Presence {
  readonly node: NodeId
  readonly sequence: number
  /** The node's clock when it signed, milliseconds since the epoch. */
  readonly time: number
  /** Multiaddrs under which the node itself can be dialled, text, without /p2p; dialled only as `node`. */
  readonly addresses: readonly string[]
  readonly tags: Readonly<Record<string, string>>
  /** Bytes. */
  readonly free?: number
  /** Bytes. */
  readonly used?: number
  /** Jobs that wait. */
  readonly queue: number
  /** The software, `pinsub/1.0.0`. */
  readonly version: string
  readonly backend: BackendPresence
  /** The newest time it has seen in a command. */
  readonly newest?: Hlc
  /** The command sets it holds, as many as fit; readers learn of the others over `/pinsub/sync/1`. */
  readonly sets?: readonly SetDigest[]
  /** Set while its clock is off the median of its known nodes by more than the protocol allows: it acts on no expiry. */
  readonly clockOff?: boolean
}

const VERSION_BYTES = 64

/** Writes the payload of a presence. */
export function encodePresence(network: string, presence: Omit<Presence, 'node'>): Uint8Array {
  const { sequence, newest, backend, sets, ...rest } = presence
  return wire.encode({
    ...rest,
    v: PROTOCOL_VERSION,
    network,
    seq: sequence,
    backend: { ...backend },
    ...(newest === undefined ? {} : { newest: [newest.ms, newest.counter] }),
    ...(sets === undefined ? {} : { sets: sets.map(digestToWire) })
  })
}

/** Reads a verified presence of this network; throws `encoding`, `shape` or `network` faults. Unknown fields are ignored. */
export function decodePresence(envelope: Verified<Envelope>, network: string): Presence {
  const map = wire.fields(wire.decode(envelope.payload), 'payload')
  if (envelope.kind !== 'presence' || map['v'] !== PROTOCOL_VERSION) wire.malformed('version')
  if (wire.label(map['network'], 'network') !== network) throw new InvalidMessageError('network', 'of another network')
  const { free, used, newest, sets, clockOff } = map
  if (clockOff !== undefined && typeof clockOff !== 'boolean') wire.malformed('clockOff')
  return {
    node: nodeIdOf(envelope.signer),
    sequence: wire.uint(map['seq'], 'seq'),
    time: wire.uint(map['time'], 'time'),
    addresses: addresses(map['addresses']),
    tags: wire.textMap(map['tags'], 'tags', MAX_TAGS, MAX_METADATA_BYTES),
    ...(free === undefined ? {} : { free: wire.uint(free, 'free') }),
    ...(used === undefined ? {} : { used: wire.uint(used, 'used') }),
    queue: wire.uint(map['queue'], 'queue'),
    version: wire.text(map['version'], 'version', VERSION_BYTES),
    backend: backendFromWire(map['backend']),
    ...(newest === undefined ? {} : { newest: hlcFromWire(newest, 'newest') }),
    ...(sets === undefined ? {} : { sets: wire.list(sets, 'sets', MAX_DIGESTS).map(digestFromWire) }),
    ...(clockOff === undefined ? {} : { clockOff })
  }
}

function backendFromWire(value: unknown): BackendPresence {
  const map = wire.fields(value, 'backend')
  const { kind, peer, full } = map
  if (full !== undefined && typeof full !== 'boolean') wire.malformed('backend')
  if ((kind !== 'helia' && kind !== 'kubo') || typeof map['up'] !== 'boolean') wire.malformed('backend')
  return {
    kind,
    up: map['up'],
    ...(full === undefined ? {} : { full }),
    ...(peer === undefined ? {} : { peer: wire.text(peer, 'peer', 128) }),
    addresses: addresses(map['addresses'])
  }
}

function addresses(value: unknown): readonly string[] {
  return wire.list(value, 'addresses', MAX_ADDRESSES).map((item) => wire.text(item, 'address', MAX_MULTIADDR_BYTES))
}
