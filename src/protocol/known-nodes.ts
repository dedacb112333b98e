/** The known_nodes file: one peer id a line, `12D3KooW… [comment]`; `#` begins a comment line. Pure. */
import type { KeyProblem } from './authorized-keys.ts'
import { InvalidTextError } from './errors.ts'
import { MAX_KEY_LINES } from './limits.ts'
import { blobOfNodeId, nodeIdOf, type NodeId } from './ssh-key.ts'

/** Characters of one line: a peer id has 52, and comments are shown in tables. */
const MAX_LINE_CHARS = 1_024

/** What a known_nodes file says. */
export interface KnownNodes {
  /** Node to comment, in file order; the comment may be empty. */
  readonly nodes: ReadonlyMap<NodeId, string>
  /** Lines that name no node; the others hold. A node that stands twice is no problem, its first comment counts. */
  readonly problems: readonly KeyProblem[]
}

/** Reads a whole file. Never throws; lines beyond `MAX_KEY_LINES` are reported and not read. */
export function parseKnownNodes(text: string): KnownNodes {
  const nodes = new Map<NodeId, string>()
  const problems: KeyProblem[] = []
  const lines = text.replace(/^\uFEFF/, '').split('\n', MAX_KEY_LINES + 2)
  if (lines.at(-1) === '') lines.pop()
  for (const [index, line] of lines.slice(0, MAX_KEY_LINES).entries()) {
    const bare = line.slice(0, MAX_LINE_CHARS).trim()
    if (bare === '' || bare.startsWith('#')) continue
    const [id = '', ...words] = bare.split(/[ \t]+/)
    try {
      const node = parseNodeId(id)
      if (!nodes.has(node)) nodes.set(node, cleanComment(words.join(' ')))
    } catch (err) {
      if (!(err instanceof InvalidTextError)) throw err
      problems.push({ line: index + 1, message: err.message })
    }
  }
  if (lines.length > MAX_KEY_LINES)
    problems.push({ line: MAX_KEY_LINES + 1, message: `more than ${MAX_KEY_LINES} lines: the rest is not read` })
  return { nodes, problems }
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

function cleanComment(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '\uFFFD').trim()
}
