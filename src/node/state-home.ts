/** The home that a state file is taken into: its keys, its lock, and the door through which commands come in. */
import { dirname } from 'node:path'
import { MADE_BY_PINSUB, readAuthorizedKeysText } from '../identity/authorized-keys-file.ts'
import { IdentityError } from '../identity/errors.ts'
import { createFile } from '../identity/files.ts'
import { exists, makeFolder } from '../identity/folders.ts'
import { addKnownNodes } from '../identity/known-nodes-file.ts'
import { parseAuthorizedKeys } from '../protocol/authorized-keys.ts'
import type { Clock } from '../protocol/clock.ts'
import type { Grant } from '../protocol/grants.ts'
import { MAX_AHEAD_MS, MAX_KEY_FILE_BYTES, MAX_KEY_LINES } from '../protocol/limits.ts'
import type { Author, NodeId } from '../protocol/ssh-key.ts'
import type { StateClosedKey, StateKey, StateNode } from '../protocol/state-lines.ts'
import { lockHome } from '../storage/lock.ts'
import { openNodeStore } from '../storage/node-store.ts'
import { createAdmission, type Admission } from './admission.ts'
import { createCaps } from './caps.ts'
import { createRecorder } from './record.ts'
import { openCommandSets } from './sets.ts'
import { createSettler, type Changes } from './settle.ts'
import { openStandings, type Standings, type StandingsPorts } from './standings.ts'
import type { Store } from './store.ts'

const HEADER = `${MADE_BY_PINSUB} from a state file: who may command this node, one OpenSSH key a line. Edit it freely.\n`

/** What a state file says of a key. */
export type KeyWord = { readonly line: string } | 'closed' | 'revoked'

/** What a state file says of keys and nodes. */
export interface Keyring {
  /** Takes a line; returns why not. */
  add(line: StateKey | StateClosedKey | StateNode): string | undefined
  of(author: Author): KeyWord | undefined
  /** The key lines as a file, in their order. */
  text(): string
  readonly closed: ReadonlyMap<Author, StateClosedKey['standing']>
  readonly nodes: ReadonlyMap<NodeId, string>
}

/** Makes an empty one; it takes as much as fits the files that agents read, and no key that was closed after `now`. */
export function createKeyring(now: number): Keyring {
  const keys = new Map<Author, StateKey>()
  const closed = new Map<Author, StateClosedKey['standing']>()
  const nodes = new Map<NodeId, string>()
  let bytes = Buffer.byteLength(HEADER)
  return {
    add(line) {
      // One line is the head of the file.
      if ([keys, closed, nodes].some(({ size }) => size >= MAX_KEY_LINES - 1)) return `more than ${MAX_KEY_LINES - 1} of them`
      switch (line.kind) {
        case 'key': {
          const size = Buffer.byteLength(line.line) + 1
          if (bytes + size > MAX_KEY_FILE_BYTES) return `more than ${MAX_KEY_FILE_BYTES} bytes of keys`
          const before = keys.get(line.author)
          // `@revoked` beats any line, wherever it stands.
          if (before !== undefined && (before.isRevoked || !line.isRevoked)) return 'this key again: the first line counts'
          bytes += size
          keys.set(line.author, line)
          return undefined
        }
        case 'closed': {
          const { standing } = line
          // The clocks of two machines differ a little.
          if (standing.closedAt > now + MAX_AHEAD_MS) return 'closed in the future'
          if (closed.has(standing.grant.author)) return 'this key again: the first line counts'
          closed.set(standing.grant.author, { ...standing, closedAt: Math.min(standing.closedAt, now) })
          return undefined
        }
        case 'node':
          nodes.set(line.node, line.comment)
          return undefined
      }
    },
    of(author) {
      const key = keys.get(author)
      if (key !== undefined) return key.isRevoked ? 'revoked' : key
      return closed.has(author) ? 'closed' : undefined
    },
    text: () => [...keys.values()].map(({ line }) => `${line}\n`).join(''),
    closed,
    nodes
  }
}

/** Commands taken in one transaction: nobody else waits for the store, and each costs a sync of the disk. */
export const IMPORT_BATCH = 1_000

/** Where it is; all paths are absolute. */
export interface HomeOptions {
  readonly network: string
  readonly files: { readonly stateDb: string; readonly lock: string; readonly authorizedKeys: string; readonly knownNodes: string }
  /** Whether authorized_keys may be made where it is missing; else that is an error. */
  readonly makesKeys: boolean
  /** Key lines that count besides the file. */
  readonly authorize: readonly string[]
}

/** A home that is locked and ready to take commands. */
export interface OpenHome extends Disposable {
  readonly store: Store
  readonly standings: Standings
  readonly admission: Admission
  /** Resolves once all that was taken so far is acted on. */
  settled(): Promise<void>
  /** Keys that may command because the keyring says so; undefined where the home has a file of its own. */
  granted(): readonly Grant[] | undefined
  /** Nodes that count because the keyring says so. */
  readonly trusted: number
}

/**
 * Opens the home: one without authorized_keys gets that file and the closed keys from the keyring, one without known_nodes gets
 * these. `begin` is called once it is locked, before anything is written. Throws `LockError` while an agent runs, `StorageError`,
 * {@link IdentityError}, and what `begin` throws.
 */
export async function openHome(
  found: Keyring,
  options: HomeOptions,
  { clock, begin }: { readonly clock: Clock; begin(): Promise<void> }
): Promise<OpenHome> {
  const { network, files, authorize } = options
  const undo = new DisposableStack()
  try {
    await makeFolder(dirname(files.lock))
    const lock = await lockHome(files.lock)
    undo.defer(() => lock.release())
    const isOwn = !options.makesKeys || (await exists(files.authorizedKeys))
    const text = isOwn ? await ownKeys(files.authorizedKeys) : found.text()
    const store: Store = openNodeStore(files.stateDb)
    undo.defer(() => store.close())
    await begin()
    if (!isOwn) {
      // Before the file, which from then on is the home's own: whoever tries again after a crash still gets them.
      const known = store.filed()
      store.transaction(() => found.closed.forEach((standing, author) => known.has(author) || store.putFiled(author, standing)))
      if (text !== '') await createFile(files.authorizedKeys, HEADER + text, 0o600)
    }
    const trusted = found.nodes.size > 0 && !(await exists(files.knownNodes)) ? await addKnownNodes(files.knownNodes, found.nodes) : []

    const standings = openStandings(store, { network })
    const caps = createCaps(store, standings.get)
    const settler = createSettler({ store, standing: standings.get, caps })
    const sets = openCommandSets(store)
    const settlePorts = (): StandingsPorts => ({ settler, now: clock.now(), onChanges: (changes) => sets.apply(changes.sets) })
    let settled: Promise<void> = Promise.resolve()
    const onChanges = (changes: Changes): void => {
      sets.apply(changes.sets)
      if (changes.admin.length > 0) settled = Promise.all([settled, standings.hear(changes.admin, settlePorts()).settled]).then(() => {})
    }
    await standings.apply(parseAuthorizedKeys([text, ...authorize].join('\n')), settlePorts())
    const knows = (id: string): boolean => store.command(id) !== undefined
    const record = createRecorder(store, settler)
    const admission = createAdmission({ network, batch: IMPORT_BATCH }, { store, record, standings, sets, clock, knows, onChanges })
    const done = undo.move()
    return {
      store,
      standings,
      admission,
      settled: () => settled,
      granted: () => (isOwn ? undefined : standings.open()),
      trusted: trusted.length,
      [Symbol.dispose]: () => done.dispose()
    }
  } catch (err) {
    undo.dispose()
    throw err
  }
}

async function ownKeys(file: string): Promise<string> {
  try {
    return await readAuthorizedKeysText(file)
  } catch (err) {
    if (err instanceof IdentityError && err.code === 'empty') return ''
    throw err
  }
}
