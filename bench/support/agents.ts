/** Agents of the built bundle, each a process with a home of its own, on loopback. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'

/** What starts the built bundle, as users run it. */
export const START = resolve(import.meta.dirname, '../../bin/pinsub.cjs')

/** A running agent. */
export interface BenchAgent extends AsyncDisposable {
  readonly peer: string
  /** Multiaddr with /p2p. */
  readonly address: string
  /** Resident memory in bytes, as the kernel counts it. */
  residentBytes(): Promise<number>
  /** Its log on stderr, line by line, from its start. */
  readonly log: AsyncIterable<string>
}

/** Starts an agent that obeys `line`; extra arguments choose its backend. */
export async function startAgent(
  home: string,
  network: string,
  line: string,
  bootstrap: readonly string[],
  backend: readonly string[] = ['--backend', 'helia']
): Promise<BenchAgent> {
  const args = ['node', '--json', '--home', home, '--network', network, '--authorize', line, '--listen', '/ip4/127.0.0.1/tcp/0']
  const child = spawn(process.execPath, [START, ...args, ...backend, ...bootstrap.flatMap((address) => ['--bootstrap', address])], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const log = lines(child.stderr as NodeJS.ReadableStream)
  const { peer, addresses } = await ready(child)
  return {
    peer,
    address: addresses[0] as string,
    log,
    async residentBytes() {
      const status = await readFile(join('/proc', String(child.pid), 'status'), 'utf8')
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) * 1024
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      await ended
    }
  }
}

/** Everything a stream says, kept for whoever reads it, at any time. */
function lines(stream: NodeJS.ReadableStream): AsyncIterable<string> {
  const said: string[] = []
  let wake = (): void => {}
  createInterface({ input: stream }).on('line', (line) => {
    said.push(line)
    wake()
  })
  return {
    async *[Symbol.asyncIterator]() {
      for (let at = 0; ;) {
        if (at < said.length) yield said[at++] as string
        else await new Promise<void>((resolve) => (wake = resolve))
      }
    }
  }
}

async function ready(child: ChildProcess): Promise<{ peer: string; addresses: string[] }> {
  for await (const line of createInterface({ input: child.stdout as NodeJS.ReadableStream })) {
    const event = JSON.parse(line) as { event: string; peer: string; addresses: string[] }
    if (event.event === 'ready') {
      child.stdout?.resume()
      return event
    }
  }
  throw new Error('an agent ended before it was ready')
}
