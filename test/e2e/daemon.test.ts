/** A daemon that dies, hangs, comes back or is full, under an agent as it is shipped: jobs wait, are done, and nothing is ever told to have failed. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { createSandbox, type Event, type Running, type Sandbox } from '../support/cli.ts'
import { leaf } from '../support/dags.ts'
import { findIpfs, NO_IPFS } from '../support/kubo-daemon.ts'
import { makePinPeer, type PinPeer } from '../support/pin-peer.ts'
import { agentArgs, only, startAgent, type Agent } from './network.ts'

const DAEMON = resolve(import.meta.dirname, '../support/kubo-process.ts')

let sandbox: Sandbox
let provider: PinPeer
let you: string
let line: string
beforeEach(async () => {
  const made = createSandbox()
  sandbox = made
  onTestFinished(() => made[Symbol.asyncDispose]())
  const peer = await makePinPeer()
  provider = peer
  onTestFinished(() => peer.stop())
  you = sandbox.path('you')
  const { events } = await sandbox.run(['init', '--home', you, '--network', 'daemons', '--json'])
  line = events[0]?.['line'] as string
})

/** A port that nobody listens on, for a daemon whose address must be known before it runs. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

interface Daemon {
  readonly api: string
  /** What starts it, for a shell. */
  readonly command: string
  /** The process that runs now. */
  pid(): Promise<number>
}

function daemonOf(port: number, command: string): Daemon {
  const pidFile = sandbox.path('daemon.pid')
  return {
    api: `http://127.0.0.1:${port}`,
    command: `echo $$ > '${pidFile}'; exec ${command}`,
    pid: async () => Number(await readFile(pidFile, 'utf8'))
  }
}

async function makeDaemon(): Promise<Daemon> {
  const port = await freePort()
  return daemonOf(port, `'${process.execPath}' '${DAEMON}' ${port} '${sandbox.path('repo')}'`)
}

async function makeKubo(): Promise<Daemon> {
  const port = await freePort()
  const env = { ...process.env, IPFS_PATH: sandbox.path('repo') }
  const ipfs = (...args: string[]): unknown => execFileSync(String(IPFS), args, { env, stdio: 'ignore' })
  ipfs('init', '--profile=test')
  ipfs('config', 'Routing.Type', 'none')
  ipfs('config', 'Addresses.API', `/ip4/127.0.0.1/tcp/${port}`)
  return daemonOf(port, `env IPFS_PATH='${env.IPFS_PATH}' IPFS_TELEMETRY=off '${IPFS}' daemon`)
}

const IPFS = findIpfs()
if (IPFS === undefined) console.warn(NO_IPFS)

const DAEMONS = [
  { kubo: 'our RPC server', make: makeDaemon, skipped: false },
  { kubo: IPFS === undefined ? NO_IPFS : 'a real daemon', make: makeKubo, skipped: IPFS === undefined }
] as const

const nodeArgs = (home: string, ...more: string[]): string[] => {
  return ['node', '--json', '--home', home, '--listen', '/ip4/127.0.0.1/tcp/0', '--network', 'daemons', '--authorize', line, ...more]
}

/** A send that waits for as long as the test does. */
function sendPins(agent: Agent, cids: readonly string[]): Running {
  const args = ['send', 'pin', '-', '--origin', provider.origin, '--bootstrap', agent.address, '--timeout', '2m', '--home', you, '--json']
  return sandbox.start(args, { stdin: cids.join('\n'), deadline: 120_000 })
}

/** Every state that was ever acknowledged. */
function statuses(events: readonly Event[]): Set<unknown> {
  return new Set(only(events, 'ack').map(({ status }) => status))
}

async function backendOf(agent: Agent): Promise<Event | undefined> {
  const { events } = await sandbox.run(['nodes', '--bootstrap', agent.address, '--home', you, '--json'])
  return only(events, 'node').find(({ node }) => node === agent.peer)
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe.for(DAEMONS)('on $kubo', ({ make, skipped }) => {
  test.skipIf(skipped)(
    '--start-daemon starts it, again when it was killed, and ends it with the agent; no pin fails',
    async () => {
      const daemon = await make()
      const home = sandbox.path('node')
      const agent = await startAgent(sandbox, home, nodeArgs(home, '--kubo-api', daemon.api, '--start-daemon', daemon.command))
      expect(agent.ready).toMatchObject({ backend: 'kubo' })
      await agent.process.complaint(/--start-daemon is given: pins are kept in Kubo/)
      await agent.process.complaint(/Kubo is back after/)
      expect(JSON.parse(await readFile(join(home, 'config.json'), 'utf8'))).toMatchObject({
        backend: 'kubo',
        'start-daemon': daemon.command
      })

      const blocks = await Promise.all(Array.from({ length: 60 }, (_, i) => leaf(`under --start-daemon ${i}`)))
      await provider.provide(blocks.slice(0, 30))
      const sending = sendPins(
        agent,
        blocks.map(({ cid }) => cid.toString())
      )
      await sending.event(({ event, status }) => event === 'ack' && status === 'pinned')
      const first = await daemon.pid()
      const since = agent.process.said()
      process.kill(first, 'SIGKILL')
      await agent.process.complaint(/the command of --start-daemon ended \((SIGKILL|code 137)\)/, since)
      await agent.process.complaint(/Kubo is down, its jobs wait/, since)
      await provider.provide(blocks.slice(30))
      const { code, events } = await sending.ended
      expect(code).toBe(0)
      expect(only(events, 'done')).toHaveLength(60)
      expect(statuses(events).has('failed')).toBe(false)

      const second = await daemon.pid()
      expect(second).not.toBe(first)
      expect(isAlive(second)).toBe(true)
      expect((await agent.process.end()).code).toBe(0)
      expect(isAlive(second)).toBe(false)
    },
    120_000
  )

  test.skipIf(skipped)(
    'while it hangs, nodes shows it and jobs wait; they are done when it goes on',
    async () => {
      const daemon = await make()
      const running = sandbox.spawn('sh', ['-c', daemon.command], { deadline: 120_000 })
      await vi.waitFor(() => fetch(`${daemon.api}/api/v0/version`, { method: 'POST' }), { timeout: 30_000, interval: 100 })
      const home = sandbox.path('node')
      const agent = await startAgent(sandbox, home, nodeArgs(home, '--kubo-api', daemon.api, '--backend', 'kubo'))
      const [before, held, other] = await Promise.all([leaf('before'), leaf('under way when it hangs'), leaf('sent while it hangs')])
      await provider.provide([before, other])
      // A connection that was just being made when one end froze is none of the agent's: so let it stand first.
      expect((await sendPins(agent, [before.cid.toString()]).ended).code).toBe(0)
      const first = sendPins(agent, [held.cid.toString()])
      await first.event(({ event, status }) => event === 'ack' && (status === 'queued' || status === 'pinning'))

      running.child.kill('SIGSTOP')
      await agent.process.complaint(/Kubo is down, its jobs wait: no answer.*hang/)
      const second = sendPins(agent, [other.cid.toString()])
      await second.event(({ event }) => event === 'ack')
      expect(await backendOf(agent)).toMatchObject({ up: false, state: 'online' })
      const asked = await sandbox.run(['status', other.cid.toString(), '--bootstrap', agent.address, '--home', you, '--json'])
      expect(only(asked.events, 'status')).toMatchObject([{ status: 'queued' }])

      running.child.kill('SIGCONT')
      await agent.process.complaint(/Kubo is back after/)
      await provider.provide([held])
      for (const sending of [first, second]) {
        const { code, events } = await sending.ended
        expect(code).toBe(0)
        expect(statuses(events).has('failed')).toBe(false)
      }
      expect(await backendOf(agent)).toMatchObject({ up: true })
    },
    120_000
  )
})

describe('--start-daemon', () => {
  test('one that ends at once is started ever more rarely, and what it said is told', async () => {
    const { api } = await makeDaemon()
    const home = sandbox.path('node')
    const command = `echo x >> '${sandbox.path('starts')}'; echo 'Error: no repo found' >&2; exit 1`
    const agent = await startAgent(sandbox, home, nodeArgs(home, '--kubo-api', api, '--start-daemon', command))
    await agent.process.complaint(/the command of --start-daemon ended \(code 1\): Error: no repo found/)
    await expect.poll(async () => (await readFile(sandbox.path('starts'), 'utf8')).length / 2, { timeout: 20_000 }).toBe(3)
    expect((await agent.process.end()).code).toBe(0)
  })

  test('is for Kubo', async () => {
    const home = sandbox.path('node')
    const { code, events } = await sandbox.run(nodeArgs(home, '--backend', 'helia', '--start-daemon', 'ipfs daemon'))
    expect(code).toBe(2)
    expect(events.at(-1)).toMatchObject({ event: 'error', hint: expect.stringContaining('--backend kubo') as string })
    expect(existsSync(home)).toBe(false)
  })

  test('--print-unit lets the daemon write its repository, and both ask for the addresses of the machine', async () => {
    const args = ['node', '--print-unit', '--home', sandbox.path('node'), '--start-daemon', 'ipfs daemon']
    const { stdout } = await sandbox.run(args, { env: { IPFS_PATH: '/var/lib/ipfs' } })
    expect(stdout).toContain('Environment=IPFS_PATH=/var/lib/ipfs\n')
    expect(stdout).toMatch(/^ReadWritePaths=.* -\/var\/lib\/ipfs$/m)
    expect(stdout).toMatch(/^RestrictAddressFamilies=.* AF_NETLINK$/m)
  })
})

test('a full node: what does not fit waits, what fits is done, and an unpin lets it go on', async () => {
  const home = sandbox.path('node')
  const agent = await startAgent(sandbox, home, agentArgs(home, '--network', 'daemons', '--authorize', line, '--capacity', '1000'))
  const [held, large, small] = await Promise.all([leaf('h'.repeat(600)), leaf('l'.repeat(600)), leaf('s')])
  await provider.provide([held, large, small])
  const pin = async ({ cid }: typeof held): Promise<number | null> => (await sendPins(agent, [cid.toString()]).ended).code
  expect(await pin(held)).toBe(0)
  const waiting = sendPins(agent, [large.cid.toString()])
  await waiting.event(({ event, status }) => event === 'ack' && status === 'queued')
  await agent.process.complaint(/the built-in storage has no space left, what is to be pinned waits/)
  expect(await backendOf(agent)).toMatchObject({ up: true, full: true })
  expect(await pin(small)).toBe(0)

  const args = ['send', 'unpin', held.cid.toString(), '--bootstrap', agent.address, '--home', you, '--json']
  expect((await sandbox.run(args)).code).toBe(0)
  const { code, events } = await waiting.ended
  expect(code).toBe(0)
  expect(statuses(events).has('failed')).toBe(false)
  await agent.process.complaint(/the built-in storage has room again/)
  expect(await backendOf(agent)).not.toHaveProperty('full')
})
