/** The questions and answers of `/pinsub/query/1`, and the message of `/pinsub/refusal/1`: shapes, writing and strict reading. */
import { CID } from 'multiformats/cid'
import { FAILURES, REFUSALS, STATUSES, type FailureCode, type RefusalCode, type Status } from './ack.ts'
import { cidKey } from './cid.ts'
import { PROTOCOL_VERSION } from './version.ts'
import { commandIdBytes, commandIdFrom, type CommandId } from './envelope.ts'
import { InvalidMessageError } from './errors.ts'
import {
  MAX_ENVELOPE_BYTES,
  MAX_NAME_BYTES,
  MAX_PAGE_BYTES,
  MAX_PAGE_ROWS,
  MAX_QUERY_BYTES,
  MAX_QUERY_CIDS,
  MAX_QUERY_COMMANDS,
  MAX_REFUSAL_BYTES
} from './limits.ts'
import { KEY_BLOB_BYTES, type Author } from './ssh-key.ts'
import * as wire from './wire.ts'

/** Who are you, whom do you know, and, with a key's SSH wire blob, may this key command you? */
export interface HelloRequest {
  readonly want: 'hello'
  readonly network: string
  readonly signer?: Uint8Array
}

/** How far are these CIDs (all where absent), by {@link cidKey}, in this pinset (each where absent)? */
export interface StatusRequest {
  readonly want: 'status'
  readonly network: string
  readonly cids?: readonly string[]
  readonly pinset?: string
  /** Look into the storage first. The answer comes as it is known, with empty pages while it takes long. */
  readonly check?: true
}

/** What is wanted on this node, in this pinset (each where absent)? */
export interface PinsRequest {
  readonly want: 'pins'
  readonly network: string
  readonly pinset?: string
}

/** What did you say to these commands? */
export interface AcksRequest {
  readonly want: 'acks'
  readonly network: string
  /** Each once. */
  readonly commands: readonly CommandId[]
}

/** One question; a stream carries exactly one. */
export type QueryRequest = HelloRequest | StatusRequest | PinsRequest | AcksRequest

/** What a look into the storage found: `unknown` where it could not look. */
export type CheckResult = (typeof CHECKS)[number]

const CHECKS = ['held', 'missing', 'damaged', 'unknown'] as const

/** The state of one CID in one pinset on the node that answers. */
export interface StatusRow {
  /** As spelled in the command. */
  readonly cid: CID
  readonly pinset: string
  /** What is wanted; absent where nobody who counts wants anything. */
  readonly op?: 'pin' | 'unpin'
  /** `unowned`: held, and wanted by nobody who counts; no replica. */
  readonly status: Status | 'unowned'
  /** Fetched so far, or held. */
  readonly bytes?: number
  /** Of a failed or refused one. */
  readonly code?: FailureCode | RefusalCode
  /** What a look at all of its blocks found, where that was asked for and the node had it pinned. */
  readonly check?: CheckResult
  /** The command that decides, where one does. */
  readonly command?: CommandId
  /** Of what is `unowned`: whose pin it was, whose word counts no more. */
  readonly author?: Author
  /** Of what is `unowned`: the name that this pin had. */
  readonly name?: string
  /** When it came into this state by the node's clock, milliseconds since the epoch. */
  readonly at: number
}

/** A CID that is wanted on the node that answers. */
export interface PinRow {
  readonly cid: CID
  readonly pinset: string
  readonly name?: string
  readonly author: Author
  /** When it was asked for, milliseconds since the epoch. */
  readonly at: number
  readonly status: Status
}

/** The first page of a hello has the node's own presence first; further pages carry more presences. */
export interface HelloPage {
  readonly page: 'hello'
  readonly network: string
  /** The software, `pinsub/1.0.0`. */
  readonly version: string
  /** Whether the key that was named may command this node; absent when none was named. */
  readonly authorised?: boolean
  /** Why a key that is in the file may not, or no longer. */
  readonly closed?: string
  /** Presence envelopes, bytes; not verified. */
  readonly presences: readonly Uint8Array[]
  /** How long ago the node heard each of them, milliseconds, in the same order; absent from nodes that tell of none but those there. */
  readonly ages?: readonly number[]
}

/** Some of an answer. */
export type QueryPage =
  | HelloPage
  | { readonly page: 'status'; readonly rows: readonly StatusRow[] }
  | { readonly page: 'pins'; readonly rows: readonly PinRow[] }
  /** Ack envelopes, bytes; not verified. */
  | { readonly page: 'acks'; readonly acks: readonly Uint8Array[] }
  /** The node is of another network: this one. */
  | { readonly page: 'error'; readonly error: 'network'; readonly network: string }
  /** The node does not know this kind of question, or has no time for it now. */
  | { readonly page: 'error'; readonly error: 'unsupported' | 'busy' }

/** What is told on a refusal stream. */
export interface RefusalMessage {
  readonly network: string
  readonly command: CommandId
  readonly code: RefusalCode
}

const REASON_BYTES = 256
const VERSION_BYTES = 64

/** Writes a question. Throws a `size` fault for one that no node would read. */
export function encodeQueryRequest(request: QueryRequest): Uint8Array {
  const head = { v: PROTOCOL_VERSION, network: request.network, want: request.want }
  switch (request.want) {
    case 'hello':
      return bounded(wire.encode({ ...head, ...(request.signer === undefined ? {} : { signer: request.signer }) }), MAX_QUERY_BYTES)
    case 'status': {
      const cids = request.cids === undefined ? {} : { cids: request.cids.map((key) => CID.parse(key)) }
      const check = request.check === true ? { check: true } : {}
      return bounded(wire.encode({ ...head, ...cids, ...pinsetField(request.pinset), ...check }), MAX_QUERY_BYTES)
    }
    case 'pins':
      return bounded(wire.encode({ ...head, ...pinsetField(request.pinset) }), MAX_QUERY_BYTES)
    case 'acks':
      return bounded(wire.encode({ ...head, commands: request.commands.map(commandIdBytes) }), MAX_QUERY_BYTES)
  }
}

/**
 * Reads a question; throws `encoding` and `shape` faults. A kind that this version does not know comes back as `unknown`,
 * so that the asker can be told; unknown fields are ignored.
 */
export function decodeQueryRequest(bytes: Uint8Array): QueryRequest | { readonly want: 'unknown'; readonly network: string } {
  const map = wire.fields(wire.decode(bounded(bytes, MAX_QUERY_BYTES)), 'query')
  const network = wire.label(map['network'], 'network')
  const want = wire.text(map['want'], 'want', 32)
  if (wire.uint(map['v'], 'version') !== PROTOCOL_VERSION) return { want: 'unknown', network }
  const { signer, cids, commands } = map
  switch (want) {
    case 'hello':
      return { want, network, ...(signer === undefined ? {} : { signer: wire.bytes(signer, 'signer', { length: KEY_BLOB_BYTES }) }) }
    case 'status': {
      const keys = cids === undefined ? {} : { cids: wire.list(cids, 'cids', MAX_QUERY_CIDS).map((item) => cidKey(wire.cid(item, 'cid'))) }
      const { check = false } = map
      if (typeof check !== 'boolean') wire.malformed('check')
      return { want, network, ...keys, ...pinsetFrom(map), ...(check === true ? { check } : {}) }
    }
    case 'pins':
      return { want, network, ...pinsetFrom(map) }
    case 'acks':
      return { want, network, commands: distinct(wire.list(commands, 'commands', MAX_QUERY_COMMANDS).map(commandFrom)) }
    default:
      return { want: 'unknown', network }
  }
}

/** Writes a page. Throws a `size` fault above {@link MAX_PAGE_BYTES}: the caller pages smaller. */
export function encodeQueryPage(page: QueryPage): Uint8Array {
  switch (page.page) {
    case 'status':
      return bounded(wire.encode({ page: page.page, rows: page.rows.map(statusToWire) }), MAX_PAGE_BYTES)
    case 'pins':
      return bounded(wire.encode({ page: page.page, rows: page.rows.map((row) => wireFields(row)) }), MAX_PAGE_BYTES)
    default:
      return bounded(wire.encode(wireFields(page)), MAX_PAGE_BYTES)
  }
}

/** Reads a page; throws `size`, `encoding` and `shape` faults. Unknown fields are ignored. */
export function decodeQueryPage(bytes: Uint8Array): QueryPage {
  const map = wire.fields(wire.decode(bounded(bytes, MAX_PAGE_BYTES)), 'page')
  const page = wire.text(map['page'], 'page', 32)
  switch (page) {
    case 'hello':
      return helloFromWire(map)
    case 'status':
      return { page, rows: wire.list(map['rows'], 'rows', MAX_PAGE_ROWS).map(statusFromWire) }
    case 'pins':
      return { page, rows: wire.list(map['rows'], 'rows', MAX_PAGE_ROWS).map(pinFromWire) }
    case 'acks':
      return { page, acks: envelopes(map['acks'], 'acks') }
    case 'error': {
      const { error } = map
      if (error === 'network') return { page, error, network: wire.label(map['network'], 'network') }
      if (error === 'unsupported' || error === 'busy') return { page, error }
      return wire.malformed('error')
    }
    default:
      return wire.malformed('page')
  }
}

/** Writes a refusal. */
export function encodeRefusal(refusal: RefusalMessage): Uint8Array {
  return wire.encode({ v: PROTOCOL_VERSION, network: refusal.network, command: commandIdBytes(refusal.command), code: refusal.code })
}

/** Reads a refusal; throws `size`, `encoding` and `shape` faults. */
export function decodeRefusal(bytes: Uint8Array): RefusalMessage {
  const map = wire.fields(wire.decode(bounded(bytes, MAX_REFUSAL_BYTES)), 'refusal')
  if (map['v'] !== PROTOCOL_VERSION) wire.malformed('version')
  return {
    network: wire.label(map['network'], 'network'),
    command: commandFrom(map['command']),
    code: oneOf(REFUSALS, map['code'], 'code')
  }
}

function bounded(bytes: Uint8Array, max: number): Uint8Array {
  if (bytes.byteLength > max) throw new InvalidMessageError('size', `${bytes.byteLength} bytes, at most ${max}`)
  return bytes
}

/** DAG-CBOR has no `undefined`; an optional that is spelled out as such is left out. */
function wireFields(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, item]) => item !== undefined))
}

function pinsetField(pinset: string | undefined): { pinset?: string } {
  return pinset === undefined ? {} : { pinset }
}

function pinsetFrom(map: wire.Fields): { pinset?: string } {
  return map['pinset'] === undefined ? {} : { pinset: wire.label(map['pinset'], 'pinset') }
}

/** Each costs who answers a signature. */
function distinct(commands: readonly CommandId[]): readonly CommandId[] {
  return new Set(commands).size === commands.length ? commands : wire.malformed('commands')
}

function commandFrom(value: unknown): CommandId {
  return commandIdFrom(wire.bytes(value, 'command', { length: 32 }))
}

function oneOf<T extends string>(names: readonly T[], value: unknown, what: string): T {
  return names.find((name) => name === value) ?? wire.malformed(what)
}

function envelopes(value: unknown, what: string): readonly Uint8Array[] {
  return wire.list(value, what, MAX_PAGE_ROWS).map((item) => wire.bytes(item, what, { max: MAX_ENVELOPE_BYTES }))
}

function helloFromWire(map: wire.Fields): HelloPage {
  const { authorised, closed, ages } = map
  const presences = envelopes(map['presences'], 'presences')
  if (authorised !== undefined && typeof authorised !== 'boolean') wire.malformed('authorised')
  return {
    page: 'hello',
    network: wire.label(map['network'], 'network'),
    version: wire.text(map['version'], 'version', VERSION_BYTES),
    ...(authorised === undefined ? {} : { authorised }),
    ...(closed === undefined ? {} : { closed: wire.text(closed, 'closed', REASON_BYTES) }),
    presences,
    ...(ages === undefined ? {} : { ages: agesFromWire(ages, presences.length) })
  }
}

function agesFromWire(value: unknown, length: number): readonly number[] {
  const ages = wire.list(value, 'ages', MAX_PAGE_ROWS).map((item) => wire.uint(item, 'ages'))
  return ages.length === length ? ages : wire.malformed('ages')
}

function statusToWire(row: StatusRow): Record<string, unknown> {
  const { command, ...rest } = row
  return wireFields({ ...rest, command: command === undefined ? undefined : commandIdBytes(command) })
}

function statusFromWire(value: unknown): StatusRow {
  const map = wire.fields(value, 'row')
  const { op, bytes, code, check, command, author, name } = map
  return {
    cid: wire.cid(map['cid'], 'cid'),
    pinset: wire.label(map['pinset'], 'pinset'),
    ...(op === undefined ? {} : { op: oneOf(['pin', 'unpin'], op, 'op') }),
    status: oneOf<Status | 'unowned'>([...STATUSES, 'unowned'], map['status'], 'status'),
    ...(bytes === undefined ? {} : { bytes: wire.uint(bytes, 'bytes') }),
    ...(code === undefined ? {} : { code: oneOf([...FAILURES, ...REFUSALS], code, 'code') }),
    ...(check === undefined ? {} : { check: oneOf(CHECKS, check, 'check') }),
    ...(command === undefined ? {} : { command: commandFrom(command) }),
    ...(author === undefined ? {} : { author: wire.author(author, 'author') }),
    ...(name === undefined ? {} : { name: wire.text(name, 'name', MAX_NAME_BYTES) }),
    at: wire.uint(map['at'], 'at')
  }
}

function pinFromWire(value: unknown): PinRow {
  const map = wire.fields(value, 'row')
  const { name } = map
  return {
    cid: wire.cid(map['cid'], 'cid'),
    pinset: wire.label(map['pinset'], 'pinset'),
    ...(name === undefined ? {} : { name: wire.text(name, 'name', MAX_NAME_BYTES) }),
    author: wire.author(map['author'], 'author'),
    at: wire.uint(map['at'], 'at'),
    status: oneOf(STATUSES, map['status'], 'status')
  }
}
