/** `pinsub add`: from a folder on the sender to verified blocks on every node's disk, and nothing left behind. */
import { randomBytes } from 'node:crypto'
import { mkdir, readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createNetwork, only, type TestNetwork } from './network.ts'

let net: TestNetwork
beforeAll(async () => {
  net = await createNetwork()
})
afterAll(() => net[Symbol.asyncDispose]())

/** Makes files below a new folder; their content is a text or a number of bytes. */
async function folder(name: string, files: Readonly<Record<string, string | number>>): Promise<string> {
  const dir = net.sandbox.path(name)
  await mkdir(dir)
  for (const [path, content] of Object.entries(files)) {
    await mkdir(join(dir, path, '..'), { recursive: true })
    await writeFile(join(dir, path), typeof content === 'string' ? content : randomBytes(content))
  }
  return dir
}

/** The order of kinds of events, repetitions once. */
function order(events: readonly { readonly event: string }[]): string[] {
  return events.map(({ event }) => event).filter((event, i, all) => event !== all[i - 1])
}

async function temporaries(): Promise<string[]> {
  return readdir(net.sandbox.temp)
}

test('a folder is imported, published, held by all, and read back from every disk', async () => {
  const site = await folder('site', { 'index.html': '<h1>hello</h1>', 'img/big.bin': 3_000_000, 'img/small.txt': 'small', '.hidden': 'no' })
  await mkdir(join(site, 'empty'))
  await symlink('index.html', join(site, 'link'))
  const { code, events, stderr } = await net.as(['add', site, '--name', 'my site'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(order(events)).toEqual(['progress', 'imported', 'sent', 'ack', 'done'])
  for (const { bytes, total } of only(events, 'progress')) {
    expect(total).toBe(3_000_000 + '<h1>hello</h1>small'.length)
    expect(bytes).toBeLessThanOrEqual(total as number)
  }
  const [imported] = only(events, 'imported')
  expect(imported).toMatchObject({ cid: expect.stringMatching(/^bafybei/), bytes: 3_000_019, files: 3 })
  const cid = imported?.['cid'] as string
  expect(only(events, 'done')).toEqual([{ event: 'done', cid, op: 'pin', replicas: 3, wanted: 3, result: 'ok' }])
  const [sent] = only(events, 'sent')
  for (const ack of only(events, 'ack')) expect(ack).toMatchObject({ command: sent?.['command'], cid, op: 'pin', trusted: true })
  const last = net.agents.map(({ peer }) => only(events, 'ack').findLast(({ node }) => node === peer)?.['status'])
  expect(last).toEqual(['pinned', 'pinned', 'pinned'])

  const found = await Promise.all(net.agents.map((agent) => net.onDisk(agent, cid)))
  expect(new Set(found.map(({ blocks }) => blocks)).size).toBe(1)
  for (const each of found) expect(each).toMatchObject({ missing: 0, corrupt: 0, blocks: expect.any(Number) })
  expect(found[0]?.blocks).toBeGreaterThan(12)
  expect(await temporaries()).toEqual([])
  const pins = only((await net.as(['ls'])).events, 'pin')
  expect(pins.find((pin) => pin['cid'] === cid)).toMatchObject({
    name: 'my site',
    pinset: 'default',
    nodes: expect.arrayContaining(net.agents.map(({ peer }) => peer))
  })
})

test('for people: the CID alone on stdout, the story on stderr', async () => {
  const file = join(await folder('people', { 'a.txt': 'hello world' }), 'a.txt')
  const { code, stdout, stderr } = await net.sandbox.run(['add', file, '--home', net.home])
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e\n' })
  expect(stderr).toMatch(/1 file, 11 B imported/)
  expect(stderr).toMatch(/3\/3 replicas in .* You can go offline\./)
  expect(stderr.match(/pinned/g)).toHaveLength(3)
  expect(stderr).not.toContain('\u001b')
})

test('--hidden changes what is imported; an empty folder is a folder', async () => {
  const dir = await folder('hidden', { a: 'a', '.b': 'b' })
  const empty = await folder('empty', {})
  const [without, including, nothing] = await Promise.all(
    [
      ['add', dir],
      ['add', dir, '--hidden'],
      ['add', empty]
    ].map((args) => net.as(args))
  )
  expect([without?.code, including?.code, nothing?.code]).toEqual([0, 0, 0])
  const files = [without, including, nothing].map((ran) => only(ran?.events ?? [], 'imported')[0]?.['files'])
  expect(files).toEqual([1, 2, 0])
  expect(only(nothing?.events ?? [], 'imported')[0]?.['cid']).toBe('bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354')
})

test('what cannot be read is named, nothing is published, and nothing is left', async () => {
  const missing = net.sandbox.path('no-such-file')
  const { code, events } = await net.as(['add', missing])
  expect(code).toBe(1)
  expect(events).toEqual([{ event: 'error', code: 'not-found', message: expect.stringContaining(missing) }])
  const shown = await net.sandbox.run(['add', missing, '--home', net.home])
  expect(shown).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining(missing) })
  expect(shown.stderr).not.toMatch(/^\s+at /m)
  expect(await temporaries()).toEqual([])
})

test.skipIf(process.getuid?.() === 0)('a file that this user may not read is named', async () => {
  const dir = await folder('secret', { a: 'a' })
  await writeFile(join(dir, 'locked'), 'x', { mode: 0o000 })
  const { code, events } = await net.as(['add', dir])
  expect(code).toBe(1)
  expect(events.at(-1)).toMatchObject({ event: 'error', message: expect.stringContaining('locked') })
  expect(only(events, 'sent')).toEqual([])
  expect(await temporaries()).toEqual([])
})

test('Ctrl-C while it waits ends it with 130 and removes what was imported', async () => {
  const dir = await folder('waiting', { a: 'waits for a fourth node' })
  const adding = net.sandbox.start(['add', dir, '--wait', '4', '--home', net.home, '--json'])
  await adding.event(({ event, status }) => event === 'ack' && status === 'pinned')
  expect(await temporaries()).not.toEqual([])
  const { code, events, stderr } = await adding.end('SIGINT')
  expect({ code, stderr }).toEqual({ code: 130, stderr: '' })
  expect(only(events, 'done')).toEqual([])
  expect(await temporaries()).toEqual([])
  const told = net.sandbox.start(['add', dir, '--wait', '4', '--home', net.home])
  await told.complaint(/imported/)
  expect(await told.end('SIGINT')).toMatchObject({ code: 130, stdout: '', stderr: expect.stringMatching(/\nInterrupted: .*\n$/) })
  expect(await temporaries()).toEqual([])
  // What was published stands.
  const cid = only(events, 'imported')[0]?.['cid'] as string
  expect((await net.as(['status', cid])).code).toBe(0)
})
