/** What a node answers: the state of every operation of one command, whole, under a growing sequence. */
import { commandIdBytes, commandIdFrom, type CommandId, type Envelope, type Verified } from './envelope.ts'
import { PROTOCOL_VERSION } from './version.ts'
import { InvalidMessageError } from './errors.ts'
import { MAX_ENVELOPE_BYTES, MAX_HELD_BY, MAX_OPERATIONS } from './limits.ts'
import { nodeIdOf, type NodeId } from './ssh-key.ts'
import * as wire from './wire.ts'

/** Why a node will not do an operation. The last three are told to the publisher alone, as nothing was stored. */
export type RefusalCode = 'operation' | 'pinset' | 'quota' | 'size' | 'unsupported' | 'expired' | 'skew' | 'unauthorised'

/** Why a try failed; another follows. */
export type FailureCode = 'unavailable' | 'timeout' | 'not-found' | 'no-space' | 'too-large' | 'invalid' | 'failed'

/** How far a node has come with one operation. */
export type OperationState =
  | { readonly status: 'accepted' | 'queued' }
  /** An admin operation is in force. */
  | { readonly status: 'applied' }
  /** Bytes fetched so far. */
  | { readonly status: 'pinning'; readonly bytes: number }
  /** Bytes held; 0 where the backend does not tell. */
  | { readonly status: 'pinned'; readonly bytes: number }
  /** Pinsets that still hold the CID on this node. */
  | { readonly status: 'unpinned'; readonly heldBy: readonly string[] }
  /** The command that decided instead. */
  | { readonly status: 'superseded'; readonly by: CommandId }
  /** `next` is when it will be tried again, milliseconds since the epoch. */
  | { readonly status: 'failed'; readonly code: FailureCode; readonly attempt: number; readonly next: number }
  | { readonly status: 'refused'; readonly code: RefusalCode }

/** The name of a state. */
export type Status = OperationState['status']

/** States in which an operation stays until another command says something: PROTOCOL.md section 5. */
export const FINAL_STATUSES: ReadonlySet<Status> = new Set(['pinned', 'unpinned', 'superseded', 'refused', 'applied'])

/** One node's answer to one command. The higher `sequence` of a node and command replaces the lower. */
export interface Ack {
  readonly node: NodeId
  readonly command: CommandId
  readonly sequence: number
  /** The node's clock when it signed, milliseconds since the epoch. */
  readonly time: number
  /** One for each operation, in the command's order. */
  readonly states: readonly OperationState[]
}

/** Every {@link Status}; its place is its number on the wire. */
export const STATUSES = ['accepted', 'queued', 'pinning', 'pinned', 'unpinned', 'superseded', 'failed', 'refused', 'applied'] as const
/** Every {@link FailureCode}; its place is its number on the wire. */
export const FAILURES = ['unavailable', 'timeout', 'not-found', 'no-space', 'too-large', 'invalid', 'failed'] as const
/** Every {@link RefusalCode}; its place is its number on the wire. */
export const REFUSALS = ['operation', 'pinset', 'quota', 'size', 'unsupported', 'expired', 'skew', 'unauthorised'] as const

/** What the envelope adds to an ack's payload: keys, kind, signer and signature; 169 bytes, rounded up. */
const FRAME_BYTES = 256

/** Writes the payload of an ack; equal neighbours become one run. Where it would not travel otherwise, no `heldBy` is told. */
export function encodeAck(network: string, ack: Omit<Ack, 'node'>): Uint8Array {
  const payload = encodeStates(network, ack)
  if (payload.byteLength <= MAX_ENVELOPE_BYTES - FRAME_BYTES) return payload
  const states = ack.states.map((state) => (state.status === 'unpinned' ? { ...state, heldBy: [] } : state))
  return encodeStates(network, { ...ack, states })
}

function encodeStates(network: string, ack: Omit<Ack, 'node'>): Uint8Array {
  const runs: unknown[][] = []
  let last = ''
  for (const state of ack.states) {
    const item = stateToWire(state)
    const name = item.map((part) => (part instanceof Uint8Array ? commandIdFrom(part) : String(part))).join(' ')
    const run = runs.at(-1)
    if (run !== undefined && name === last) run[0] = (run[0] as number) + 1
    else runs.push([1, ...item])
    last = name
  }
  return wire.encode({
    v: PROTOCOL_VERSION,
    network,
    command: commandIdBytes(ack.command),
    seq: ack.sequence,
    time: ack.time,
    states: runs
  })
}

/** Reads a verified ack of this network; throws `encoding`, `shape` or `network` faults. The node is who signed. */
export function decodeAck(envelope: Verified<Envelope>, network: string): Ack {
  const map = wire.fields(wire.decode(envelope.payload), 'payload')
  if (envelope.kind !== 'ack' || map['v'] !== PROTOCOL_VERSION) wire.malformed('version')
  if (wire.label(map['network'], 'network') !== network) throw new InvalidMessageError('network', 'of another network')
  const states: OperationState[] = []
  for (const item of wire.list(map['states'], 'states', MAX_OPERATIONS)) {
    const [count, ...rest] = wire.list(item, 'state', 5)
    const state = stateFromWire(rest)
    const times = wire.uint(count, 'count', MAX_OPERATIONS - states.length)
    if (times === 0) wire.malformed('count')
    for (let i = 0; i < times; i++) states.push(state)
  }
  return {
    node: nodeIdOf(envelope.signer),
    command: commandIdFrom(wire.bytes(map['command'], 'command', { length: 32 })),
    sequence: wire.uint(map['seq'], 'seq'),
    time: wire.uint(map['time'], 'time'),
    states
  }
}

/** A state as listings and events tell it: `bytes` only where they are known. */
export function flatState(state: OperationState): {
  readonly status: Status
  readonly code?: FailureCode | RefusalCode
  readonly bytes?: number
} {
  return {
    status: state.status,
    ...('code' in state ? { code: state.code } : {}),
    ...('bytes' in state && state.bytes > 0 ? { bytes: state.bytes } : {})
  }
}

function stateToWire(state: OperationState): unknown[] {
  const code = STATUSES.indexOf(state.status)
  switch (state.status) {
    case 'accepted':
    case 'queued':
    case 'applied':
      return [code]
    case 'pinning':
    case 'pinned':
      return [code, state.bytes]
    case 'unpinned':
      return [code, ...(state.heldBy.length === 0 ? [] : [state.heldBy.slice(0, MAX_HELD_BY)])]
    case 'superseded':
      return [code, commandIdBytes(state.by)]
    case 'failed':
      return [code, FAILURES.indexOf(state.code), state.attempt, state.next]
    case 'refused':
      return [code, REFUSALS.indexOf(state.code)]
  }
}

function stateFromWire([code, ...rest]: readonly unknown[]): OperationState {
  const status = STATUSES[wire.uint(code, 'status', STATUSES.length - 1)] as Status
  const [a, b, c] = rest
  switch (status) {
    case 'accepted':
    case 'queued':
    case 'applied':
      return { status }
    case 'pinning':
    case 'pinned':
      return { status, bytes: wire.uint(a, 'bytes') }
    case 'unpinned':
      return { status, heldBy: a === undefined ? [] : wire.list(a, 'pinsets', MAX_HELD_BY).map((item) => wire.label(item, 'pinset')) }
    case 'superseded':
      return { status, by: commandIdFrom(wire.bytes(a, 'command', { length: 32 })) }
    case 'failed':
      return { status, code: oneOf(FAILURES, a), attempt: wire.uint(b, 'attempt'), next: wire.uint(c, 'next') }
    case 'refused':
      return { status, code: oneOf(REFUSALS, a) }
  }
}

function oneOf<T>(names: readonly T[], value: unknown): T {
  return names[wire.uint(value, 'code', names.length - 1)] as T
}
