/** Writes all that a node was told as one file, from which a network can be built anew. */
import { createHash } from 'node:crypto'
import { readAuthorizedKeysText } from '../identity/authorized-keys-file.ts'
import { IdentityError } from '../identity/errors.ts'
import { readKnownNodes } from '../identity/known-nodes-file.ts'
import { parseAuthorizedKeys, type KeyProblem } from '../protocol/authorized-keys.ts'
import type { Clock } from '../protocol/clock.ts'
import { formatStateLine, type StateLine } from '../protocol/state-lines.ts'
import { openStateReader } from '../storage/state-reader.ts'

/** Characters that are handed on at a time; bounds the memory that an export takes. */
const PIECE = 64 * 1024

/** What is exported; all paths are absolute. */
export interface StateExportOptions {
  readonly network: string
  readonly files: { readonly stateDb: string; readonly authorizedKeys: string; readonly knownNodes: string }
  /** Key lines that count besides the file. */
  readonly authorize: readonly string[]
}

/** An export that has begun: it shows the store as it was then. */
export interface StateExport extends Disposable {
  /** The file in pieces of whole lines, once; read from the store as they are taken. */
  readonly text: Iterable<string>
  /** Lines of authorized_keys that grant nothing, and are left out. */
  readonly problems: readonly KeyProblem[]
  /** Keys, known nodes and commands in the pieces taken so far. */
  counts(): { readonly keys: number; readonly nodes: number; readonly commands: number }
}

/**
 * Begins an export of a node's home, beside a running agent or without one. A home without an authorized_keys file lets nobody
 * command: all keys that it knew are closed in the file. Throws `StorageError`, and {@link IdentityError} for files that cannot be used.
 */
export async function openStateExport(options: StateExportOptions, { clock }: { readonly clock: Clock }): Promise<StateExport> {
  const { network, files, authorize } = options
  const own = await ownKeys(files.authorizedKeys)
  const { nodes } = await readKnownNodes(files.knownNodes)
  // As agents do it: of a key that stands twice the first good line counts, and the file may revoke what is added to it.
  const all = [...own.split('\n'), ...authorize]
  const keys = parseAuthorizedKeys(all.join('\n'))
  const problems = parseAuthorizedKeys(own).problems
  const state = openStateReader(files.stateDb)
  const now = clock.now()
  const counts = { keys: 0, nodes: 0, commands: 0 }

  function* lines(): Generator<StateLine> {
    yield { kind: 'head', network, exportedAt: now }
    for (const [author, number] of [...keys.lines].toSorted(([, a], [, b]) => a - b)) {
      counts.keys++
      yield { kind: 'key', line: (all[number - 1] as string).trim(), author, isRevoked: keys.revoked.has(author) }
    }
    for (const [author, { grant, closedAt = now, voided }] of state.filed()) {
      if (keys.grants.has(author)) continue
      yield { kind: 'closed', standing: { grant, closedAt, voided: voided || keys.revoked.has(author) } }
    }
    for (const [node, comment] of nodes) {
      counts.nodes++
      yield { kind: 'node', node, comment }
    }
    for (const command of state.commands()) {
      counts.commands++
      yield { kind: 'command', ...command }
    }
  }

  function* text(): Generator<string> {
    const hash = createHash('sha256')
    let piece = ''
    for (const line of lines()) {
      piece += `${formatStateLine(line)}\n`
      if (piece.length < PIECE) continue
      hash.update(piece)
      yield piece
      piece = ''
    }
    const end = formatStateLine({ kind: 'end', commands: counts.commands, hash: hash.update(piece).digest('hex') })
    yield `${piece}${end}\n`
  }

  return { text: text(), problems, counts: () => counts, [Symbol.dispose]: () => state[Symbol.dispose]() }
}

async function ownKeys(file: string): Promise<string> {
  try {
    return (await readAuthorizedKeysText(file)).replace(/^\uFEFF/, '')
  } catch (err) {
    if (err instanceof IdentityError && (err.code === 'missing' || err.code === 'empty')) return ''
    throw err
  }
}
