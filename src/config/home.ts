/** Where everything lies that pinsub keeps on a machine. */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { ConfigError } from './errors.ts'

/** The files of a home; none of them need exist. */
export interface Home {
  readonly dir: string
  /** Settings, flat JSON. */
  readonly config: string
  /** The author's private key; its public half lies beside it with `.pub`. */
  readonly key: string
  /** Who may command this node. */
  readonly authorizedKeys: string
  /** Whose acknowledgements count. */
  readonly knownNodes: string
  /** The agent's own folder. */
  readonly nodeDir: string
  /** The agent's libp2p key. */
  readonly hostKey: string
  readonly stateDb: string
  /** Blocks of the embedded backend, a folder. */
  readonly blocks: string
  /** Reference counts of the embedded backend. */
  readonly blocksDb: string
  /** Held by the one agent that runs in this home. */
  readonly lock: string
  /** The sender's own folder. */
  readonly senderDir: string
  /** What was sent from here. */
  readonly ledger: string
}

/** The layout of the home in `dir` (made absolute). Touches no disk. */
export function homeLayout(dir: string): Home {
  const root = resolve(dir)
  const nodeDir = join(root, 'node')
  const senderDir = join(root, 'sender')
  return Object.freeze({
    dir: root,
    config: join(root, 'config.json'),
    key: join(root, 'id_ed25519'),
    authorizedKeys: join(root, 'authorized_keys'),
    knownNodes: join(root, 'known_nodes'),
    nodeDir,
    hostKey: join(nodeDir, 'host_key'),
    stateDb: join(nodeDir, 'state.db'),
    blocks: join(nodeDir, 'blocks'),
    blocksDb: join(nodeDir, 'blocks.db'),
    lock: join(nodeDir, 'lock'),
    senderDir,
    ledger: join(senderDir, 'ledger.db')
  })
}

/** The path, with `~/` for this user's own folder: in `--home=~/x` and in files no shell puts that in. */
export function expandTilde(path: string): string {
  return path.startsWith('~/') ? join(homedir(), path.slice(2)) : path
}

/** The folder of the home: `--home`, else `PINSUB_HOME`, else `~/.pinsub`. An empty variable counts as absent; throws {@link ConfigError} for an empty flag. */
export function homeDirectory(flag: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  // It would be the folder in which the command runs.
  if (flag === '') throw new ConfigError('--home: empty')
  return expandTilde(flag ?? (env['PINSUB_HOME'] || '~/.pinsub'))
}
