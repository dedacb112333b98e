/** known_nodes on disk. */
import { MAX_KEY_FILE_BYTES } from '../protocol/limits.ts'
import {
  distrustNodes,
  formatKnownNode,
  meetNode,
  parseKnownNodes,
  parseNodeId,
  type Contact,
  type KnownNodesText
} from '../protocol/known-nodes.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { appendLines } from '../protocol/text-lines.ts'
import { IdentityError } from './errors.ts'
import { readSmallFile, updateFile } from './files.ts'

const HEADER = '# Nodes whose acknowledgements count as replicas, one peer id a line.\n'

/** What the file says; `exists` is whether there is one. */
export interface KnownNodesFile extends KnownNodesText {
  readonly exists: boolean
}

/** Reads known_nodes; a missing file knows none. Throws {@link IdentityError} `unreadable` or `size`. */
export async function readKnownNodes(file: string): Promise<KnownNodesFile> {
  try {
    return { ...parseKnownNodes(await readKnownNodesText(file)), exists: true }
  } catch (err) {
    if (err instanceof IdentityError && err.code === 'missing') return { ...parseKnownNodes(''), exists: false }
    throw err
  }
}

/** The text of the file. Throws {@link IdentityError} `missing`, `unreadable` or `size`. */
export async function readKnownNodesText(file: string): Promise<string> {
  return (await readSmallFile(file, MAX_KEY_FILE_BYTES)).text
}

/**
 * Appends the nodes (id to comment) that the file does not name yet, and returns these; makes the file (0644) when it is
 * missing. Atomic, one program at a time; what stands in it stays. Throws `InvalidTextError` for what is no peer id, {@link IdentityError}.
 */
export async function addKnownNodes(file: string, entries: ReadonlyMap<NodeId, string>): Promise<NodeId[]> {
  const wanted = [...entries].map(([text, comment]) => [parseNodeId(text), comment] as const)
  let added: NodeId[] = []
  await update(file, (old) => {
    const { nodes } = parseKnownNodes(old)
    const fresh = new Map(wanted.filter(([node]) => !nodes.has(node)))
    added = [...fresh.keys()]
    if (added.length === 0) return undefined
    return appendLines(
      old,
      [...fresh].map(([node, comment]) => formatKnownNode(node, comment))
    )
  })
  return added
}

/** Takes the lines of nodes away and notes when; returns those that had one. Throws {@link IdentityError}. */
export async function distrustKnownNodes(file: string, nodes: ReadonlySet<NodeId>, date: string): Promise<NodeId[]> {
  let gone: NodeId[] = []
  await update(file, (old) => {
    const known = parseKnownNodes(old).nodes
    gone = [...nodes].filter((node) => known.has(node))
    return distrustNodes(old, nodes, date)
  })
  return gone
}

/** Writes down who answered at an address, if nobody had before; see {@link meetNode}. Throws {@link IdentityError}. */
export async function addContact(file: string, node: NodeId, address: string, date: string): Promise<Contact> {
  const judge = (text: string): Contact => meetNode(text, node, address, date)
  // Most contacts are known: these write nothing, not even a lock.
  let contact = judge(await readKnownNodesText(file).catch(() => ''))
  if (contact.kind === 'first') {
    await update(file, (old) => {
      contact = judge(old)
      return contact.kind === 'first' ? contact.text : undefined
    })
  }
  return contact
}

async function update(file: string, edit: (old: string) => string | undefined): Promise<void> {
  await updateFile(file, MAX_KEY_FILE_BYTES, 0o644, (old = HEADER) => edit(old))
}
