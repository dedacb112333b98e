/** `pinsub log`: on a node and on a laptop, filtered, followed over a restart, and its export checked without either. */
import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Ended, Event, Running } from '../support/cli.ts'
import { agentArgs, createNetwork, only, startAgent, type Agent, type TestNetwork } from './network.ts'

let net: TestNetwork
let agent: Agent
let stranger: string
let pinned: string
let gone: string

const run = (...args: string[]): Promise<Ended> => net.sandbox.run(args)
const logOf = async (home: string, ...more: string[]): Promise<Event[]> => {
  const { code, events, stderr } = await run('log', '--home', home, '--json', ...more)
  if (code !== 0) throw new Error(`log: ${stderr}`)
  return [...events]
}
const ops = ({ ops: all }: Event): Event[] => all as Event[]

/** Ends the agent, which writes what it has noted, and starts it where it was. */
async function restart(): Promise<void> {
  await agent.process.end()
  agent = await startAgent(net.sandbox, agent.home, agentArgs(agent.home, '--listen', agent.address.replace(/\/p2p\/.*/, '')))
}

beforeAll(async () => {
  net = await createNetwork(1)
  agent = net.agents[0] as Agent
  const add = async (name: string): Promise<string> => {
    const file = net.sandbox.path(name)
    await writeFile(file, `content of ${name}`)
    return only((await net.as(['add', file, '--name', name])).events, 'imported')[0]?.['cid'] as string
  }
  pinned = await add('kept.txt')
  gone = await add('gone.txt')
  expect((await net.as(['send', 'unpin', gone])).code).toBe(0)
  stranger = await net.stranger('stranger')
  for (let i = 0; i < 2; i++) expect((await run('send', 'pin', pinned, '--home', stranger)).code).toBe(4)
  await restart()
}, 60_000)
afterAll(() => net[Symbol.asyncDispose]())

test('a node tells who commanded what, what it did, and what it refused, in the order in which it came', async () => {
  const [pin, other, unpin, ...refused] = await logOf(agent.home)
  expect(pin).toMatchObject({
    source: 'node',
    author: expect.stringMatching(/^SHA256:/),
    comment: net.line.split(' ')[2],
    network: net.name,
    pinset: 'default',
    ops: [{ op: 'pin', cid: pinned, name: 'kept.txt', status: 'pinned', at: expect.stringMatching(/Z$/) }],
    envelope: expect.any(String)
  })
  expect([other, unpin].map((entry) => ops(entry as Event)[0])).toMatchObject([
    { op: 'pin', cid: gone },
    { op: 'unpin', cid: gone, status: 'unpinned' }
  ])
  expect(refused.length).toBeGreaterThan(0)
  const line = (await run('keys', 'list', '--home', agent.home)).stdout
  for (const entry of refused) {
    expect(entry).toMatchObject({ refused: 'unauthorised', claimed: true, author: expect.any(String), peer: expect.any(String) })
    expect(line).not.toContain(entry['author'] as string)
    expect(entry['envelope']).toBeUndefined()
  }
})

test('a laptop tells what was sent from it and what each node signed for it', async () => {
  const entries = await logOf(net.home)
  expect(entries.map((entry) => [entry['source'], ops(entry)[0]?.['op'], ops(entry)[0]?.['cid']])).toEqual([
    ['sender', 'pin', pinned],
    ['sender', 'pin', gone],
    ['sender', 'unpin', gone]
  ])
  for (const [i, status] of ['pinned', undefined, 'unpinned'].entries()) {
    const [receipt] = (entries[i] as Event)['receipts'] as Event[]
    expect(receipt).toMatchObject({ node: agent.peer, envelope: expect.any(String) })
    if (status !== undefined) expect(receipt?.['statuses']).toEqual({ [status]: 1 })
  }
})

test('people read a line each', async () => {
  const { code, stdout, stderr } = await run('log', '--home', agent.home)
  expect([code, stderr]).toEqual([0, ''])
  const [pin = '', , unpin, refusal] = stdout.split('\n')
  expect(pin).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ {2}\S+ \S{8}… +default {5}pin bafkrei\S+ kept\.txt {2}pinned {2}[0-9a-f]{8}$/)
  expect(unpin).toMatch(/ unpin bafkrei\S+ {2}unpinned {2}/)
  expect(refusal).toMatch(/ claims SHA256:\S{8}… .* refused: unauthorised, through 12D3/)
  expect((await run('log', '--home', net.home)).stdout).toMatch(/ pinned on 1 node {2}/)
})

test('filters', async () => {
  const all = await logOf(agent.home)
  const count = async (...more: string[]): Promise<number> => (await logOf(agent.home, ...more)).length
  const { author, comment, at } = all[1] as Event
  expect(await count('--op', 'pin')).toBe(2)
  expect(await count('--op', 'unpin')).toBe(1)
  expect(await count('--op', 'admin')).toBe(0)
  expect(await count('--cid', gone)).toBe(2)
  expect(await count('--pinset', 'default')).toBe(3)
  expect(await count('--pinset', 'other')).toBe(0)
  expect(await count('--author', author as string)).toBe(3)
  expect(await count('--author', comment as string)).toBe(3)
  expect(await count('--author', 'nobody')).toBe(0)
  expect(await count('--refused')).toBe(all.length - 3)
  expect(await count('--since', '1h')).toBe(all.length)
  expect(await logOf(agent.home, '--since', at as string)).toEqual(all.slice(1))
  expect(await logOf(agent.home, '--until', at as string)).toEqual(all.slice(0, 1))
  expect(await logOf(agent.home, '--limit', '2')).toEqual(all.slice(-2))
  expect(await count('--limit', '99')).toBe(all.length)
  expect(await count('--source', 'node')).toBe(all.length)
})

test.each([
  [['--since', 'yesterday'], /--since "yesterday": a time was expected/],
  [['--until', '2026-02-31'], /--until "2026-02-31": a time was expected/],
  [['--limit', '0'], /--limit "0": a number from 1 on/],
  [['--cid', 'nonsense'], /"nonsense" is not a CID/],
  [['--op', 'eat'], /argument 'eat' is invalid/],
  [['--source', 'there'], /argument 'there' is invalid/]
])('%s is refused', async (args, why) => {
  expect(await run('log', '--home', agent.home, ...args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringMatching(why) })
})

test('a home without a log says so', async () => {
  const home = net.sandbox.path('void')
  expect(await run('log', '--home', home)).toMatchObject({ code: 1, stderr: expect.stringMatching(/there is no log in \S+void: no agent/) })
  expect(await run('log', '--home', net.home, '--source', 'node')).toMatchObject({ code: 1 })
  expect(existsSync(home)).toBe(false)
})

test('followed, it shows what comes and what becomes of it, over a restart of the agent, and ends with Ctrl-C', async () => {
  const follow = (home: string): Running => net.sandbox.start(['log', '--home', home, '--json', '--follow', '--limit', '1'])
  const [here, there] = [follow(net.home), follow(agent.home)]
  await Promise.all([here, there].map((each) => each.event(({ event }) => event === 'log')))
  await restart()
  const file = net.sandbox.path('late.txt')
  await writeFile(file, 'content of late.txt')
  const { code, events } = await net.as(['add', file, '--bootstrap', agent.address])
  expect(code).toBe(0)
  const cid = only(events, 'imported')[0]?.['cid']
  const isPinned = (entry: Event): boolean => ops(entry ?? {})?.[0]?.['cid'] === cid && ops(entry)[0]?.['status'] === 'pinned'
  expect(await there.event((entry) => entry['ops'] !== undefined && isPinned(entry))).toMatchObject({ source: 'node' })
  const isAnswered = (entry: Event): boolean =>
    entry['ops'] !== undefined && ops(entry)[0]?.['cid'] === cid && JSON.stringify(entry['receipts'] ?? '').includes('"pinned":1')
  expect(await here.event(isAnswered)).toMatchObject({ source: 'sender' })
  for (const each of [here, there]) expect(await each.end('SIGINT')).toMatchObject({ code: 130, stderr: '' })
}, 60_000)

describe('an export', () => {
  const verify = async (text: string | Uint8Array, ...more: string[]): Promise<Ended> => {
    const file = net.sandbox.path('log.ndjson')
    await writeFile(file, text)
    return net.sandbox.run(['log', '--verify', file, '--home', net.sandbox.path('void'), ...more])
  }

  test.each(['node', 'sender'])('of a %s is good, without its home', async (of) => {
    const { stdout } = await run('log', '--json', '--home', of === 'node' ? agent.home : net.home)
    const lines = stdout.trimEnd().split('\n')
    const { code, stdout: said } = await verify(stdout)
    const commands = lines.filter((line) => line.includes('"envelope"')).length
    expect([code, said]).toEqual([0, expect.stringContaining(`${commands} commands as signed by the author`)])
    const json = await net.sandbox.run(['log', '--verify', '-', '--json'], { stdin: stdout })
    expect(json.events).toEqual([
      {
        event: 'verified',
        lines: lines.length,
        commands,
        receipts: of === 'node' ? 0 : commands,
        refusals: lines.length - commands,
        bad: 0
      }
    ])
  })

  test('with a changed line is not: it is named with what differs', async () => {
    const { stdout } = await run('log', '--json', '--home', agent.home)
    const { code, stderr } = await verify(stdout.replace('"name":"gone.txt"', '"name":"good.txt"'))
    expect([code, stderr]).toEqual([1, expect.stringMatching(/log\.ndjson:2: not what its author signed: ops\[0\]\.name\n/)])
    const json = await verify(stdout.replace('"pinset":"default"', '"pinset":"defence"'), '--json')
    expect(json.events.map(({ event, line, message }) => [event, line, message])).toEqual([
      ['bad', 1, 'not what its author signed: pinset'],
      ['verified', undefined, undefined],
      ['error', undefined, '1 line of ' + net.sandbox.path('log.ndjson') + ' not as it was written']
    ])
  })

  test('that is none cannot be checked', async () => {
    expect(await run('log', '--verify', net.sandbox.path('nowhere'))).toMatchObject({
      code: 2,
      stderr: expect.stringMatching(/there is no file/)
    })
    expect(await verify(gzipSync('{}'))).toMatchObject({ code: 2, stderr: expect.stringMatching(/compressed\n {2}gunzip -c FILE/) })
    expect(await verify('{"event":"pin"}\nx\n')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/:1: not a line of a log\n.*:2: not JSON/)
    })
  })

  test('holds no secret', async () => {
    const { stdout } = await run('log', '--json', '--home', net.home)
    const [, key = ''] = (await readFile(join(net.home, 'id_ed25519'), 'utf8')).split('\n')
    expect(stdout).not.toContain(key)
  })
})
