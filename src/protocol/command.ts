/** What an author says: the payload of a command envelope, and its reading and writing. */
import { equals } from 'uint8arrays/equals'
import type { CID } from 'multiformats/cid'
import { adminFromWire, adminToWire, isAdminOperation, type AdminOperation } from './admin-operations.ts'
import { cidKey } from './cid.ts'
import { InvalidMessageError } from './errors.ts'
import { commandId, type CommandId, type Envelope } from './envelope.ts'
import {
  MAX_COUNTER,
  MAX_METADATA_BYTES,
  MAX_MULTIADDR_BYTES,
  MAX_NAME_BYTES,
  MAX_OPERATIONS,
  MAX_ORIGINS,
  MAX_REPLICAS,
  MAX_TAGS
} from './limits.ts'
import { compareHlc, type Hlc } from './order.ts'
import { keyHash, type Author } from './ssh-key.ts'
import { PROTOCOL_VERSION } from './version.ts'
import * as wire from './wire.ts'

/** The pinset of commands that name none. */
export const DEFAULT_PINSET = 'default'

/** Asks every node that may obey to hold a DAG. */
export interface PinOperation {
  readonly op: 'pin'
  readonly cid: CID
  /** Shown in listings; UTF-8. */
  readonly name?: string
  readonly metadata?: Readonly<Record<string, string>>
  /** How many nodes shall hold it; all that may obey where absent. */
  readonly replicas?: number
  /** Tags a node must carry to be asked. */
  readonly where?: Readonly<Record<string, string>>
  /** Milliseconds since the epoch from which the pin counts as an unpin. */
  readonly expires?: number
  /** Binary multiaddrs (with /p2p) of peers that have the content. */
  readonly origins?: readonly Uint8Array[]
  /** An older time to rank at. */
  readonly at?: Hlc
}

/** Lets go of a DAG. */
export interface UnpinOperation {
  readonly op: 'unpin'
  readonly cid: CID
  readonly at?: Hlc
}

/** Pins `to` and, once it is held, unpins `from`. */
export interface UpdateOperation {
  readonly op: 'update'
  readonly from: CID
  readonly to: CID
  readonly at?: Hlc
}

/** An operation of a kind, or with a field, that this version does not know: kept and passed on, never acted on. */
export interface UnknownOperation {
  readonly op: 'unknown'
  /** The kind as sent. */
  readonly kind: string
  readonly cid?: CID
  readonly at?: Hlc
}

/** What is asked for in a pinset. */
export type PinsetOperation = PinOperation | UnpinOperation | UpdateOperation

/** One thing a command asks for; a command without a pinset has `admin` operations and unknown ones alone, any other has none of them. */
export type Operation = PinsetOperation | AdminOperation | UnknownOperation

/** A decoded command. */
export interface Command {
  readonly id: CommandId
  readonly author: Author
  readonly network: string
  /** Undefined for admin operations. */
  readonly pinset: string | undefined
  readonly time: Hlc
  readonly operations: readonly Operation[]
}

/** What a sender decides about a command; the rest follows from its key. */
export interface CommandInit {
  readonly network: string
  readonly time: Hlc
  /** Absent for admin operations. */
  readonly pinset?: string
  readonly operations: readonly (PinsetOperation | AdminOperation)[]
}

/** Writes the payload of a command that the key in `signer` (an SSH wire blob) will sign. */
export function encodeCommand(init: CommandInit, signer: Uint8Array): Uint8Array {
  return wire.encode({
    v: PROTOCOL_VERSION,
    network: init.network,
    signer: keyHash(signer),
    ...(init.pinset === undefined ? {} : { pinset: init.pinset }),
    time: hlcToWire(init.time),
    ops: init.operations.map(operationToWire)
  })
}

/** Bytes that an operation takes in a payload. */
export function operationBytes(operation: CommandInit['operations'][number]): number {
  return wire.encode(operationToWire(operation)).byteLength
}

/**
 * Reads the payload of an envelope; throws `encoding`, `shape` or `network` faults. Without a `network` any will do.
 * Call it only with an envelope whose signature was checked or that will be checked before anything is done.
 */
export function decodeCommand(envelope: Envelope, network?: string): Command {
  if (envelope.kind !== 'command') wire.malformed('kind')
  const map = wire.fields(wire.decode(envelope.payload), 'payload')
  if (map['v'] !== PROTOCOL_VERSION) wire.malformed('version')
  const named = wire.label(map['network'], 'network')
  if (network !== undefined && named !== network) throw new InvalidMessageError('network', 'a command of another network')
  if (!equals(wire.bytes(map['signer'], 'signer', { length: 32 }), keyHash(envelope.signer))) wire.malformed('signer')
  const time = hlcFromWire(map['time'], 'time')
  const pinset = map['pinset'] === undefined ? undefined : wire.label(map['pinset'], 'pinset')
  const operations = wire.list(map['ops'], 'ops', MAX_OPERATIONS).map((item) => operationFromWire(item, time, pinset))
  if (operations.length === 0) wire.malformed('ops')
  const known = new Set(['v', 'network', 'signer', 'pinset', 'time', 'ops'])
  if (Object.keys(map).some((key) => !known.has(key))) wire.malformed('payload')
  if (pinset === undefined && operations.some((one) => one.op !== 'unknown' && !isAdminOperation(one))) wire.malformed('pinset')
  refuseRepeats(operations)
  return { id: commandId(envelope.payload), author: envelope.author, network: named, pinset, time, operations }
}

/** The network that the payload of a command envelope names; throws `encoding` and `shape` faults. */
export function networkOf({ payload }: Pick<Envelope, 'payload'>): string {
  return wire.label(wire.fields(wire.decode(payload), 'payload')['network'], 'network')
}

/** The CIDs that an operation is about: two for an update, none for some unknown kinds. */
export function cidsOf(operation: Operation): readonly CID[] {
  if (isAdminOperation(operation)) return []
  if (operation.op === 'update') return [operation.from, operation.to]
  return operation.cid === undefined ? [] : [operation.cid]
}

function refuseRepeats(operations: readonly Operation[]): void {
  const seen = new Set<string>()
  for (const operation of operations) {
    for (const cid of cidsOf(operation)) {
      const key = cidKey(cid)
      if (seen.has(key)) throw new InvalidMessageError('shape', `${cid} is named twice`)
      seen.add(key)
    }
  }
}

function hlcToWire(time: Hlc): [number, number] {
  return [time.ms, time.counter]
}

/** Reads `[ms, counter]`. */
export function hlcFromWire(value: unknown, what: string): Hlc {
  const [ms, counter, ...rest] = wire.list(value, what, 2)
  if (rest.length > 0) wire.malformed(what)
  return { ms: wire.uint(ms, what), counter: wire.uint(counter, what, MAX_COUNTER) }
}

function operationToWire(operation: CommandInit['operations'][number]): Record<string, unknown> {
  if (isAdminOperation(operation)) return adminToWire(operation)
  const { at, ...rest } = operation
  return { ...rest, ...(at === undefined ? {} : { at: hlcToWire(at) }) }
}

const FIELDS: ReadonlyMap<string, readonly string[]> = new Map([
  ['pin', ['op', 'cid', 'name', 'metadata', 'replicas', 'where', 'expires', 'origins', 'at']],
  ['unpin', ['op', 'cid', 'at']],
  ['update', ['op', 'from', 'to', 'at']]
])

function operationFromWire(value: unknown, time: Hlc, pinset: string | undefined): Operation {
  const map = wire.fields(value, 'operation')
  const kind = wire.text(map['op'], 'op', 32)
  const at = map['at'] === undefined ? {} : { at: rankedAt(map['at'], time) }
  const admin = pinset === undefined ? adminFromWire(kind, map) : undefined
  if (admin !== undefined) return admin
  const known = FIELDS.get(kind)
  if (known === undefined || Object.keys(map).some((key) => !known.includes(key))) {
    return { op: 'unknown', kind, ...(map['cid'] === undefined ? {} : { cid: wire.cid(map['cid'], 'cid') }), ...at }
  }
  if (kind === 'unpin') return { op: 'unpin', cid: wire.cid(map['cid'], 'cid'), ...at }
  if (kind === 'update') return { op: 'update', from: wire.cid(map['from'], 'from'), to: wire.cid(map['to'], 'to'), ...at }
  return { ...pinFromWire(map), ...at }
}

function rankedAt(value: unknown, time: Hlc): Hlc {
  const at = hlcFromWire(value, 'at')
  if (compareHlc(at, time) > 0) wire.malformed('at')
  return at
}

function pinFromWire(map: wire.Fields): PinOperation {
  const { name, metadata, replicas, where, expires, origins } = map
  return {
    op: 'pin',
    cid: wire.cid(map['cid'], 'cid'),
    ...(name === undefined ? {} : { name: wire.text(name, 'name', MAX_NAME_BYTES) }),
    ...(metadata === undefined ? {} : { metadata: wire.textMap(metadata, 'metadata', MAX_METADATA_BYTES, MAX_METADATA_BYTES) }),
    ...(replicas === undefined ? {} : { replicas: atLeastOne(replicas) }),
    ...(where === undefined ? {} : { where: wire.textMap(where, 'where', MAX_TAGS, MAX_METADATA_BYTES) }),
    ...(expires === undefined ? {} : { expires: wire.uint(expires, 'expires') }),
    ...(origins === undefined
      ? {}
      : { origins: wire.list(origins, 'origins', MAX_ORIGINS).map((item) => wire.bytes(item, 'origin', { max: MAX_MULTIADDR_BYTES })) })
  }
}

function atLeastOne(value: unknown): number {
  const replicas = wire.uint(value, 'replicas', MAX_REPLICAS)
  if (replicas === 0) wire.malformed('replicas')
  return replicas
}
