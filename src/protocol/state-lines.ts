/**
 * The lines of a state file: all that a node was told, one flat JSON object a line, each readable by itself. Pure;
 * docs/OPERATIONS.md "The state file" describes the format.
 */
import { parseAuthorizedKeys } from './authorized-keys.ts'
import { commandId, openEnvelope, type CommandId } from './envelope.ts'
import { InvalidMessageError, InvalidTextError } from './errors.ts'
import type { Grant } from './grants.ts'
import { formatOptions, parseKeyOptions } from './key-options.ts'
import { formatKnownNode, parseKnownNodes } from './known-nodes.ts'
import { isoTime, readBase64, readHash, readJson, readTime, toBase64 } from './line-fields.ts'
import { MAX_ENVELOPE_BYTES, MAX_STATE_LINE_BYTES } from './limits.ts'
import type { Author, NodeId } from './ssh-key.ts'
import type { Standing } from './wish.ts'
import * as wire from './wire.ts'

/** Version of the format that this code writes and the only one it reads. */
const STATE_VERSION = 1

/** Characters of a comment, as in authorized_keys. */
const MAX_COMMENT_CHARS = 255

/** The first line: what the file is. */
export interface StateHead {
  readonly kind: 'head'
  readonly network: string
  /** Milliseconds since the epoch. */
  readonly exportedAt: number
}

/** A good line of authorized_keys, as it stands there. */
export interface StateKey {
  readonly kind: 'key'
  readonly line: string
  readonly author: Author
  /** Behind `@revoked`. */
  readonly isRevoked: boolean
}

/** A key whose line is gone: what it said in its time may still count. */
export interface StateClosedKey {
  readonly kind: 'closed'
  readonly standing: Standing & { readonly closedAt: number }
}

/** A line of known_nodes. */
export interface StateNode {
  readonly kind: 'node'
  readonly node: NodeId
  readonly comment: string
}

/** A command that holds a register; its signature is not looked at here. */
export interface StateCommand {
  readonly kind: 'command'
  readonly id: CommandId
  readonly author: Author
  /** When it was first accepted, milliseconds since the epoch. */
  readonly acceptedAt: number
  readonly envelope: Uint8Array
}

/** The last line: a file without it was cut. */
export interface StateEnd {
  readonly kind: 'end'
  /** Command lines before it. */
  readonly commands: number
  /** SHA-256 over all lines before it, each with its line feed; hex. */
  readonly hash: string
}

/** One line. */
export type StateLine = StateHead | StateKey | StateClosedKey | StateNode | StateCommand | StateEnd

/** Fields of each kind, all of them needed and no others; the first one tells the kinds apart. */
const FIELDS = [
  ['pinsub', 'version', 'network', 'exported'],
  ['authorized_key'],
  ['closed_key', 'options', 'comment', 'closed', 'revoked'],
  ['known_node'],
  ['command', 'author', 'accepted', 'envelope'],
  ['end', 'commands', 'sha256']
] as const

/** Writes a line, without its end. */
export function formatStateLine(line: StateLine): string {
  return JSON.stringify(toFields(line))
}

/**
 * Reads a line, without its end. Throws {@link InvalidMessageError}: `size` above `MAX_STATE_LINE_BYTES`, `encoding` for what is no
 * JSON in UTF-8, `shape` for other fields or values, and for a command whose envelope is not what the line says; the faults of
 * {@link openEnvelope} besides.
 */
export function parseStateLine(bytes: Uint8Array): StateLine {
  if (bytes.byteLength > MAX_STATE_LINE_BYTES) throw new InvalidMessageError('size', `longer than ${MAX_STATE_LINE_BYTES} bytes`)
  const map = wire.fields(readJson(bytes).value, 'line: an object was expected')
  const names = FIELDS.find(([mark]) => Object.hasOwn(map, mark))
  if (names === undefined) throw new InvalidMessageError('shape', 'not a line of a state file')
  const [mark] = names
  if (mark === 'pinsub') requireVersion(map)
  const given = Object.keys(map)
  if (given.length !== names.length || !names.every((name) => given.includes(name)))
    throw new InvalidMessageError('shape', `${names.join(', ')} were expected, and nothing else`)
  switch (mark) {
    case 'pinsub':
      return { kind: 'head', network: wire.label(map['network'], 'network'), exportedAt: readTime(map['exported'], 'exported') }
    case 'authorized_key':
      return keyFrom(oneLine(map['authorized_key'], 'authorized_key'))
    case 'closed_key':
      return closedFrom(map)
    case 'known_node':
      return nodeFrom(oneLine(map['known_node'], 'known_node'))
    case 'command':
      return commandFrom(map)
    case 'end':
      if (map['end'] !== true) wire.malformed('end')
      return { kind: 'end', commands: wire.uint(map['commands'], 'commands'), hash: readHash(map['sha256'], 'sha256') }
  }
}

function toFields(line: StateLine): Record<string, unknown> {
  switch (line.kind) {
    case 'head':
      return { pinsub: 'state', version: STATE_VERSION, network: line.network, exported: isoTime(line.exportedAt) }
    case 'key':
      return { authorized_key: line.line }
    case 'closed': {
      const { grant, closedAt, voided } = line.standing
      return { closed_key: grant.author, options: formatOptions(grant), comment: grant.comment, closed: isoTime(closedAt), revoked: voided }
    }
    case 'node':
      return { known_node: formatKnownNode(line.node, line.comment) }
    case 'command': {
      const { id, author, acceptedAt, envelope } = line
      return { command: id, author, accepted: isoTime(acceptedAt), envelope: toBase64(envelope) }
    }
    case 'end':
      return { end: true, commands: line.commands, sha256: line.hash }
  }
}

function requireVersion(map: wire.Fields): void {
  if (map['pinsub'] !== 'state') wire.malformed('pinsub: "state" was expected')
  const version = wire.uint(map['version'], 'version')
  if (version !== STATE_VERSION)
    throw new InvalidMessageError(
      'shape',
      `version ${version} of the format, and this pinsub reads version ${STATE_VERSION}: update pinsub`
    )
}

function keyFrom(line: string): StateKey {
  const { grants, revoked, problems } = parseAuthorizedKeys(line)
  const [author] = [...grants.keys(), ...revoked]
  if (author === undefined) throw new InvalidMessageError('shape', problems[0]?.message ?? 'a line that names no key that can command')
  return { kind: 'key', line, author, isRevoked: revoked.has(author) }
}

function closedFrom(map: wire.Fields): StateClosedKey {
  const { closed_key: key, options, comment, closed, revoked } = map
  if (typeof revoked !== 'boolean') wire.malformed('revoked')
  if (typeof comment !== 'string' || comment.length > MAX_COMMENT_CHARS || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(comment))
    wire.malformed('comment')
  if (typeof options !== 'string') wire.malformed('options')
  const author = wire.author(key, 'closed_key')
  const { rights = ['pin', 'unpin'], ...limits } = readOptions(options)
  const grant: Grant = { author, comment, rights, ...limits }
  return { kind: 'closed', standing: { grant, closedAt: readTime(closed, 'closed'), voided: revoked } }
}

function nodeFrom(line: string): StateNode {
  const { nodes, problems } = parseKnownNodes(line)
  const [found] = nodes
  if (found === undefined) throw new InvalidMessageError('shape', problems[0]?.message ?? 'a line that names no node')
  const [node, comment] = found
  return { kind: 'node', node, comment }
}

function commandFrom(map: wire.Fields): StateCommand {
  const id = readHash(map['command'], 'command')
  const author = wire.author(map['author'], 'author')
  const acceptedAt = readTime(map['accepted'], 'accepted')
  const envelope = readBase64(map['envelope'], 'envelope', MAX_ENVELOPE_BYTES)
  const opened = openEnvelope(envelope)
  if (opened.kind !== 'command') throw new InvalidMessageError('shape', 'the envelope holds no command')
  if (opened.author !== author) throw new InvalidMessageError('shape', 'the envelope is of another author')
  if (commandId(opened.payload) !== id) throw new InvalidMessageError('shape', 'the envelope holds another command')
  return { kind: 'command', id, author, acceptedAt, envelope }
}

function readOptions(text: string): ReturnType<typeof parseKeyOptions> {
  try {
    return parseKeyOptions(text)
  } catch (err) {
    if (!(err instanceof InvalidTextError)) throw err
    throw new InvalidMessageError('shape', err.message)
  }
}

/** Text that becomes a line of a file: a line end in it would make two. */
function oneLine(value: unknown, what: string): string {
  return typeof value === 'string' && !/[\0\n]/.test(value) ? value : wire.malformed(what)
}
