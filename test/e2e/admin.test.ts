/** Keys that change by message, with agents as they are shipped: let in, closed, revoked, rotated, adopted. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { PINSUB } from '../support/cli.ts'
import { agentArgs, createNetwork, only, startAgent, type Agent, type TestNetwork } from './network.ts'
import { until } from './state.ts'

let net: TestNetwork
let [a, b, c]: Agent[] = []

beforeEach(async () => {
  net = await createNetwork(3)
  ;[a, b, c] = net.agents as Agent[]
})
afterEach(() => net[Symbol.asyncDispose]())

/** Another person's home; its key is not let in anywhere. */
async function colleague(name: string): Promise<{ home: string; line: string; fingerprint: string }> {
  const home = await net.stranger(name)
  const { events } = await net.sandbox.run(['keys', 'show', '--home', home, '--json'])
  const { line, fingerprint } = events[0] as unknown as { line: string; fingerprint: string }
  return { home, line, fingerprint }
}

async function addFile(home: string, text: string): Promise<{ cid: string; code: number | null }> {
  const file = net.sandbox.path(`${text}.txt`)
  writeFileSync(file, text)
  const { stdout, code } = await net.sandbox.run(['add', file, '--name', text, '--home', home, '--timeout', '20s'])
  return { cid: stdout.trim(), code }
}

const sent = (home: string, args: readonly string[]) => net.sandbox.run([...args, '--home', home, '--json'])
const keysOf = async (agent: Agent) => only((await net.sandbox.run(['keys', 'list', '--home', agent.home, '--json'])).events, 'authorized')

test('a key is let in everywhere, pins, is revoked, and what it had pinned is taken over', { timeout: 90_000 }, async () => {
  const ann = await colleague('ann')
  const letIn = await net.as(['keys', 'add', ann.line, '--everywhere'])
  expect(letIn).toMatchObject({ code: 0 })
  expect(letIn.events.at(-1)).toMatchObject({
    event: 'done',
    op: 'authorize',
    subject: ann.fingerprint,
    replicas: 3,
    wanted: 3,
    result: 'ok'
  })

  const { cid, code } = await addFile(ann.home, 'from ann')
  expect(code).toBe(0)

  const revoked = await net.as(['keys', 'revoke', ann.fingerprint, '--everywhere'])
  expect(revoked).toMatchObject({ code: 0 })
  expect((await sent(ann.home, ['send', 'unpin', cid])).code).toBe(4)
  const status = only((await net.as(['status'])).events, 'status')
  expect(status).toMatchObject(Array.from({ length: 3 }, () => ({ cid, status: 'unowned', author: ann.fingerprint, name: 'from ann' })))

  const adopted = await net.as(['adopt'])
  expect(adopted).toMatchObject({ code: 0 })
  expect(only((await net.as(['status'])).events, 'status')).toMatchObject(
    Array.from({ length: 3 }, () => ({ cid, status: 'pinned', op: 'pin' }))
  )
  expect(only((await net.as(['ls'])).events, 'pin')).toMatchObject([{ cid, name: 'from ann' }])
  expect((await net.as(['adopt'])).code).toBe(0)
})

test('revoke --drop lets go of what only that key had pinned, and of nothing else', { timeout: 90_000 }, async () => {
  const ann = await colleague('ann')
  await net.as(['keys', 'add', ann.line, '--everywhere'])
  const hers = await addFile(ann.home, 'hers')
  const shared = await addFile(ann.home, 'shared')
  await net.as(['send', 'pin', shared.cid])
  expect((await net.as(['keys', 'revoke', ann.fingerprint, '--everywhere', '--drop'])).code).toBe(0)
  const rows = only((await net.as(['status'])).events, 'status').filter(({ source }) => source === 'live')
  const held = rows.filter(({ op, status }) => op === 'pin' || status === 'unowned')
  expect(new Set(held.map(({ cid }) => cid))).toEqual(new Set([shared.cid]))
  expect((await net.as(['status', hers.cid])).events.some(({ status }) => status === 'pinned' || status === 'unowned')).toBe(false)
})

test('the file that pinsub made notes it; one below .ssh is obeyed from the store', { timeout: 90_000 }, async () => {
  const ssh = net.sandbox.path('d/.ssh')
  mkdirSync(ssh, { recursive: true, mode: 0o700 })
  const foreign = join(ssh, 'authorized_keys')
  writeFileSync(foreign, `${net.authorize}\n`, { mode: 0o600 })
  const home = net.sandbox.path('d/home')
  const args = agentArgs(home, '--network', net.name, '--authorized-keys', foreign, '--bootstrap', (a as Agent).address)
  const d = await startAgent(net.sandbox, home, args)
  await net.as(['nodes', 'trust', d.peer])

  const ann = await colleague('ann')
  expect((await net.as(['keys', 'add', ann.line, '--everywhere', '--wait', '4'])).code).toBe(0)
  await until('it is noted', () => readFileSync(join((a as Agent).home, 'authorized_keys'), 'utf8').includes('# by message, last on '))
  expect(readFileSync(join((a as Agent).home, 'authorized_keys'), 'utf8')).toContain(`#   let in   ${ann.fingerprint}`)
  expect(readFileSync(foreign, 'utf8')).toBe(`${net.authorize}\n`)
  await d.process.complaint(/is obeyed from the store/)
  const listed = only(
    (await net.sandbox.run(['keys', 'list', '--home', home, '--authorized-keys', foreign, '--json'])).events,
    'authorized'
  )
  expect(listed).toMatchObject([{ admin: true }, { fingerprint: ann.fingerprint, state: 'active', message: { says: 'authorize' } }])
  expect((await sent(ann.home, ['send', 'pin', 'bafkqaaa'])).code).toBe(0)
})

const IN_READ_ONLY = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && exec "$@"'
const hasMounts = spawnSync('unshare', ['--mount', 'sh', '-c', 'mount --bind /tmp /tmp'], { encoding: 'utf8' }).status === 0
if (!hasMounts) console.warn('SKIPPED: a file mounted read-only (needs Linux, root and unshare)')

test('a file that is mounted read-only is obeyed from the store', { timeout: 60_000 }, async ({ skip }) => {
  skip(!hasMounts)
  const folder = net.sandbox.path('keys')
  mkdirSync(folder)
  const file = join(folder, 'authorized_keys')
  writeFileSync(file, `# made by pinsub\n${net.authorize}\n`, { mode: 0o600 })
  const home = net.sandbox.path('d')
  const args = agentArgs(home, '--network', net.name, '--authorized-keys', file, '--bootstrap', (a as Agent).address)
  const d = net.sandbox.spawn('unshare', ['--mount', 'sh', '-c', IN_READ_ONLY, folder, process.execPath, PINSUB, ...args], {
    deadline: 60_000
  })
  const { peer } = await d.event(({ event }) => event === 'ready')
  await net.as(['nodes', 'trust', peer as string])

  const ann = await colleague('ann')
  expect((await net.as(['keys', 'add', ann.line, '--everywhere'])).events.at(-1)).toMatchObject({ replicas: 4, wanted: 4, result: 'ok' })
  await d.complaint(/is obeyed from the store/)
  expect(readFileSync(file, 'utf8')).not.toContain('# by message')
  const listed = only((await net.sandbox.run(['keys', 'list', '--home', home, '--authorized-keys', file, '--json'])).events, 'authorized')
  expect(listed.find(({ fingerprint }) => fingerprint === ann.fingerprint)).toMatchObject({
    state: 'active',
    message: { says: 'authorize' }
  })
})

test('an old file saved back by an editor changes nothing, and the note comes back', { timeout: 60_000 }, async () => {
  const file = join((a as Agent).home, 'authorized_keys')
  const old = readFileSync(file, 'utf8')
  const ann = await colleague('ann')
  await net.as(['keys', 'add', ann.line, '--everywhere'])
  await until('it is noted', () => readFileSync(file, 'utf8').includes(ann.fingerprint))
  writeFileSync(`${file}~`, old, { mode: 0o600 })
  renameSync(`${file}~`, file)
  await until('it is noted again', () => readFileSync(file, 'utf8').includes(ann.fingerprint))
  expect((await sent(ann.home, ['send', 'pin', 'bafkqaaa', '--wait', '3'])).code).toBe(0)
})

test('a node that was off when a key was revoked does not act on it', { timeout: 60_000 }, async () => {
  const ann = await colleague('ann')
  await net.as(['keys', 'add', ann.line, '--everywhere'])
  const off = c as Agent
  await off.process.end('SIGKILL')
  expect((await net.as(['keys', 'revoke', ann.fingerprint, '--everywhere', '--wait', '2'])).code).toBe(0)
  await startAgent(net.sandbox, off.home, agentArgs(off.home))
  expect((await sent(ann.home, ['send', 'pin', 'bafkqaaa'])).code).toBe(4)
  const [there] = (await keysOf(off)).filter(({ fingerprint }) => fingerprint === ann.fingerprint)
  expect(there).toMatchObject({ state: 'revoked', message: { says: 'revoke' } })
})

test('with --no-remote-keys a node keeps what admins say and obeys none of it', { timeout: 60_000 }, async () => {
  const alone = b as Agent
  await alone.process.end()
  await startAgent(net.sandbox, alone.home, agentArgs(alone.home, '--no-remote-keys'))
  const ann = await colleague('ann')
  const { code, events } = await net.as(['keys', 'add', ann.line, '--everywhere', '--wait', '2'])
  expect(code).toBe(0)
  const { code: short, stderr } = await net.sandbox.run(['keys', 'add', ann.line, '--everywhere', '--timeout', '3s', '--home', net.home])
  expect(short).toBe(3)
  expect(stderr).toContain('--no-remote-keys is set')
  expect(only(events, 'ack').some(({ node, status }) => node !== alone.peer && status === 'applied')).toBe(true)
})

test('nodes are trusted and distrusted everywhere', { timeout: 60_000 }, async () => {
  const trusting = await net.as(['nodes', 'trust', (c as Agent).peer, '--everywhere'])
  expect(trusting).toMatchObject({ code: 0 })
  expect(only(trusting.events, 'done')).toMatchObject([{ op: 'trust', subject: (c as Agent).peer, replicas: 3 }])
  expect((await net.as(['nodes', 'distrust', (c as Agent).peer, '--everywhere'])).code).toBe(0)
  expect(readFileSync(join(net.home, 'known_nodes'), 'utf8')).toContain(`# distrusted`)
})

test('who is no admin changes nothing, and is told why', { timeout: 60_000 }, async () => {
  const ann = await colleague('ann')
  await net.as(['keys', 'add', ann.line, '--everywhere'])
  const { code, stderr } = await net.sandbox.run(['keys', 'revoke', 'SHA256:' + 'A'.repeat(43), '--everywhere', '--home', ann.home])
  expect(code).toBe(4)
  expect(stderr).toContain('its line lacks "admin"')
})

test('keys rotate: the new key commands, the old one is closed, what it said stays', { timeout: 90_000 }, async () => {
  const { cid } = await addFile(net.home, 'before')
  const before = (await net.as(['keys', 'show'])).events[0] as unknown as { fingerprint: string; line: string }
  const ann = await colleague('ann')
  await net.as(['keys', 'add', ann.line, '--everywhere'])

  const rotated = await net.as(['keys', 'rotate'])
  expect(rotated).toMatchObject({ code: 0 })
  const { old } = rotated.events.at(-1) as unknown as { old: string }
  const after = (await net.as(['keys', 'show'])).events[0] as unknown as { fingerprint: string }
  expect(after.fingerprint).not.toBe(before.fingerprint)
  expect(existsSync(join(net.home, 'id_ed25519.next'))).toBe(false)

  expect(only((await net.as(['status', cid])).events, 'done')).toMatchObject([{ result: 'ok', replicas: 3 }])
  expect((await net.as(['send', 'pin', cid, '--pinset', 'new'])).code).toBe(0)
  expect((await net.as(['send', 'pin', 'bafkqaaa', '--key', old])).code).toBe(4)
  // New nodes are let in on by the key that all began with.
  const { authorize } = (await net.as(['init'])).events.at(-1) as unknown as { authorize: string }
  expect(authorize).toBe(net.authorize)
  // What it let in stays, and its successor is an admin as it was.
  expect((await sent(ann.home, ['send', 'pin', 'bafkqaaa'])).code).toBe(0)
  expect((await net.as(['keys', 'revoke', ann.fingerprint, '--everywhere'])).code).toBe(0)
})

test('a stranger on the network neither chooses what stays of a closed key nor holds up a rotation', { timeout: 90_000 }, async () => {
  const home = net.sandbox.path('foreign')
  mkdirSync(home)
  // Lets another in, and nobody else.
  const ann = await colleague('ann')
  await startAgent(net.sandbox, home, agentArgs(home, '--network', net.name, '--authorize', ann.line, '--bootstrap', (a as Agent).address))
  expect((await net.as(['keys', 'rotate'])).code).toBe(0)
  expect((await net.as(['send', 'pin', 'bafkqaaa', '--wait', '3'])).code).toBe(0)
})

test('keys rotate is killed after it made the next key, and finds no .pub beside it', { timeout: 60_000 }, async () => {
  await net.sandbox.run(['keys', 'gen', join(net.home, 'id_ed25519.next'), '--home', net.home])
  const next = readFileSync(join(net.home, 'id_ed25519.next.pub'), 'utf8')
  rmSync(join(net.home, 'id_ed25519.next.pub'))
  expect((await net.as(['keys', 'rotate'])).code).toBe(0)
  expect(readFileSync(join(net.home, 'id_ed25519.pub'), 'utf8')).toBe(next)
  expect((await net.as(['send', 'pin', 'bafkqaaa'])).code).toBe(0)
})

test('a key that signs does not revoke itself', { timeout: 60_000 }, async () => {
  const { fingerprint } = (await net.as(['keys', 'show'])).events[0] as unknown as { fingerprint: string }
  expect((await net.as(['keys', 'revoke', fingerprint, '--everywhere'])).events.at(-1)).toMatchObject({ event: 'error', code: 'own-key' })
})

test('keys rotate goes on after a node was off, and after its files were left half moved', { timeout: 90_000 }, async () => {
  const off = c as Agent
  await off.process.end()
  const first = await net.as(['keys', 'rotate', '--timeout', '2s'])
  expect(first.code).toBe(3)
  expect(existsSync(join(net.home, 'id_ed25519.next'))).toBe(true)
  const next = readFileSync(join(net.home, 'id_ed25519.next.pub'), 'utf8').trim()

  await startAgent(net.sandbox, off.home, agentArgs(off.home))
  expect((await net.as(['keys', 'rotate'])).code).toBe(0)
  const [now] = (await net.as(['keys', 'show'])).events as unknown as { line: string }[]
  expect(now?.line).toBe(next)

  // Killed between closing the old key and moving the files: all is said, only the files are left.
  renameSync(join(net.home, 'id_ed25519'), join(net.home, 'id_ed25519.next'))
  renameSync(join(net.home, 'id_ed25519.pub'), join(net.home, 'id_ed25519.next.pub'))
  const again = await net.as(['keys', 'rotate'])
  expect(again).toMatchObject({ code: 0 })
  expect(readFileSync(join(net.home, 'id_ed25519.pub'), 'utf8').trim()).toBe(next)
  expect((await net.as(['send', 'pin', 'bafkqaaa'])).code).toBe(0)
})
