/** Secrets stay where they are: not in an argument, not in what is printed, logged or exported, not in an error, not for other users to read. */
import { randomBytes } from 'node:crypto'
import { lstat, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { loadHostKey } from '../../src/identity/host-key.ts'
import { formatSwarmKey } from '../../src/protocol/swarm-key.ts'
import { createSandbox, type Ended, type RunOptions, type Sandbox } from '../support/cli.ts'
import { startRpcOverHelia, type KuboUnderTest } from '../support/kubo-under-test.ts'
import { only, startAgent, type Agent } from './network.ts'

const ABSENT = 'bafkreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
const PASSPHRASE = 'hush-a-passphrase'
const TOKEN = 'hush-a-kubo-token'
const SWARM_KEY = randomBytes(32)

let sandbox: Sandbox
let kubo: KuboUnderTest
let agent: Agent
let env: Record<string, string>
let you: string
const said: string[] = []

/** Runs the program for people and for scripts, keeping all that it said. */
async function run(args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const at = { ...options, env: { ...env, ...options.env } }
  const shown = await sandbox.run([...args, '--verbose', '--home', you], at)
  const json = await sandbox.run([...args, '--json', '--verbose', '--home', you], at)
  said.push(shown.stdout, shown.stderr, json.stdout, json.stderr)
  return json
}

/** Everything secret that this network has, in each form in which it could be printed. */
async function secrets(): Promise<string[]> {
  const files = [join(you, 'id_ed25519'), join(agent.home, 'node', 'host_key')]
  const lines = (await Promise.all(files.map((file) => readFile(file, 'utf8')))).flatMap((text) => text.split('\n'))
  const seed = Buffer.from((await loadHostKey(files[1] as string)).raw.subarray(0, 32))
  const forms = [seed, SWARM_KEY].flatMap((bytes) => [
    bytes.toString('hex'),
    bytes.toString('base64').slice(0, 40),
    bytes.toString('base64url').slice(0, 40)
  ])
  return [PASSPHRASE, TOKEN, Buffer.from(TOKEN).toString('base64').slice(0, 16), ...lines.filter((line) => line.length > 60), ...forms]
}

beforeAll(async () => {
  sandbox = createSandbox()
  kubo = await startRpcOverHelia({ [`Bearer ${TOKEN}`]: ['/api/v0'] })
  you = sandbox.path('you')
  const [passphrase, swarm] = [sandbox.path('passphrase'), sandbox.path('swarm.key')]
  await writeFile(passphrase, `${PASSPHRASE}\n`, { mode: 0o600 })
  await writeFile(swarm, formatSwarmKey(SWARM_KEY), { mode: 0o600 })
  env = { PINSUB_KEY_PASSPHRASE_FILE: passphrase, PINSUB_SWARM_KEY: swarm }
  const { events } = await run(['init', '--network', 'secrets'])
  const home = sandbox.path('node')
  await mkdir(home, { mode: 0o700 })
  await writeFile(join(home, 'config.json'), JSON.stringify({ 'kubo-authorization': `Bearer ${TOKEN}` }), { mode: 0o600 })
  const listen = ['--listen', '/ip4/127.0.0.1/tcp/0']
  const line = events[0]?.['line'] as string
  const args = ['--network', 'secrets', '--backend', 'kubo', '--kubo-api', kubo.apiUrl, '--authorize', line]
  agent = await startAgent(sandbox, home, ['node', '--json', '--verbose', '--home', home, ...listen, ...args], { env })
})
afterAll(async () => {
  await sandbox[Symbol.asyncDispose]()
  await kubo[Symbol.asyncDispose]()
})

test.skipIf(process.platform !== 'linux')('no program has one in its arguments', async () => {
  const sending = sandbox.start(['send', 'pin', ABSENT, '--home', you, '--bootstrap', agent.address, '--json'], { env })
  await sending.event(({ event }) => event === 'sent')
  const processes = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(processes.map((pid) => readFile(join('/proc', pid, 'cmdline'), 'utf8').catch(() => '')))
  await sending.end('SIGINT')
  const ours = lines.filter((line) => line.includes(sandbox.dir)).join('\n')
  expect(ours).toContain('send')
  for (const secret of await secrets()) expect(ours).not.toContain(secret)
})

test('nothing that is printed, logged or exported holds one', { timeout: 90_000 }, async () => {
  expect((await run(['init', '--bootstrap', agent.address])).code).toBe(0)
  const { code, events } = await run(['send', 'pin', ABSENT, '--detach'])
  expect(code).toBe(0)
  const id = only(events, 'sent')[0]?.['command'] as string
  const made = sandbox.path('made')
  await mkdir(sandbox.path('proof'))
  for (const args of [
    ['status', '--check'],
    ['nodes'],
    ['ls'],
    ['keys', 'show'],
    ['keys', 'list'],
    ['keys', 'check'],
    ['keys', 'gen', made],
    ['log'],
    ['show', id],
    ['show', id, '--ssh', '--out', sandbox.path('proof')],
    ['node', '--print-unit']
  ])
    await run(args)
  for (const args of [
    ['log', '--home', agent.home],
    ['keys', 'list', '--home', agent.home]
  ]) {
    const ended = await sandbox.run([...args, '--json'], { env })
    expect(ended.code).toBe(0)
    said.push(ended.stdout)
  }
  const { stdout, stderr } = await agent.process.end()
  const { stdout: exported, code: exporting } = await sandbox.run(['state', 'export', '--home', agent.home], { env })
  expect(exporting).toBe(0)
  expect(exported.length).toBeGreaterThan(500)
  const all = [
    ...said,
    stdout,
    stderr,
    exported,
    ...(await Promise.all([`${made}.pub`, ...(await allFiles(sandbox.path('proof')))].map((file) => readFile(file, 'utf8'))))
  ].join('\n')
  for (const word of ['ack', 'status', 'node', 'key', 'log', 'unit', 'ready']) expect(all).toContain(`{"event":"${word}"`)
  for (const secret of await secrets()) expect(all.includes(secret), `a secret of ${secret.length} characters`).toBe(false)
})

describe('an error does not quote one', () => {
  const bad = async (name: string, text: string): Promise<string> => {
    await writeFile(sandbox.path(name), text, { mode: 0o600 })
    return sandbox.path(name)
  }

  test.each([
    ['a swarm key that is damaged', 'PINSUB_SWARM_KEY', () => bad('damaged.key', `hush ${formatSwarmKey(SWARM_KEY)}`)],
    ['a passphrase that is wrong', 'PINSUB_KEY_PASSPHRASE_FILE', () => bad('wrong', `hush-another`)],
    [
      'a key that is damaged',
      'PINSUB_KEY',
      async () => bad('damaged', (await readFile(join(you, 'id_ed25519'), 'utf8')).replace(/\n(.)(.)/, '\n$2$1'))
    ],
    ['a secret in the wrong file', 'PINSUB_KEY', () => bad('token', `hush-a-token`)],
    ['an authorization that is none', 'PINSUB_KUBO_AUTHORIZATION', async () => 'hush-no-scheme']
  ])('%s', async (_, name, value) => {
    const text = await value()
    const home = sandbox.path('other')
    const args =
      name === 'PINSUB_KUBO_AUTHORIZATION'
        ? ['node', '--network', 'x', '--backend', 'kubo', '--listen', '/ip4/127.0.0.1/tcp/0', '--home', home]
        : ['send', 'pin', ABSENT, '--home', you, '--bootstrap', agent.address]
    const { code, stdout, stderr } = await sandbox.run([...args, '--verbose', '--json'], { env: { ...env, [name]: text } })
    expect(code).not.toBe(0)
    expect(stdout).toContain('"event":"error"')
    const quoted = [...(await secrets()), 'hush'].filter((secret) => (stdout + stderr).includes(secret))
    expect(quoted).toEqual([])
  })

  test.each(['{"kubo-authorization":["Bearer hush"]}', '{"kubo-authorization": Bearer hush}', '{"kubo-authorization":99887766554433}'])(
    'config.json %s',
    async (text) => {
      const home = sandbox.path(`config-${text.length}`)
      await mkdir(home, { mode: 0o700 })
      await writeFile(join(home, 'config.json'), text, { mode: 0o600 })
      const { code, stderr } = await sandbox.run(['node', '--network', 'x', '--home', home, '--verbose'])
      expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('config.json') })
      expect(stderr).not.toMatch(/hush|9988/)
    }
  )

  test('as a flag it is refused, and not quoted', async () => {
    const { code, stderr } = await sandbox.run(['node', '--kubo-authorization', 'hush', '--network', 'x'])
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.not.stringContaining('hush') })
  })
})

test.skipIf(process.platform === 'win32')('what pinsub made is for its owner alone, but for what is public', async () => {
  const found = [...(await allFiles(you)), ...(await allFiles(agent.home))]
  expect(found.length).toBeGreaterThan(8)
  for (const path of found) {
    if (/\.pub$|known_nodes$|lock$/.test(path)) continue
    expect({ path, mode: (await lstat(path)).mode & 0o077 }).toEqual({ path, mode: 0 })
  }
})

/** Files below a folder, or the file itself. */
async function allFiles(path: string): Promise<string[]> {
  if (!(await lstat(path)).isDirectory()) return [path]
  const entries = await readdir(path, { recursive: true, withFileTypes: true })
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
}
