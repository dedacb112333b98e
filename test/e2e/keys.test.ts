/** `pinsub keys` beside a running agent: add, remove, revoke and check, and how soon each is in force. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { leaf } from '../support/dags.ts'
import { createSandbox, type Ended, type Sandbox } from '../support/cli.ts'
import { agentArgs, only, startAgent, type Agent } from './network.ts'

const NETWORK = 'keys'
/** What is promised, and a second for a machine that is busy. */
const IN_FORCE_MS = 2_000

let sandbox: Sandbox
let agent: Agent
let owner: Person

interface Person {
  readonly name: string
  readonly line: string
  readonly fingerprint: string
  send(...args: string[]): Promise<Ended>
}

async function person(name: string): Promise<Person> {
  const home = sandbox.path(name)
  await mkdir(home, { mode: 0o700 })
  await writeFile(join(home, 'config.json'), JSON.stringify({ network: NETWORK, bootstrap: [agent.address] }))
  const { events } = await sandbox.run(['keys', 'gen', '--home', home, '--json'])
  const line = String(events[0]?.['line']).replace(/\S+$/, name)
  const send = (...args: string[]): Promise<Ended> => sandbox.run(['send', ...args, '--home', home, '--json'])
  return { name, line, fingerprint: events[0]?.['fingerprint'] as string, send }
}

/** `pinsub keys …` in the home of the agent. */
const keys = (...args: string[]): Promise<Ended> => sandbox.run(['keys', ...args, '--home', agent.home])
const inJson = async (...args: string[]): Promise<Ended> => keys(...args, '--json')

/** Runs a change and waits until the agent goes by it. */
async function inForce(change: () => Promise<Ended>): Promise<Ended> {
  const since = agent.process.said()
  const ended = await change()
  const begun = performance.now()
  await agent.process.complaint(/authorized_keys changed/, since)
  expect(performance.now() - begun).toBeLessThan(IN_FORCE_MS)
  return ended
}

const refusal = ({ events }: Ended): unknown => only(events, 'ack').at(-1)?.['code']
const cid = async (text: string): Promise<string> => (await leaf(`keys: ${text}`)).cid.toString()

beforeAll(async () => {
  sandbox = createSandbox()
  const home = sandbox.path('node')
  agent = await startAgent(sandbox, home, agentArgs(home, '--network', NETWORK))
  owner = await person('owner')
  await inForce(() => keys('add', owner.line))
})
afterAll(() => sandbox[Symbol.asyncDispose]())

test('gen names the key as --comment says, else by user and machine', async () => {
  const named = await keys('gen', sandbox.path('ci-key'), '--comment', 'ci@build')
  expect(named).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ssh-ed25519 \S+ ci@build\n$/) })
  expect(await readFile(sandbox.path('ci-key.pub'), 'utf8')).toBe(named.stdout)
  expect((await keys('gen', sandbox.path('bare-key'), '--comment', '')).stdout).toMatch(/^ssh-ed25519 \S+\n$/)
  expect((await keys('gen', sandbox.path('own-key'))).stdout).toMatch(/^ssh-ed25519 \S+ \S+@\S+\n$/)
})

test('add lets in, remove closes, by whatever name the key is called', async () => {
  const ann = await person('ann')
  expect((await ann.send('pin', await cid('early'), '--detach')).code).toBe(4)
  // As a shell without quotes gives it.
  const added = await inForce(() => inJson('add', ...ann.line.split(' ')))
  expect(added.events).toMatchObject([{ event: 'authorized', state: 'active', fingerprint: ann.fingerprint, added: true, changed: true }])
  expect((await inJson('add', ann.line)).events).toMatchObject([{ added: false, changed: false }])
  expect((await ann.send('pin', await cid('in'), '--detach')).code).toBe(0)

  const removed = await inForce(() => inJson('remove', ann.fingerprint.slice(0, 20)))
  expect(removed.events).toMatchObject([
    { event: 'authorized', state: 'closed', line: ann.line, fingerprint: ann.fingerprint, changed: true }
  ])
  const sent = await ann.send('pin', await cid('late'), '--detach')
  expect([sent.code, refusal(sent)]).toEqual([4, 'unauthorised'])
  expect(await keys('remove', ann.fingerprint)).toMatchObject({ code: 0, stdout: expect.stringContaining('was gone already') })
})

test('a key that the first start wrote to the file is closed by taking it out, though the agent still runs', async () => {
  const early = await person('early')
  const home = sandbox.path('first-start')
  await using process = sandbox.start(agentArgs(home, '--network', NETWORK, '--authorize', early.line))
  const ready = await process.event(({ event }) => event === 'ready')
  const bootstrap = ['--bootstrap', (ready['addresses'] as string[])[0] as string]
  expect((await early.send('pin', await cid('by the first start'), '--detach', ...bootstrap)).code).toBe(0)
  const since = process.said()
  await sandbox.run(['keys', 'remove', 'early', '--home', home])
  await process.complaint(/authorized_keys changed: 0 keys/, since)
  const sent = await early.send('pin', await cid('after it'), '--detach', ...bootstrap)
  expect([sent.code, refusal(sent)]).toEqual([4, 'unauthorised'])
})

test('check foretells what revoke then does, beside the agent that runs', async () => {
  const thief = await person('thief')
  await inForce(() => keys('add', thief.line))
  const stolen = await cid('stolen')
  expect((await thief.send('pin', stolen, '--detach')).code).toBe(0)
  const [file, draft] = [join(agent.home, 'authorized_keys'), sandbox.path('draft')]
  await writeFile(draft, (await readFile(file, 'utf8')).replace(thief.line, `@revoked ${thief.line}`), { mode: 0o600 })
  const told = await inJson('check', draft)
  expect(told.code).toBe(0)
  expect(told.events).toMatchObject([
    { event: 'change', change: 'revoked', fingerprint: thief.fingerprint, comment: 'thief', line: `@revoked ${thief.line}`, file: draft },
    { event: 'effect', effect: 'unowned', cid: stolen, pinset: 'default', fingerprint: thief.fingerprint },
    { event: 'checked', compared: true, authorized: 1, changes: 1, unowned: 1, released: 0, wanted: 0, broken: 0 }
  ])
  expect((await keys('check', draft)).stdout).toMatch(/revoked +line \d+ +SHA256:.*thief\n1 pin would become unowned: .*\n +unowned +baf/)

  await inForce(() => keys('revoke', 'thief'))
  expect(await readFile(file, 'utf8')).toBe(await readFile(draft, 'utf8'))
  expect(await keys('revoke', thief.line)).toMatchObject({ code: 0, stdout: expect.stringContaining('was revoked already') })
  expect((await keys('check')).stdout).toContain('No key changes.')
  const sent = await thief.send('pin', await cid('more'), '--detach')
  expect([sent.code, refusal(sent)]).toEqual([4, 'unauthorised'])
  expect(await keys('add', thief.line)).toMatchObject({ code: 1, stderr: expect.stringMatching(/authorized_keys:\d+ revokes this key/) })
})

test('a key is refused as soon as its expiry-time has come', async () => {
  const guest = await person('guest')
  const end = new Date(Math.ceil(Date.now() / 1_000 + 3) * 1_000)
  await inForce(() => keys('add', `expiry-time="${end.toISOString().replace(/\D/g, '').slice(0, 14)}" ${guest.line}`))
  if (Date.now() < end.getTime() - 1_000) expect((await guest.send('pin', await cid('guest'), '--detach')).code).toBe(0)
  const late = await cid('guest is late')
  const trying = async (): Promise<unknown> =>
    Date.now() < end.getTime() ? 'too early' : refusal(await guest.send('pin', late, '--detach'))
  await expect.poll(trying, { timeout: 10_000, interval: 100 }).toBe('expired')
})

test('a key that is not clear is an error that lists what it may mean, and nothing is changed', async () => {
  const file = sandbox.path('made')
  const twins = [await person('twin-1'), await person('twin-2')].map(({ line }) => line.replace(/\S+$/, 'twin'))
  await keys('add', ...twins, '--authorized-keys', file)
  const before = await readFile(file, 'utf8')
  const several = await keys('remove', 'twin', '--authorized-keys', file)
  expect(several).toMatchObject({
    code: 2,
    stderr: expect.stringMatching(/several keys[^]*made:3: SHA256:\S+ twin\n[^]*made:4: SHA256:\S+ twin/)
  })
  const none = await keys('revoke', 'nobody', '--authorized-keys', file)
  expect(none).toMatchObject({ code: 2, stderr: expect.stringMatching(/no key "nobody"[^]*made:3: /) })
  const unknown = await keys('revoke', owner.fingerprint, '--authorized-keys', file)
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('give the whole key') })
  const other = await keys('add', `ops="pin" ${twins[0]}`, '--authorized-keys', file)
  expect(other).toMatchObject({ code: 1, stderr: expect.stringMatching(/made:3 lets SHA256:\S+ in with other options/) })
  expect(await readFile(file, 'utf8')).toBe(before)
})

test('a file of another is not written, and the error says what an editor must do', async () => {
  const file = sandbox.path('theirs')
  await writeFile(file, `${owner.line}\n`, { mode: 0o600 })
  const ended = await keys('revoke', 'owner', '--authorized-keys', file)
  expect(ended).toMatchObject({ code: 1, stderr: expect.stringContaining(`make line 1  @revoked ${owner.line}`) })
  expect(await readFile(file, 'utf8')).toBe(`${owner.line}\n`)
})

test('check without an agent says so, and fails for a broken line', async () => {
  const file = sandbox.path('broken')
  await writeFile(file, `${owner.line}\nops="fly" ${owner.line}\n`, { mode: 0o600 })
  const home = sandbox.path('nobody')
  const checked = await sandbox.run(['keys', 'check', file, '--home', home])
  expect(checked).toMatchObject({ code: 1, stderr: expect.stringContaining(`${file}:2: `) })
  expect(checked.stdout).toContain('no agent has run in this home')
  const missing = await sandbox.run(['keys', 'check', '--home', home])
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('there is no file') })
})
