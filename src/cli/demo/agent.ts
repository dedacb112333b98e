/** One storage node of the demo: a process of its own, with a home and a disk of its own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A running agent. */
export interface DemoAgent {
  /** `node A`. */
  readonly name: string
  readonly home: string
  readonly peer: string
  /** Multiaddr with /p2p. */
  readonly address: string
  /** Milliseconds from its start to its `ready`. */
  readonly ms: number
  /** Asks it to end; resolves with its exit code, or the signal that ended it. */
  stop(): Promise<number | NodeJS.Signals | null>
  /** Ends it without a word, as a power cut would. */
  kill(): Promise<void>
  /** Starts it again, in the same home and with the same key. */
  again(): Promise<DemoAgent>
}

/** How to start one. */
export interface DemoAgentOptions {
  readonly name: string
  readonly home: string
  readonly network: string
  /** The one key that it obeys. */
  readonly authorize: string
  readonly bootstrap: readonly string[]
  readonly signal: AbortSignal
}

/** An agent that has not said `ready` by then never will, milliseconds. */
const READY_MS = 15_000

/** Starts an agent of this very program on a free port of 127.0.0.1; resolves once it is ready, rejects with what it said. */
export async function startAgent(options: DemoAgentOptions): Promise<DemoAgent> {
  const { name, home, network, authorize, bootstrap, signal } = options
  const begun = performance.now()
  const args = ['node', '--json', '--home', home, '--network', network, '--authorize', authorize]
  args.push('--listen', '/ip4/127.0.0.1/tcp/0', '--backend', 'helia', ...bootstrap.flatMap((address) => ['--bootstrap', address]))
  const child = spawn(process.execPath, [process.argv[1] as string, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: cleanEnvironment(),
    // In a group of its own, so that Ctrl-C reaches the demo, which ends its agents in order.
    detached: true
  })
  const killed = (): void => void child.kill('SIGKILL')
  process.once('exit', killed)
  const end = async (signal: NodeJS.Signals): Promise<number | NodeJS.Signals | null> => {
    if (isRunning(child)) {
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    }
    process.off('exit', killed)
    return child.exitCode ?? child.signalCode
  }
  const stop = (): Promise<number | NodeJS.Signals | null> => end('SIGTERM')
  const kill = async (): Promise<void> => void (await end('SIGKILL'))
  const again = (): Promise<DemoAgent> => startAgent(options)
  try {
    const { peer, addresses } = await ready(child, AbortSignal.any([signal, AbortSignal.timeout(READY_MS)]))
    return { name, home, peer, address: addresses[0] as string, ms: performance.now() - begun, stop, kill, again }
  } catch (err) {
    await stop()
    throw err
  }
}

/** The folder of an agent's blocks. */
export function blocksOf(agent: DemoAgent): string {
  return join(agent.home, 'node', 'blocks')
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

/** The settings of whoever runs the demo are not the demo's. */
function cleanEnvironment(): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(process.env).filter(([key]) => !key.startsWith('PINSUB_')))
}

interface Ready {
  readonly event: string
  readonly peer: string
  readonly addresses: readonly string[]
}

async function ready(child: ChildProcess, signal: AbortSignal): Promise<Ready> {
  const said: string[] = []
  child.stderr?.on('data', (text: Buffer) => said.push(text.toString()))
  const { promise, resolve, reject } = Promise.withResolvers<Ready>()
  const fail = (): void =>
    reject(signal.aborted ? (signal.reason as Error) : new Error(`an agent ended before it was ready: ${said.join('').trim()}`))
  child.once('exit', fail)
  child.once('error', reject)
  signal.addEventListener('abort', fail, { once: true })
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    const event = JSON.parse(line) as Ready
    if (event.event === 'ready') resolve(event)
  })
  try {
    return await promise
  } finally {
    child.off('exit', fail)
    signal.removeEventListener('abort', fail)
  }
}
