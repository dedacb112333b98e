/**
 * The known_nodes file: one peer id a line, `12D3KooW… [comment]`; `#` begins a comment line. Two kinds of comment mean something:
 * `12D3KooW… first contact 2026-11-28 203.0.113.1:4101` says who answered there first, `# distrusted 2026-11-28 12D3KooW…` that
 * a first contact shall not let that node in again. Pure.
 */
import type { KeyProblem } from './authorized-keys.ts'
import { InvalidTextError } from './errors.ts'
import { MAX_KEY_LINES } from './limits.ts'
import { blobOfNodeId, nodeIdOf, type NodeId } from './ssh-key.ts'
import { appendLines, splitLines } from './text-lines.ts'

/** Characters of one line: a peer id has 52, and comments are shown in tables. */
const MAX_LINE_CHARS = 1_024

/** What a known_nodes file says. */
export interface KnownNodesText {
  /** Node to comment, in file order; the comment may be empty. */
  readonly nodes: ReadonlyMap<NodeId, string>
  /** Who answered first at an address (`203.0.113.1:4101`). */
  readonly contacts: ReadonlyMap<string, NodeId>
  /** Nodes that were distrusted, and stand in no line since. */
  readonly distrusted: ReadonlySet<NodeId>
  /** Lines that name no node; the others hold. A node that stands twice is no problem, its first comment counts. */
  readonly problems: readonly KeyProblem[]
}

const CONTACT = /^first contact \d{4}-\d\d-\d\d (\S+)$/
const DISTRUSTED = /^# *distrusted \d{4}-\d\d-\d\d (\S+)/

/** Reads a whole file. Never throws; lines beyond `MAX_KEY_LINES` are reported and not read. */
export function parseKnownNodes(text: string): KnownNodesText {
  const nodes = new Map<NodeId, string>()
  const contacts = new Map<string, NodeId>()
  const distrusted = new Set<NodeId>()
  const problems: KeyProblem[] = []
  const { lines } = splitLines(text)
  for (const [index, line] of lines.slice(0, MAX_KEY_LINES).entries()) {
    const gone = DISTRUSTED.exec(line.slice(0, MAX_LINE_CHARS))?.[1]
    if (gone !== undefined) distrusted.add(gone)
    try {
      const found = nodeInLine(line)
      if (found === undefined) continue
      const { node, comment } = found
      if (!nodes.has(node)) nodes.set(node, comment)
      const address = CONTACT.exec(comment)?.[1]
      if (address !== undefined && !contacts.has(address)) contacts.set(address, node)
    } catch (err) {
      if (!(err instanceof InvalidTextError)) throw err
      problems.push({ line: index + 1, message: err.message })
    }
  }
  if (lines.length > MAX_KEY_LINES)
    problems.push({ line: MAX_KEY_LINES + 1, message: `more than ${MAX_KEY_LINES} lines: the rest is not read` })
  return { nodes, contacts, distrusted: new Set([...distrusted].filter((node) => !nodes.has(node))), problems }
}

/** A node id as people write it, in its usual form; throws {@link InvalidTextError} `key`. */
export function parseNodeId(text: string): NodeId {
  if (text.length > 128) throw new InvalidTextError('key', `"${text.slice(0, 20)}…" is not a peer id (12D3KooW…)`)
  return nodeIdOf(blobOfNodeId(text))
}

/** One line of the file, without its end. */
export function formatKnownNode(node: NodeId, comment: string): string {
  return `${node} ${cleanComment(comment)}`.trim()
}

/** What becomes of an address at which a node answered. */
export type Contact =
  /** Nobody had answered there before: the file afterwards trusts the node. */
  | { readonly kind: 'first'; readonly text: string }
  /** As the file has it. */
  | { readonly kind: 'known' }
  /** Another node answered there first, `was`, and the file does not name this one. */
  | { readonly kind: 'changed'; readonly was: NodeId }
  /** The node was distrusted. */
  | { readonly kind: 'distrusted' }

/** Judges a contact, as ssh does a host key: the first that answers at an address is believed, another one never. */
export function meetNode(text: string, node: NodeId, address: string, date: string): Contact {
  const { nodes, contacts, distrusted } = parseKnownNodes(text)
  const was = contacts.get(address)
  if (distrusted.has(node)) return { kind: 'distrusted' }
  if (was !== undefined) return was === node || nodes.has(node) ? { kind: 'known' } : { kind: 'changed', was }
  // Also for a node that is known already: its address shall not pass to another.
  return { kind: 'first', text: appendLines(text, [formatKnownNode(node, `first contact ${date} ${address}`)]) }
}

/** The file without the lines of nodes, and with a note that they were distrusted; undefined where they are so already. */
export function distrustNodes(text: string, nodes: ReadonlySet<NodeId>, date: string): string | undefined {
  const known = parseKnownNodes(text)
  const due = [...nodes].filter((node) => known.nodes.has(node) || !known.distrusted.has(node))
  if (due.length === 0) return undefined
  const { mark, lines } = splitLines(text)
  const kept = lines.filter((line) => {
    const node = nodeInLineOrNone(line)
    return node === undefined || !nodes.has(node)
  })
  return appendLines(
    mark + kept.join(''),
    due.map((node) => `# distrusted ${date} ${formatKnownNode(node, known.nodes.get(node) ?? '')}`)
  )
}

/** Undefined for blank lines and comments; throws {@link InvalidTextError} `key`. */
function nodeInLine(line: string): { readonly node: NodeId; readonly comment: string } | undefined {
  const bare = line.slice(0, MAX_LINE_CHARS).trim()
  if (bare === '' || bare.startsWith('#')) return undefined
  const [id = '', ...words] = bare.split(/[ \t]+/)
  return { node: parseNodeId(id), comment: cleanComment(words.join(' ')) }
}

function nodeInLineOrNone(line: string): NodeId | undefined {
  try {
    return nodeInLine(line)?.node
  } catch (err) {
    if (err instanceof InvalidTextError) return undefined
    throw err
  }
}

function cleanComment(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD').trim()
}
