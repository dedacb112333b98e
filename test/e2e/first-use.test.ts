/** First use, as README tells it: `init`, the line that it prints, a node, `init --bootstrap`. */
import { existsSync } from 'node:fs'
import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { createSandbox, type Sandbox } from '../support/cli.ts'
import { freePort } from '../support/free-port.ts'
import { agentArgs, only, startAgent } from './network.ts'

const CID = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'
const STRANGER = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINuLpMiNUT2A6+w3PBYOFVUqnRf4EyxWfC0Z40+to4HL stranger'

let sandbox: Sandbox
beforeEach(() => {
  const made = createSandbox()
  sandbox = made
  onTestFinished(() => made[Symbol.asyncDispose]())
})

async function mode(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8)
}

async function json(path: string): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>
}

/** The words of a command line, as a shell splits it. */
async function words(line: string): Promise<string[]> {
  const { stdout } = await sandbox.spawn('sh', ['-c', `printf '%s\\n' ${line}`]).ended
  return stdout.trimEnd().split('\n')
}

test('init makes a private home, and changes nothing when it runs again', async () => {
  const home = sandbox.path('home')
  const first = await sandbox.run(['init', '--home', home, '--json'])
  expect(first).toMatchObject({ code: 0, stderr: '' })
  const [made] = only(first.events, 'init')
  expect(made).toMatchObject({
    home,
    network: expect.stringMatching(/^[a-z]+-[a-z]+-[0-9a-f]+$/),
    fingerprint: expect.stringMatching(/^SHA256:/)
  })
  expect(made?.['line']).toMatch(/^ssh-ed25519 AAAA\S+ \S+@\S+$/)
  const files = ['authorized_keys', 'config.json', 'id_ed25519', 'id_ed25519.pub']
  expect((await readdir(home)).toSorted()).toEqual(files)
  expect(new Set(made?.['created'] as string[])).toEqual(
    new Set(['authorized_keys', 'config.json', 'id_ed25519'].map((name) => join(home, name)))
  )
  expect(await mode(home)).toBe('700')
  expect(await Promise.all(files.map((name) => mode(join(home, name))))).toEqual(['600', '600', '600', '644'])

  const before = await Promise.all(files.map((name) => readFile(join(home, name), 'utf8')))
  const again = await sandbox.run(['init', '--home', home, '--json'])
  expect(again.code).toBe(0)
  expect(only(again.events, 'init')[0]).toMatchObject({ network: made?.['network'], line: made?.['line'], created: [] })
  expect(await Promise.all(files.map((name) => readFile(join(home, name), 'utf8')))).toEqual(before)
})

test('init keeps a key that is there, and refuses to make a home another network', async () => {
  const home = sandbox.path('home')
  const { stdout: line } = await sandbox.run(['keys', 'gen', '--home', home])
  expect(only((await sandbox.run(['init', '--home', home, '--network', 'mine', '--json'])).events, 'init')[0]).toMatchObject({
    network: 'mine',
    line: line.trim()
  })
  const other = await sandbox.run(['init', '--home', home, '--network', 'other', '--json'])
  expect(other.code).toBe(2)
  expect(other.events.at(-1)).toMatchObject({ event: 'error', code: 'network', message: expect.stringContaining('mine') })
  expect(await json(join(home, 'config.json'))).toEqual({ network: 'mine' })
})

test('the line that init prints starts a node, which obeys, and init --bootstrap meets it', async () => {
  const you = sandbox.path('you')
  const printed = (await sandbox.run(['init', '--home', you])).stdout
  const line = printed.split('\n').find((text) => text.includes('pinsub node --network')) as string
  const typed = await words(line)
  expect(typed.slice(0, typed.indexOf('node')).join(' ')).toBe('npx -y -p node@24 -p pinsub pinsub')

  const home = sandbox.path('server')
  const node = await startAgent(sandbox, home, [...typed.slice(typed.indexOf('node')), ...agentArgs(home).slice(1)])
  const network = (await json(join(you, 'config.json')))['network']
  expect(node.ready).toMatchObject({ network, backend: 'helia', authorized: 1, peer: expect.stringMatching(/^12D3KooW/) })
  expect(node.address).toMatch(new RegExp(`^/ip4/127\\.0\\.0\\.1/tcp/\\d+/p2p/${node.peer}$`))
  expect(await mode(home)).toBe('700')
  expect(await mode(join(home, 'node'))).toBe('700')
  expect(await mode(join(home, 'node', 'host_key'))).toBe('600')

  const met = await sandbox.run(['init', '--home', you, '--bootstrap', node.address, '--json'])
  expect(met.code).toBe(0)
  expect(only(met.events, 'init')[0]).toMatchObject({ reached: [{ node: node.peer, authorised: true }] })
  expect(await json(join(you, 'config.json'))).toEqual({ network, bootstrap: [node.address] })
  expect(await readFile(join(you, 'known_nodes'), 'utf8')).toContain(node.peer)
  const shown = await sandbox.run(['init', '--home', you, '--bootstrap', node.address])
  expect(shown.stderr).toContain('Your key may command it.')

  const sent = await sandbox.run(['send', 'pin', CID, '--home', you, '--detach', '--json'])
  expect(sent.code).toBe(0)
  expect(only(sent.events, 'ack')[0]).toMatchObject({ node: node.peer, trusted: true })
})

test('a laptop whose key may not command says so when it meets the node', async () => {
  const home = sandbox.path('server')
  const node = await startAgent(sandbox, home, agentArgs(home, '--network', 'mine', '--authorize', STRANGER))
  const { code, stderr } = await sandbox.run(['init', '--home', sandbox.path('you'), '--network', 'mine', '--bootstrap', node.address])
  expect(code).toBe(0)
  expect(stderr).toContain('may NOT command it (unauthorised). Unless it was closed or revoked there, add this line')
})

test('a node needs no init: it makes its home, and its choices stick', async () => {
  const home = sandbox.path('server')
  const first = await startAgent(sandbox, home, agentArgs(home, '--network', 'mine', '--authorize', STRANGER))
  expect(await json(join(home, 'config.json'))).toMatchObject({ network: 'mine', backend: 'helia' })
  expect(await readFile(join(home, 'authorized_keys'), 'utf8')).toContain(STRANGER)
  await first.process.end()
  // Without --network, --authorize and --backend: what the first start decided holds.
  const again = await startAgent(sandbox, home, ['node', '--json', '--home', home, '--listen', '/ip4/127.0.0.1/tcp/0'])
  expect(again.ready).toMatchObject({ network: 'mine', backend: 'helia', authorized: 1, peer: first.peer })
})

test('auto takes Kubo where it answers, and stays with it when it is gone', async () => {
  const { startRpcOverHelia } = await import('../support/kubo-under-test.ts')
  const kubo = await startRpcOverHelia()
  onTestFinished(() => kubo.stop())
  const home = sandbox.path('server')
  const args = ['node', '--json', '--home', home, '--network', 'mine', '--listen', '/ip4/127.0.0.1/tcp/0', '--kubo-api', kubo.apiUrl]
  const first = await startAgent(sandbox, home, args)
  expect(first.ready).toMatchObject({ backend: 'kubo' })
  await first.process.end()
  await kubo.kill()
  expect((await startAgent(sandbox, home, args)).ready).toMatchObject({ backend: 'kubo' })
})

test('a node without a network ends with what to do', async () => {
  const { code, events } = await sandbox.run(['node', '--home', sandbox.path('server'), '--json'])
  expect(code).toBe(2)
  expect(events).toEqual([
    {
      event: 'error',
      code: 'no-network',
      message: expect.stringContaining(sandbox.path('server', 'config.json')),
      hint: expect.stringContaining('pinsub init')
    }
  ])
  expect(existsSync(sandbox.path('server'))).toBe(false)
})

test('a node without keys runs, says that it refuses all, and does', async () => {
  const home = sandbox.path('server')
  const shown = sandbox.start(['node', '--home', home, '--network', 'mine', '--listen', '/ip4/127.0.0.1/tcp/0', '--backend', 'helia'])
  await shown.complaint(/there is no file .*authorized_keys/)
  const { stdout } = await shown.end().then(() => shown.ended)
  expect(stdout).toContain('nobody may command: every command is refused')

  const node = await startAgent(sandbox, home, agentArgs(home))
  expect(node.ready).toMatchObject({ authorized: 0 })
  const you = sandbox.path('you')
  await sandbox.run(['init', '--home', you, '--network', 'mine', '--bootstrap', node.address])
  const sent = await sandbox.run(['send', 'pin', CID, '--home', you, '--json'])
  expect(sent.code).toBe(4)
  expect(only(sent.events, 'ack')).toEqual([expect.objectContaining({ status: 'refused', code: 'unauthorised', node: node.peer })])
})

test('one home for both: a sender beside the running node', async () => {
  const home = sandbox.path('home')
  await sandbox.run(['init', '--home', home])
  const node = await startAgent(sandbox, home, agentArgs(home))
  const sent = await sandbox.run(['send', 'pin', CID, '--home', home, '--bootstrap', node.address, '--detach', '--json'])
  expect(sent.code).toBe(0)
  const { events } = await sandbox.run(['ls', '--home', home, '--bootstrap', node.address, '--json'])
  expect(events).toEqual([expect.objectContaining({ event: 'pin', cid: CID, nodes: [node.peer] })])
  expect((await node.process.end()).code).toBe(0)
})

test('a home finds its own agent where it knows no other node', async () => {
  const home = sandbox.path('home')
  await sandbox.run(['init', '--home', home])
  const listen = `/ip4/0.0.0.0/tcp/${await freePort()}`
  const node = await startAgent(sandbox, home, ['node', '--json', '--home', home, '--listen', listen, '--backend', 'helia'])
  expect(await sandbox.run(['nodes', '--home', home, '--json'])).toMatchObject({
    code: 0,
    events: [{ event: 'node', node: node.peer, state: 'online' }]
  })
  expect((await sandbox.run(['ls', '--home', home])).code).toBe(0)
  await node.process.end()
  const { code, stderr } = await sandbox.run(['ls', '--home', home])
  expect({ code, stderr }).toEqual({
    code: 5,
    stderr: expect.stringMatching(/127\.0\.0\.1:\d+ refused the connection: is "pinsub node" running/)
  })
})

test('--print-unit prints a unit that runs this home', async () => {
  const home = sandbox.path('server')
  const { code, stdout } = await sandbox.run(['node', '--print-unit', '--home', home])
  expect(code).toBe(0)
  expect(stdout).toMatch(new RegExp(`^ExecStart=.* node --home ${home}$`, 'm'))
  expect(existsSync(home)).toBe(false)
})
