/** What people ask: status, ls, nodes, nodes trust, keys. */
import { existsSync } from 'node:fs'
import { readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { leaf } from '../support/dags.ts'
import { createNetwork, only, type TestNetwork } from './network.ts'

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/
const ABSENT = (await leaf('questions: nobody has this')).cid.toString()

let net: TestNetwork
let cid: string
beforeAll(async () => {
  net = await createNetwork(2)
  const file = net.sandbox.path('report.txt')
  await writeFile(file, 'a report')
  cid = only((await net.as(['add', file, '--name', 'report'])).events, 'imported')[0]?.['cid'] as string
})
afterAll(() => net[Symbol.asyncDispose]())

test('ls lists what is wanted, and who wants and holds it', async () => {
  const { code, events } = await net.as(['ls'])
  expect(code).toBe(0)
  const { fingerprint } = only((await net.as(['keys', 'show'])).events, 'key')[0] as unknown as { fingerprint: string }
  expect(events).toMatchObject([
    {
      event: 'pin',
      cid,
      pinset: 'default',
      name: 'report',
      author: fingerprint,
      at: expect.stringMatching(RFC3339),
      nodes: expect.any(Array)
    }
  ])
  expect(new Set(events[0]?.['nodes'] as string[])).toEqual(new Set(net.agents.map(({ peer }) => peer)))
  expect((await net.as(['ls', '--pinset', 'nothing-here'])).events).toEqual([])
  const shown = await net.sandbox.run(['ls', '--home', net.home])
  expect(shown.stdout).toMatch(new RegExp(`^${cid}  default  2 nodes  \\d{4}-\\d\\d-\\d\\d  report\n$`))
})

test('nodes tells who is there', async () => {
  const { code, events } = await net.as(['nodes'])
  expect(code).toBe(0)
  expect(events).toHaveLength(2)
  for (const { peer, address } of net.agents) {
    expect(events.find(({ node }) => node === peer)).toMatchObject({
      event: 'node',
      node: peer,
      addresses: [address.replace(/\/p2p\/.*/, '')],
      state: 'online',
      last_seen: expect.stringMatching(RFC3339),
      backend: 'helia',
      version: expect.stringMatching(/^pinsub\/\d/),
      trusted: true,
      behind: 0,
      free: expect.any(Number)
    })
  }
})

test('nodes trust writes known_nodes once, and a node that counts is awaited', async () => {
  const home = net.sandbox.path('trusting')
  const [first] = net.agents
  const run = () => net.sandbox.run(['nodes', 'trust', first?.peer ?? '', '--home', home, '--json'])
  const file = join(home, 'known_nodes')
  expect((await run()).events).toEqual([{ event: 'trusted', node: first?.peer, file, added: true }])
  expect((await run()).events).toEqual([{ event: 'trusted', node: first?.peer, file, added: false }])
  expect((await readFile(file, 'utf8')).match(/^12D3/gm)).toHaveLength(1)
  const wrong = await net.sandbox.run(['nodes', 'trust', '12D3Koo', '--home', home, '--json'])
  expect(wrong.code).toBe(2)
  expect(wrong.events).toEqual([expect.objectContaining({ event: 'error', message: expect.stringContaining('"12D3Koo"') })])
})

describe('status', () => {
  test('how each node stands, asked now', async () => {
    const { code, events } = await net.as(['status', cid])
    expect(code).toBe(0)
    const rows = only(events, 'status')
    expect(new Set(rows.map(({ node }) => node))).toEqual(new Set(net.agents.map(({ peer }) => peer)))
    for (const row of rows) {
      expect(row).toMatchObject({
        cid,
        pinset: 'default',
        status: 'pinned',
        bytes: 8,
        at: expect.stringMatching(RFC3339),
        source: 'live',
        trusted: true
      })
    }
    expect(events.at(-1)).toEqual({ event: 'done', cid, op: 'pin', pinset: 'default', replicas: 2, wanted: 2, result: 'ok' })
  })

  test('short is 3: a CID that nobody has heard of, one that nobody has, more replicas than there are', async () => {
    const unknown = await net.as(['status', ABSENT])
    expect(unknown).toMatchObject({ code: 3 })
    expect(unknown.events).toEqual([{ event: 'done', cid: ABSENT, op: 'pin', replicas: 0, wanted: 2, result: 'short' }])
    await net.as(['send', 'pin', ABSENT, '--detach', '--pinset', 'waiting'])
    const waiting = await net.as(['status', ABSENT])
    expect(waiting.code).toBe(3)
    expect(only(waiting.events, 'status').every(({ status }) => status === 'pinning' || status === 'queued')).toBe(true)
    expect((await net.as(['status', cid, '--wait', '3'])).code).toBe(3)
    await net.as(['send', 'unpin', ABSENT, '--pinset', 'waiting'])
  })

  test('a server without a key may ask', async () => {
    const [agent] = net.agents
    expect(existsSync(join(agent?.home ?? '', 'id_ed25519'))).toBe(false)
    const { code, events } = await net.sandbox.run([
      'status',
      cid,
      '--home',
      agent?.home ?? '',
      '--bootstrap',
      agent?.address ?? '',
      '--json'
    ])
    expect(code).toBe(0)
    expect(only(events, 'status')).toHaveLength(2)
  })
})

describe('keys', () => {
  test('gen makes a private key that OpenSSH reads, and never overwrites one', async () => {
    const file = net.sandbox.path('keys', 'ci')
    const made = await net.sandbox.run(['keys', 'gen', file, '--json'])
    expect(made.code).toBe(0)
    const [key] = only(made.events, 'key')
    expect(key).toEqual({
      event: 'key',
      line: expect.stringMatching(/^ssh-ed25519 AAAA/),
      fingerprint: expect.stringMatching(/^SHA256:/),
      file
    })
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    expect((await stat(`${file}.pub`)).mode & 0o777).toBe(0o644)
    const before = await readFile(file, 'utf8')
    const again = await net.sandbox.run(['keys', 'gen', file, '--json'])
    expect(again.code).toBe(1)
    expect(again.events).toEqual([expect.objectContaining({ event: 'error', code: 'exists', message: expect.stringContaining(file) })])
    expect(await readFile(file, 'utf8')).toBe(before)
  })

  test('show prints the bare line', async () => {
    const shown = await net.sandbox.run(['keys', 'show', '--home', net.home])
    expect(shown).toMatchObject({ code: 0, stderr: '', stdout: `${net.line}\n` })
  })

  test('add and list', async () => {
    const home = net.sandbox.path('keyring')
    const file = join(home, 'authorized_keys')
    const added = await net.sandbox.run(['keys', 'add', `pinset="site" ${net.line}`, '--home', home, '--json'])
    expect(only(added.events, 'authorized')).toMatchObject([{ state: 'active', added: true, file }])
    expect((await stat(file)).mode & 0o777).toBe(0o600)
    // As words, the way a pasted line without quotes arrives.
    const again = await net.sandbox.run(['keys', 'add', ...net.line.split(' '), '--home', home, '--json'])
    expect(only(again.events, 'authorized')).toMatchObject([{ added: false }])
    const { code, events } = await net.sandbox.run(['keys', 'list', '--home', home, '--json'])
    expect(code).toBe(0)
    expect(events).toMatchObject([{ event: 'authorized', state: 'active', pinsets: ['site'], ops: ['pin', 'unpin'], expires: null, file }])
    const broken = await net.sandbox.run(['keys', 'add', 'ssh-ed25519 AAAAbroken', '--home', home, '--json'])
    expect(broken.code).toBe(2)
    expect(only((await net.sandbox.run(['keys', 'list', '--home', home, '--json'])).events, 'authorized')).toHaveLength(1)
  })
})

test('when a node is down its last word counts, and says so; when all are, there is nobody to ask', async () => {
  const [first, second] = net.agents
  await second?.process.end()
  const { code, events } = await net.as(['status', cid])
  const source = (peer: string | undefined) => only(events, 'status').find(({ node }) => node === peer)?.['source']
  expect([source(first?.peer), source(second?.peer)]).toEqual(['live', 'receipt'])
  expect(code).toBe(0)
  const shown = await net.sandbox.run(['status', cid, '--home', net.home])
  expect(shown.stdout).toContain('its last word; it does not answer now')

  await first?.process.end()
  for (const args of [['status'], ['ls'], ['nodes']]) {
    const nobody = await net.as(args)
    expect(nobody.code).toBe(5)
    expect(nobody.events).toEqual([expect.objectContaining({ event: 'error', code: 'no-node' })])
  }
})
