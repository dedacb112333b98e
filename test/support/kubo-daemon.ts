/** Real Kubo daemons for tests and benchmarks: on loopback only, each in a repository of its own that goes with it. */
import { execFile, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'

/** One daemon under the test's hand. */
export interface KuboDaemon extends AsyncDisposable {
  /** Where its RPC listens. It and the swarm address stay the same after a restart. */
  readonly apiUrl: string
  readonly peer: string
  /** The folder of its repository. */
  readonly repo: string
  /** Swarm addresses with /p2p. */
  readonly addresses: readonly string[]
  /** Ends it at once (SIGKILL), its repository stays. */
  kill(): Promise<void>
  /** Ends it as an operator does (SIGTERM), its repository stays. */
  terminate(): Promise<void>
  /** Starts it again on the same API address after {@link kill} or {@link terminate}. */
  restart(): Promise<void>
  /** Stops the process in its tracks: connections open, no answers. */
  freeze(): void
  thaw(): void
  /** Ends it and deletes its repository. */
  stop(): Promise<void>
}

/** The `ipfs` to test against: `PINSUB_TEST_IPFS`, else the first on PATH; undefined where there is none. */
export function findIpfs(): string | undefined {
  const fromEnv = process.env['PINSUB_TEST_IPFS']
  const candidates = fromEnv === undefined ? (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'ipfs')) : [fromEnv]
  return candidates.find((file) => {
    try {
      accessSync(file, constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

/** The reason that a test shows when it is skipped for want of an `ipfs`. */
export const NO_IPFS = 'SKIPPED: no real Kubo: put `ipfs` on PATH or set PINSUB_TEST_IPFS'

const READY_WITHIN_MS = 30_000
const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

async function launch(binary: string, repo: string): Promise<{ child: ChildProcess; swarm: string }> {
  const env = { ...process.env, IPFS_PATH: repo, IPFS_TELEMETRY: 'off' }
  const child = spawn(binary, ['daemon'], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  running.add(child)
  child.once('exit', () => running.delete(child))
  const output: string[] = []
  let swarm = ''
  child.stderr.on('data', (chunk: Buffer) => output.push(chunk.toString()))
  await new Promise<void>((resolve, reject) => {
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      reject(new Error(`Kubo was not ready in ${READY_WITHIN_MS} ms: ${output.join('')}`))
    }, READY_WITHIN_MS)
    child.once('exit', (code) => {
      clearTimeout(timer)
      reject(new Error(`Kubo ended with ${code}: ${output.join('')}`))
    })
    createInterface({ input: child.stdout }).on('line', (line) => {
      output.push(line, '\n')
      swarm = /^Swarm listening on 127\.0\.0\.1:(\d+) \(TCP\)$/.exec(line)?.[1] ?? swarm
      if (line !== 'Daemon is ready') return
      clearTimeout(timer)
      resolve()
    })
  })
  return { child, swarm: `/ip4/127.0.0.1/tcp/${swarm}` }
}

/**
 * Starts a daemon: no bootstrap, no mDNS, no routing, API, gateway and swarm on 127.0.0.1 with ports of their own choice.
 * `config` is merged over its config file section by section (`{ API: { Authorizations: … } }`).
 */
export async function startKuboDaemon(binary: string, config: Readonly<Record<string, object>> = {}): Promise<KuboDaemon> {
  const repo = await mkdtemp(join(tmpdir(), 'pinsub-kubo-'))
  const configure = async (changes: Readonly<Record<string, object>>): Promise<void> => {
    const file = join(repo, 'config')
    const now = JSON.parse(await readFile(file, 'utf8')) as Record<string, object>
    for (const [section, values] of Object.entries(changes)) now[section] = { ...now[section], ...values }
    await writeFile(file, JSON.stringify(now, undefined, 2))
  }
  const apiFile = async (): Promise<string> => (await readFile(join(repo, 'api'), 'utf8')).trim()
  try {
    await promisify(execFile)(binary, ['init', '--profile=test'], { env: { ...process.env, IPFS_PATH: repo } })
    await configure({ Routing: { Type: 'none' }, ...config })
    const first = await launch(binary, repo)
    const { swarm } = first
    let { child } = first
    const api = await apiFile()
    const end = async (signal: NodeJS.Signals): Promise<void> => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    }
    const stop = async (): Promise<void> => {
      await end('SIGKILL')
      await rm(repo, { recursive: true, force: true })
    }
    await configure({ Addresses: { API: api, Swarm: [swarm] } })
    const { Identity } = JSON.parse(await readFile(join(repo, 'config'), 'utf8')) as { Identity: { PeerID: string } }
    return {
      apiUrl: `http://127.0.0.1:${api.split('/').at(-1)}`,
      peer: Identity.PeerID,
      repo,
      addresses: [`${swarm}/p2p/${Identity.PeerID}`],
      kill: () => end('SIGKILL'),
      terminate: () => end('SIGTERM'),
      async restart() {
        child = (await launch(binary, repo)).child
      },
      freeze: () => void child.kill('SIGSTOP'),
      thaw: () => void child.kill('SIGCONT'),
      stop,
      [Symbol.asyncDispose]: stop
    }
  } catch (error) {
    await rm(repo, { recursive: true, force: true })
    throw error
  }
}
