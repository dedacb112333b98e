/** A network as its users make it: `init` on the laptop, the agents with the line that it prints, `init --bootstrap`. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import { createFileBlockstore } from '../../src/content/blockstore.ts'
import { verify, type Verified } from '../../src/content/verify.ts'
import { addKnownNodes } from '../../src/identity/known-nodes-file.ts'
import { createSandbox, type Ended, type Event, type RunOptions, type Running, type Sandbox } from '../support/cli.ts'

/** A running agent. */
export interface Agent {
  readonly home: string
  readonly peer: string
  /** Multiaddr with /p2p. */
  readonly address: string
  readonly ready: Event
  readonly process: Running
}

/** Agents of one network and the home of their author. */
export interface TestNetwork extends AsyncDisposable {
  readonly sandbox: Sandbox
  readonly name: string
  /** The author's home; its known_nodes are the agents. */
  readonly home: string
  /** The author's public line. */
  readonly line: string
  /** The line that lets the author in, with `admin`. */
  readonly authorize: string
  readonly agents: readonly Agent[]
  /** Runs a command as the author, with `--json`. */
  as(args: readonly string[], options?: RunOptions): Promise<Ended>
  /** A second home on this network whose key is its own. */
  stranger(name: string): Promise<string>
  /** Reads what an agent has of a CID back from its disk. */
  onDisk(agent: Agent, cid: string): Promise<Verified>
}

/** The arguments of an agent on a free port of 127.0.0.1 with embedded storage. */
export function agentArgs(home: string, ...more: string[]): string[] {
  return ['node', '--json', '--home', home, '--listen', '/ip4/127.0.0.1/tcp/0', '--backend', 'helia', ...more]
}

/** Starts an agent; resolves when it is ready. */
export async function startAgent(sandbox: Sandbox, home: string, args: readonly string[], options: RunOptions = {}): Promise<Agent> {
  const process = sandbox.start(args, { deadline: 170_000, ...options })
  const ready = await process.event(({ event }) => event === 'ready')
  const [address] = ready['addresses'] as string[]
  return { home, peer: ready['peer'] as string, address: address as string, ready, process }
}

/** Makes a network of `count` agents, all of which obey one author, and who has met them; `env` are variables of each of its processes. */
export async function createNetwork(count = 3, env: RunOptions['env'] = {}, sandbox = createSandbox()): Promise<TestNetwork> {
  const home = sandbox.path('you')
  const as = (args: readonly string[], options?: RunOptions): Promise<Ended> =>
    sandbox.run([...args, '--home', home, '--json'], { ...options, env: { ...env, ...options?.env } })
  const { events } = await as(['init'])
  const { network: name, line, authorize } = events[0] as unknown as { network: string; line: string; authorize: string }

  const start = (letter: string, ...more: string[]): Promise<Agent> => {
    const at = sandbox.path(letter)
    return startAgent(sandbox, at, agentArgs(at, '--network', name, '--authorize', authorize, ...more), { env })
  }
  const first = await start('a')
  const others = await Promise.all(['b', 'c', 'd'].slice(0, count - 1).map((letter) => start(letter, '--bootstrap', first.address)))
  const agents = [first, ...others]
  const bootstrap = agents.flatMap(({ address }) => ['--bootstrap', address])
  const met = await as(['init', ...bootstrap])
  if (met.code !== 0) throw new Error(`init --bootstrap: ${met.stdout}${met.stderr}`)
  await addKnownNodes(join(home, 'known_nodes'), new Map(agents.map(({ peer }) => [peer, ''])))

  return {
    sandbox,
    name,
    home,
    line,
    authorize,
    agents,
    as,
    async stranger(as) {
      const at = sandbox.path(as)
      await mkdir(at, { mode: 0o700 })
      await writeFile(join(at, 'config.json'), JSON.stringify({ network: name, bootstrap: agents.map(({ address }) => address) }))
      await addKnownNodes(join(at, 'known_nodes'), new Map(agents.map(({ peer }) => [peer, ''])))
      await sandbox.run(['keys', 'gen', '--home', at])
      return at
    },
    onDisk: (agent, cid) =>
      verify(
        CID.parse(cid),
        createFileBlockstore({ dir: join(agent.home, 'node', 'blocks'), durable: false }),
        AbortSignal.timeout(10_000)
      ),
    [Symbol.asyncDispose]: () => sandbox[Symbol.asyncDispose]()
  }
}

/** Events of one kind. */
export function only(events: readonly Event[], kind: string): Event[] {
  return events.filter(({ event }) => event === kind)
}
