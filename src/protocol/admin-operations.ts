/** What admins say of keys and nodes: operations of commands without a pinset, and their reading and writing. */
import { parseKeyLine, type KeyLine } from './authorized-keys.ts'
import { commandIdBytes, commandIdFrom, type CommandId } from './envelope.ts'
import { InvalidTextError } from './errors.ts'
import { MAX_KEPT_COMMANDS, MAX_KEY_LINE_BYTES } from './limits.ts'
import { authorFromHash, authorHash, KEY_BLOB_BYTES, nodeIdOf, blobOfNodeId, type Author, type NodeId } from './ssh-key.ts'
import * as wire from './wire.ts'

/** Lets a key in, or changes what it may do. */
export interface AuthorizeOperation {
  readonly op: 'authorize'
  /** A line of authorized_keys: options, key, comment. */
  readonly line: string
  /** The line as read. */
  readonly key: KeyLine
  /** The key takes the signer's place, and may what the signer may: its line has no options. */
  readonly succeeds: boolean
}

/** Ends a key: nothing new of it counts, what it said before still does. */
export interface CloseOperation {
  readonly op: 'close'
  readonly author: Author
  /** Commands without a pinset that the key had signed by then: of its admin operations these alone still count. */
  readonly keeps: readonly CommandId[]
}

/** Voids a key for good: nothing that it ever said counts, nor what it let in. */
export interface RevokeOperation {
  readonly op: 'revoke'
  readonly author: Author
}

/** Makes nodes take another for one of them, or not any more. */
export interface TrustOperation {
  readonly op: 'trust' | 'distrust'
  readonly node: NodeId
}

/** An operation of a command without a pinset. */
export type AdminOperation = AuthorizeOperation | CloseOperation | RevokeOperation | TrustOperation

/** Kinds of {@link AdminOperation}. */
export type AdminKind = AdminOperation['op']

const FIELDS: Readonly<Record<AdminKind, readonly string[]>> = {
  authorize: ['op', 'line', 'succeeds'],
  close: ['op', 'key', 'keeps'],
  revoke: ['op', 'key'],
  trust: ['op', 'node'],
  distrust: ['op', 'node']
}

/** Whether an operation is of a kind that only commands without a pinset have. */
export function isAdminOperation<T extends { readonly op: string }>(operation: T): operation is Extract<T, AdminOperation> {
  return isAdminKind(operation.op)
}

function isAdminKind(kind: string): kind is AdminKind {
  return Object.hasOwn(FIELDS, kind)
}

/** Makes an `authorize`. Throws `InvalidTextError` for a line that lets nobody in, or one with options where the key succeeds the signer. */
export function authorizeOperation(line: string, options: { readonly succeeds?: boolean } = {}): AuthorizeOperation {
  const { succeeds = false } = options
  const key = parseKeyLine(line)
  if (succeeds && key.options !== '')
    throw new InvalidTextError('options', 'a successor may what its predecessor may: its line has no options')
  return { op: 'authorize', line: line.trim(), key, succeeds }
}

/** Writes an operation. */
export function adminToWire(operation: AdminOperation): Record<string, unknown> {
  switch (operation.op) {
    case 'authorize':
      return { op: operation.op, line: operation.line, ...(operation.succeeds ? { succeeds: true } : {}) }
    case 'close':
      return { op: operation.op, key: authorHash(operation.author), keeps: operation.keeps.map(commandIdBytes) }
    case 'revoke':
      return { op: operation.op, key: authorHash(operation.author) }
    case 'trust':
    case 'distrust':
      return { op: operation.op, node: blobOfNodeId(operation.node) }
  }
}

/**
 * Reads an operation; undefined for a kind, a field or a key line that this version does not know, as a later one may.
 * Throws `shape` faults.
 */
export function adminFromWire(kind: string, map: wire.Fields): AdminOperation | undefined {
  if (!isAdminKind(kind) || Object.keys(map).some((name) => !FIELDS[kind].includes(name))) return undefined
  switch (kind) {
    case 'authorize':
      return authorizeFromWire(map)
    case 'close': {
      const keeps = wire.list(map['keeps'], 'keeps', MAX_KEPT_COMMANDS)
      return { op: 'close', author: keyFrom(map), keeps: keeps.map((id) => commandIdFrom(wire.bytes(id, 'keeps', { length: 32 }))) }
    }
    case 'revoke':
      return { op: 'revoke', author: keyFrom(map) }
    case 'trust':
    case 'distrust':
      return { op: kind, node: nodeFrom(wire.bytes(map['node'], 'node', { length: KEY_BLOB_BYTES })) }
  }
}

function authorizeFromWire(map: wire.Fields): AdminOperation | undefined {
  const { succeeds = true } = map
  if (succeeds !== true) wire.malformed('succeeds')
  const line = wire.text(map['line'], 'line', MAX_KEY_LINE_BYTES)
  try {
    return authorizeOperation(line, { succeeds: map['succeeds'] === true })
  } catch (err) {
    if (err instanceof InvalidTextError) return undefined
    throw err
  }
}

function keyFrom(map: wire.Fields): Author {
  return authorFromHash(wire.bytes(map['key'], 'key', { length: 32 }))
}

function nodeFrom(blob: Uint8Array): NodeId {
  try {
    return nodeIdOf(blob)
  } catch {
    return wire.malformed('node')
  }
}
