/** Who may do what: strangers, keys with limits, keys that are closed, revoked and let in again, while the agents run. */
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { leaf } from '../support/dags.ts'
import { createSandbox, type Ended, type Sandbox } from '../support/cli.ts'
import { agentArgs, only, startAgent, type Agent } from './network.ts'

const ABSENT = (await leaf('authority: nobody has this')).cid.toString()
const NETWORK = 'authority'

let sandbox: Sandbox
let agents: Agent[]
/** Authorized without limits, so that others' pins can be looked at. */
let owner: Person

interface Person {
  readonly home: string
  /** `ssh-ed25519 AAAA… name`. */
  readonly line: string
  run(...args: string[]): Promise<Ended>
}

async function person(name: string): Promise<Person> {
  const home = sandbox.path(name)
  await mkdir(home, { mode: 0o700 })
  await writeFile(join(home, 'config.json'), JSON.stringify({ network: NETWORK, bootstrap: agents.map(({ address }) => address) }))
  const line = (await sandbox.run(['keys', 'gen', '--home', home])).stdout.trim()
  return { home, line, run: (...args) => sandbox.run([...args, '--home', home, '--json']) }
}

/** Rewrites the authorized_keys of every agent and waits until each says that the change counts. */
async function rewrite(edit: (text: string) => string): Promise<void> {
  await Promise.all(
    agents.map(async ({ home, process }) => {
      const file = join(home, 'authorized_keys')
      const since = process.said()
      await writeFile(file, edit(await readFile(file, 'utf8')))
      await process.complaint(/authorized_keys changed/, since)
    })
  )
}

async function authorize(line: string): Promise<void> {
  await rewrite((text) => `${text.trimEnd()}\n${line}\n`)
}

async function wanted(): Promise<string[]> {
  return only((await owner.run('ls')).events, 'pin').map((pin) => pin['cid'] as string)
}

/** The codes of refusals that a send told of. */
function refusals({ events }: Ended): unknown[] {
  return [...new Set(only(events, 'ack').map(({ status, code }) => (status === 'refused' ? code : status)))]
}

/** Adds a file of its own for a person, and returns its CID. */
async function add(by: Person, text: string): Promise<string> {
  const file = join(by.home, 'content.txt')
  await writeFile(file, text)
  const added = await by.run('add', file)
  expect(added.code).toBe(0)
  return only(added.events, 'imported')[0]?.['cid'] as string
}

beforeAll(async () => {
  sandbox = createSandbox()
  agents = []
  const key = (await sandbox.run(['keys', 'gen', sandbox.path('owner-key')])).stdout.trim()
  for (const name of ['a', 'b']) {
    const home = sandbox.path(name)
    await sandbox.run(['keys', 'add', key, '--home', home])
    const bootstrap = agents.flatMap(({ address }) => ['--bootstrap', address])
    agents.push(await startAgent(sandbox, home, agentArgs(home, '--network', NETWORK, ...bootstrap)))
  }
  owner = await person('owner')
  const { run } = owner
  owner = { ...owner, line: key, run: (...args) => run(...args, ...(args[0] === 'keys' ? [] : ['--key', sandbox.path('owner-key')])) }
})
afterAll(() => sandbox[Symbol.asyncDispose]())

test('a stranger is refused by every node, told why, and nothing is pinned', async () => {
  const stranger = await person('stranger')
  const sent = await stranger.run('send', 'pin', ABSENT)
  expect(sent).toMatchObject({ code: 4, stderr: '' })
  expect(refusals(sent)).toEqual(['unauthorised'])
  expect(sent.events.at(-1)).toMatchObject({ event: 'done', cid: ABSENT, replicas: 0, result: 'refused' })
  expect(await wanted()).not.toContain(ABSENT)
  const shown = await sandbox.run(['send', 'pin', ABSENT, '--home', stranger.home])
  expect(shown).toMatchObject({
    code: 4,
    stdout: expect.stringMatching(
      /refused by every node reached: SHA256:\S+ does not count there: it is not in authorized_keys, or was closed or revoked/
    )
  })
  const { stdout: fingerprint } = await sandbox.run(['keys', 'show', '--home', stranger.home, '--json'])
  expect(shown.stdout).toContain((JSON.parse(fingerprint) as { fingerprint: string }).fingerprint)
})

test('what a stranger asked for is asked again once it is let in', async () => {
  const late = await person('late')
  const [first, second] = await Promise.all(['asked too early', 'asked in time'].map((text) => leaf(text)))
  expect((await late.run('send', 'pin', String(first?.cid))).code).toBe(4)
  await authorize(late.line)
  expect((await late.run('send', 'pin', String(second?.cid), '--detach')).code).toBe(0)
  await expect.poll(wanted, { timeout: 10_000 }).toEqual(expect.arrayContaining([String(first?.cid), String(second?.cid)]))
  await late.run('send', 'unpin', String(first?.cid), String(second?.cid))
})

test('ops="pin" may pin and not unpin; pinset="site" is held to it', async () => {
  const [pinner, site] = [await person('pinner'), await person('site')]
  await authorize(`ops="pin" ${pinner.line}\npinset="site,blog-*" ${site.line}`)
  const cid = await add(pinner, 'pinned by who may only pin')
  const unpin = await pinner.run('send', 'unpin', cid)
  expect(unpin.code).toBe(4)
  expect(refusals(unpin)).toEqual(['operation'])
  expect(await wanted()).toContain(cid)
  expect((await owner.run('status', cid)).code).toBe(0)

  const other = await site.run('send', 'pin', cid)
  expect(other.code).toBe(4)
  expect(refusals(other)).toEqual(['pinset'])
  expect((await site.run('send', 'pin', cid, '--pinset', 'site')).code).toBe(0)
  expect((await site.run('send', 'pin', cid, '--pinset', 'blog-2027')).code).toBe(0)
  expect((await site.run('send', 'pin', cid, '--pinset', 'blogs')).code).toBe(4)
})

test('a key past its expiry-time is refused, one before its valid-after too', async () => {
  const [old, early] = [await person('old'), await person('early')]
  await authorize(`expiry-time="20200101" ${old.line}\nvalid-after="20990101" ${early.line}`)
  const sent = await Promise.all([old, early].map(({ run }) => run('send', 'pin', ABSENT)))
  expect(sent.map(({ code }) => code)).toEqual([4, 4])
  expect(sent.map(refusals)).toEqual([['expired'], ['unauthorised']])
  const { events } = await sandbox.run(['keys', 'list', '--home', agents[0]?.home ?? '', '--json'])
  expect(only(events, 'authorized').map(({ state }) => state)).toEqual(expect.arrayContaining(['active', 'expired', 'not-yet']))
})

test('a line that is removed closes a key: nothing new counts, what it said holds, and it may come back', async () => {
  const leaver = await person('leaver')
  await authorize(leaver.line)
  const cid = await add(leaver, 'said before the line went')
  await rewrite((text) => text.replace(leaver.line, ''))
  const sent = await leaver.run('send', 'unpin', cid)
  expect(sent.code).toBe(4)
  expect(refusals(sent)).toEqual(['unauthorised'])
  const shown = await sandbox.run(['send', 'unpin', cid, '--home', leaver.home])
  expect(shown.stdout).toContain('or was closed or revoked')
  expect(await wanted()).toContain(cid)
  expect(only((await owner.run('status', cid)).events, 'status').map(({ status }) => status)).toEqual(['pinned', 'pinned'])

  await authorize(leaver.line)
  expect((await leaver.run('send', 'unpin', cid)).code).toBe(0)
  expect(await wanted()).not.toContain(cid)
})

test('@revoked voids what a key said: no replica, and every byte kept', async () => {
  const thief = await person('thief')
  await authorize(thief.line)
  const cid = await add(thief, 'pinned by who was revoked')
  await rewrite((text) => text.replace(thief.line, `@revoked ${thief.line}`))
  const sent = await thief.run('send', 'pin', ABSENT)
  expect(sent.code).toBe(4)
  expect(refusals(sent)).toEqual(['unauthorised'])
  await expect.poll(wanted, { timeout: 10_000 }).not.toContain(cid)
  const status = await owner.run('status', cid)
  expect(status.code).toBe(3)
  expect(status.events.at(-1)).toMatchObject({ event: 'done', cid, replicas: 0, result: 'short' })
  const { CID } = await import('multiformats/cid')
  const { createFileBlockstore } = await import('../../src/content/blockstore.ts')
  for (const { home } of agents) {
    expect(await createFileBlockstore({ dir: join(home, 'node', 'blocks'), durable: false }).has(CID.parse(cid))).toBe(true)
  }
})

test('a broken line grants nothing, is reported with its line, and the others hold', async () => {
  const since = agents.map(({ process }) => process.said())
  await rewrite((text) => `${text.trimEnd()}\nops="fly" ${owner.line.replace(/\S+$/, 'broken')}\n`)
  const lines = (await readFile(join(agents[0]?.home ?? '', 'authorized_keys'), 'utf8')).trimEnd().split('\n').length
  await Promise.all(agents.map(({ process }, i) => process.complaint(new RegExp(`authorized_keys:${lines}: `), since[i])))
  expect((await owner.run('send', 'pin', ABSENT, '--detach')).code).toBe(0)
  await owner.run('send', 'unpin', ABSENT)
})
