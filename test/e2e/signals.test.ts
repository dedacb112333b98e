/** How programs end, and what an agent still knows when it was killed. */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { platform } from 'node:process'
import { once } from 'node:events'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { createSandbox, PINSUB, type Sandbox } from '../support/cli.ts'
import { leaf } from '../support/dags.ts'
import { makePinPeer } from '../support/pin-peer.ts'
import { agentArgs, createNetwork, only, startAgent } from './network.ts'

let sandbox: Sandbox
beforeEach(() => {
  const made = createSandbox()
  sandbox = made
  onTestFinished(() => made[Symbol.asyncDispose]())
})

test.for(['SIGINT', 'SIGTERM'] as const)('%s ends an agent cleanly', async (signal) => {
  const home = sandbox.path('server')
  const { process } = await startAgent(sandbox, home, agentArgs(home, '--network', 'x'))
  const { code, events } = await process.end(signal)
  expect(code).toBe(0)
  expect(events.map(({ event }) => event)).toEqual(['ready'])
  await process.complaint(/stopping/)
})

test('a second signal ends an agent at once, and its home is none the worse', async () => {
  const home = sandbox.path('server')
  const first = await startAgent(sandbox, home, agentArgs(home, '--network', 'x'))
  // Halted, it cannot end on the first before the second is there.
  for (const signal of ['SIGSTOP', 'SIGINT', 'SIGTERM'] as const) first.process.child.kill(signal)
  expect(await first.process.end('SIGCONT')).toMatchObject({ code: 130 })
  expect((await startAgent(sandbox, home, agentArgs(home))).peer).toBe(first.peer)
})

test.runIf(platform === 'linux')('an agent bounds its young generation, under the process id that it was started with', async () => {
  const home = sandbox.path('server')
  const { child } = (await startAgent(sandbox, home, agentArgs(home, '--network', 'x'))).process
  const [, option, , command] = (await readFile(`/proc/${child.pid}/cmdline`, 'utf8')).split('\0')
  expect({ option, command }).toEqual({ option: '--max-semi-space-size=4', command: 'node' })
})

test.for(['SIGINT', 'SIGTERM'] as const)('%s ends a program that waits for its list, and it was not done', async (signal) => {
  const home = sandbox.path('home')
  await sandbox.run(['init', '--home', home])
  const sending = sandbox.start(['send', 'pin', '-', '--home', home, '--json'], { stdin: null })
  // Once it reads, what is bad in its list would end it; until then nothing can be seen of it.
  sending.child.stdin.write('bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku\n')
  await new Promise((resolve) => sending.child.stdin.write('#'.repeat(1 << 20), resolve))
  expect(await sending.end(signal)).toMatchObject({ code: 130, stdout: '', stderr: '' })
})

test('SIGHUP reads authorized_keys again', async () => {
  const net = await createNetwork(1)
  onTestFinished(() => net[Symbol.asyncDispose]())
  const [agent] = net.agents
  const file = join(agent?.home ?? '', 'authorized_keys')
  const { stdout } = await net.sandbox.run(['keys', 'gen', net.sandbox.path('other')])
  await writeFile(file, `${await readFile(file, 'utf8')}${stdout}`)
  agent?.process.child.kill('SIGHUP')
  await agent?.process.complaint(/authorized_keys changed: 2 keys/)
})

test('killed, an agent starts again with its pins, and does what it was told before', async () => {
  const net = await createNetwork(1)
  onTestFinished(() => net[Symbol.asyncDispose]())
  const [agent] = net.agents
  if (agent === undefined) throw new Error('no agent')
  const file = net.sandbox.path('kept.txt')
  await writeFile(file, 'kept over a kill')
  const kept = only((await net.as(['add', file])).events, 'imported')[0]?.['cid'] as string

  // The provider is known from the command, and has nothing yet.
  const provider = await makePinPeer()
  onTestFinished(() => provider.stop())
  const block = await leaf('provided after the kill')
  const cid = block.cid.toString()
  const waiting = net.sandbox.start(['send', 'pin', cid, '--origin', provider.origin, '--home', net.home, '--json'])
  await waiting.event(({ event }) => event === 'ack')
  await waiting.end('SIGINT')

  agent.process.child.kill('SIGKILL')
  await once(agent.process.child, 'exit')
  const again = await startAgent(net.sandbox, agent.home, agentArgs(agent.home))
  expect(again.peer).toBe(agent.peer)
  const as = (args: readonly string[]) => net.as([...args, '--bootstrap', again.address])
  expect((await as(['status', kept])).code).toBe(0)
  expect(await net.onDisk(again, kept)).toMatchObject({ blocks: 1, missing: 0, corrupt: 0 })
  expect((await as(['status', cid])).code).toBe(3)

  await provider.provide([block])
  await expect.poll(async () => (await as(['status', cid])).code, { timeout: 20_000, interval: 200 }).toBe(0)
  expect(await net.onDisk(again, cid)).toMatchObject({ blocks: 1, missing: 0, corrupt: 0 })
})

test('a reader that goes away early is no error', async () => {
  const { code, stdout, stderr } = await sandbox.spawn('sh', ['-c', '"$0" "$1" completion bash | head -1', process.execPath, PINSUB]).ended
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '# pinsub completion for bash\n', stderr: '' })
})

test('a reader of stderr that goes away early changes nothing', async () => {
  const script = '{ "$0" "$1" keys 2>&1; echo $? >code; } | :'
  await sandbox.spawn('sh', ['-c', script, process.execPath, PINSUB]).ended
  expect(await readFile(sandbox.path('code'), 'utf8')).toBe('2\n')
})
