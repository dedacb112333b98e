/** known_nodes on disk. */
import { MAX_KEY_FILE_BYTES } from '../protocol/limits.ts'
import { formatKnownNode, parseKnownNodes, parseNodeId, type KnownNodes } from '../protocol/known-nodes.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { IdentityError } from './errors.ts'
import { readSmallFile, updateFile } from './files.ts'

const HEADER = '# Nodes whose acknowledgements count as replicas, one peer id a line.\n'

/** Reads known_nodes; a missing file knows none. Throws {@link IdentityError} `unreadable` or `size`. */
export async function readKnownNodes(file: string): Promise<KnownNodes> {
  try {
    const { text } = await readSmallFile(file, MAX_KEY_FILE_BYTES)
    return parseKnownNodes(text)
  } catch (err) {
    if (err instanceof IdentityError && err.code === 'missing') return parseKnownNodes('')
    throw err
  }
}

/**
 * Appends the nodes (id to comment) that the file does not name yet, and returns these; makes the file (0644) when it is
 * missing. Atomic, one program at a time; what stands in it stays. Throws `InvalidTextError` for what is no peer id, {@link IdentityError}.
 */
export async function addKnownNodes(file: string, entries: ReadonlyMap<NodeId, string>): Promise<NodeId[]> {
  const wanted = [...entries].map(([text, comment]) => [parseNodeId(text), comment] as const)
  let added: NodeId[] = []
  await updateFile(file, MAX_KEY_FILE_BYTES, 0o644, (old = HEADER) => {
    const { nodes } = parseKnownNodes(old)
    const fresh = new Map(wanted.filter(([node]) => !nodes.has(node)))
    added = [...fresh.keys()]
    if (added.length === 0) return undefined
    const lines = [...fresh].map(([node, comment]) => `${formatKnownNode(node, comment)}\n`)
    return `${old}${old === '' || old.endsWith('\n') ? '' : '\n'}${lines.join('')}`
  })
  return added
}
