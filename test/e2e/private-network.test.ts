/** A network with a swarm key: its members notice nothing of it, and nobody else learns anything. */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createServer, type AddressInfo } from 'node:net'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createSender } from '../../src/sender/sender.ts'
import { openKey } from '../../src/identity/open-key.ts'
import { formatSwarmKey } from '../../src/protocol/swarm-key.ts'
import { createSandbox } from '../support/cli.ts'
import { agentArgs, createNetwork, only, startAgent, type TestNetwork } from './network.ts'

let net: TestNetwork
let key: string
let other: string
beforeAll(async () => {
  const sandbox = createSandbox()
  key = sandbox.path('swarm.key')
  other = sandbox.path('other.key')
  for (const path of [key, other]) await writeFile(path, formatSwarmKey(randomBytes(32)), { mode: 0o600 })
  net = await createNetwork(3, { PINSUB_SWARM_KEY: key }, sandbox)
})
afterAll(() => net[Symbol.asyncDispose]())

test('three nodes and a sender with the key pin and count', async () => {
  await writeFile(net.sandbox.path('file'), randomBytes(300_000))
  const { code, events } = await net.as(['add', net.sandbox.path('file')])
  expect(code).toBe(0)
  const [done] = only(events, 'done')
  expect(done).toMatchObject({ replicas: 3, wanted: 3, result: 'ok' })
  for (const agent of net.agents) expect(await net.onDisk(agent, done?.['cid'] as string)).toMatchObject({ missing: 0, corrupt: 0 })
})

test('init keeps it, so that it need not be given again, and node does too', async () => {
  const home = net.sandbox.path('kept')
  const made = await net.sandbox.run(['init', '--home', home, '--network', net.name, '--swarm-key', 'swarm.key'], { cwd: net.sandbox.dir })
  expect(made.stdout).toContain(`node --network ${net.name} --swarm-key swarm.key --authorize `)
  expect(made.stdout).toContain('copy swarm.key there before')
  const config = JSON.parse(await readFile(join(home, 'config.json'), 'utf8')) as Record<string, unknown>
  expect(config['swarm-key']).toBe(key)
  const [bootstrap] = net.agents
  const met = await net.sandbox.run(['init', '--home', home, '--bootstrap', bootstrap?.address as string])
  expect({ code: met.code, stderr: met.stderr }).toEqual({ code: 0, stderr: expect.stringContaining('may NOT command') })

  const at = net.sandbox.path('kept-node')
  const node = ['--network', net.name, '--swarm-key', 'swarm.key']
  const agent = await startAgent(net.sandbox, at, agentArgs(at, ...node), { cwd: net.sandbox.dir })
  await agent.process.end()
  expect(JSON.parse(await readFile(join(at, 'config.json'), 'utf8'))).toMatchObject({ 'swarm-key': key })
})

test('a sender without the key, or with another, is told what is wrong, and learns and changes nothing', async () => {
  const home = await net.stranger('stranger')
  for (const [env, message] of [
    [{}, /answers as a node of a private network does: name the swarm key of that network with --swarm-key FILE/],
    [{ PINSUB_SWARM_KEY: other }, /answers, but not with the swarm key given here: it has another one or none/]
  ] as const) {
    for (const args of [['nodes'], ['send', 'pin', 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku']]) {
      const { code, events } = await net.sandbox.run([...args, '--home', home, '--json'], { env })
      expect({ code, events }).toEqual({ code: 5, events: [{ event: 'error', code: 'no-node', message: expect.stringMatching(message) }] })
    }
  }
})

test('a node that has the wrong key says so in its log, once an address', async () => {
  const at = net.sandbox.path('outside')
  const [first] = net.agents
  const args = agentArgs(at, '--network', net.name, '--swarm-key', other, '--bootstrap', first?.address as string)
  const agent = await startAgent(net.sandbox, at, args)
  expect(await agent.process.complaint(/swarm key/)).toContain('answers, but not with the swarm key given here')
  const { stderr } = await agent.process.end()
  expect(stderr.match(/swarm key/g)).toHaveLength(1)
})

test.each([
  ['missing', 'no.key', 1, /there is no swarm key .*no\.key/],
  ['a port that is silent', 'swarm.key', 5, /answers, but not with the swarm key given here/]
])('%s', async (_, file, code, message) => {
  const server = createServer((socket) => void socket.on('error', () => {}))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  const { port } = server.address() as AddressInfo
  const args = ['nodes', '--home', net.sandbox.path('nobody'), '--network', net.name, '--bootstrap', `127.0.0.1:${port}`]
  const run = await net.sandbox.run([...args, '--swarm-key', net.sandbox.path(file)])
  expect({ code: run.code, stderr: run.stderr }).toEqual({ code, stderr: expect.stringMatching(message) })
})

test('the library takes the file too', async () => {
  const { signer } = await openKey(join(net.home, 'id_ed25519'))
  const bootstrap = net.agents.map(({ address }) => address)
  await using sender = await createSender({ network: net.name, key: signer, bootstrap, swarmKey: key })
  expect((await sender.connect()).authorised).toBe(true)
})
