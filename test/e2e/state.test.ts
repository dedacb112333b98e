/** A network from one file: export beside a running node, a new home elsewhere, and files that are cut, changed or not meant for it. */
import { existsSync } from 'node:fs'
import { readFile, readdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PINSUB, type Ended } from '../support/cli.ts'
import { agentArgs, createNetwork, only, startAgent, type Agent, type TestNetwork } from './network.ts'

let net: TestNetwork
let agent: Agent
/** Content that the network holds, and content that it let go. */
let held: string[]
let gone: string
/** A key that was let in, spoke, and was closed. */
let closed: string
/** What the node exports while it runs. */
let text: string

async function change(file: string, edit: (old: string) => string): Promise<void> {
  const since = agent.process.said()
  await writeFile(file, edit(await readFile(file, 'utf8')))
  await agent.process.complaint(/authorized_keys changed/, since)
}

const run = (...args: string[]): Promise<Ended> => net.sandbox.run(args)
const exported = async (home: string): Promise<string> => (await run('state', 'export', '--home', home)).stdout
const commands = (state: string): string[] => state.split('\n').filter((line) => line.startsWith('{"command"'))

beforeAll(async () => {
  net = await createNetwork(1)
  agent = net.agents[0] as Agent
  const add = async (name: string, home = net.home): Promise<string> => {
    const file = net.sandbox.path(name)
    await writeFile(file, `content of ${name}`)
    const { code, events } = await net.sandbox.run(['add', file, '--name', name, '--home', home, '--json'])
    expect(code).toBe(0)
    return only(events, 'imported')[0]?.['cid'] as string
  }
  held = [await add('one.txt'), await add('two.txt')]
  gone = await add('gone.txt')
  expect((await net.as(['send', 'unpin', gone])).code).toBe(0)

  const other = await net.stranger('other')
  const line = (await run('keys', 'show', '--home', other)).stdout.trim()
  const keys = join(agent.home, 'authorized_keys')
  await change(keys, (old) => `${old}${line}\n`)
  held.push(await add('closed.txt', other))
  await change(keys, (old) => old.replace(`${line}\n`, ''))
  closed = only((await run('keys', 'show', '--home', other, '--json')).events, 'key')[0]?.['fingerprint'] as string
  text = await exported(agent.home)
})
afterAll(() => net[Symbol.asyncDispose]())

test('the file: a head, keys, closed keys, the commands that count, an end', async () => {
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  expect(lines.map((line) => Object.keys(line)[0])).toEqual([
    'pinsub',
    'authorized_key',
    'closed_key',
    'command',
    'command',
    'command',
    'command',
    'command',
    'end'
  ])
  expect(lines[0]).toMatchObject({ pinsub: 'state', version: 1, network: net.name })
  expect(lines[1]).toEqual({ authorized_key: net.authorize })
  expect(lines[2]).toMatchObject({ closed_key: closed, revoked: false })
  expect(lines.at(-1)).toMatchObject({ end: true, commands: 5 })
})

test('a new home made of it, and a node started there, hold what the network held', async () => {
  const home = net.sandbox.path('rebuilt')
  const file = net.sandbox.path('net.ndjson')
  const made = await run('state', 'export', file, '--home', agent.home)
  expect(made).toMatchObject({
    code: 0,
    stdout: `5 commands, 1 key and 0 known nodes of network ${net.name} exported to ${file}.\n`,
    stderr: ''
  })
  expect(((await stat(file)).mode & 0o777).toString(8)).toBe('600')

  const done = await run('state', 'import', file, '--home', home)
  expect(done).toMatchObject({ code: 0, stderr: '' })
  expect(done.stdout).toMatch(
    new RegExp(
      `^These keys may command this node now, because the file says so:\n  SHA256:\\S+  \\S+\n` +
        `5 commands imported \\(3 CIDs to hold\\), 0 lines refused\\. Start the agent: pinsub node --home ${home}\n$`
    )
  )
  expect((await readdir(home)).toSorted()).toEqual(['authorized_keys', 'config.json', 'node'])
  expect(JSON.parse(await readFile(join(home, 'config.json'), 'utf8'))).toEqual({ network: net.name })
  expect(commands(await exported(home))).toEqual(commands(text))

  const again = await net.sandbox.run(['state', 'import', file, '--home', home, '--json'])
  expect(again.events).toEqual([
    {
      event: 'restored',
      home,
      network: net.name,
      exported: expect.any(String),
      commands: 0,
      known: 5,
      superseded: 0,
      omitted: 0,
      refused: 0,
      complete: true,
      cids: 3,
      granted: null,
      trusted: 0
    }
  ])

  const node = await startAgent(net.sandbox, home, agentArgs(home, '--bootstrap', agent.address))
  expect(node.ready).toMatchObject({ network: net.name, authorized: 1 })
  const states = async (): Promise<unknown> => {
    const { events } = await net.as(['status', ...held, gone, '--bootstrap', node.address])
    const rows = only(events, 'status').filter((row) => row['node'] === node.peer)
    return Object.fromEntries(rows.map(({ cid, status }) => [cid, status]))
  }
  const expected = { ...Object.fromEntries(held.map((cid) => [cid, 'pinned'])), [gone]: 'unpinned' }
  await expect.poll(states, { timeout: 25_000, interval: 200 }).toEqual(expected)
  for (const cid of held) expect(await net.onDisk(node, cid)).toMatchObject({ blocks: 1, missing: 0, corrupt: 0 })
  expect(commands(await exported(home))).toEqual(commands(text))
  await node.process.end()
})

test('through pipes, and after a node that was killed', async () => {
  const home = net.sandbox.path('piped')
  const shell = (line: string): Promise<Ended> => net.sandbox.spawn('sh', ['-c', line]).ended
  const pinsub = `"${process.execPath}" "${PINSUB}"`
  const piped = await shell(`${pinsub} state export --home ${agent.home} --json | gzip > ${home}.gz`)
  expect([piped.code, piped.stderr]).toEqual([0, ''])
  expect(commands(gunzipSync(await readFile(`${home}.gz`)).toString())).toEqual(commands(text))
  const taken = await shell(`gunzip -c ${home}.gz | ${pinsub} state import - --home ${home}`)
  expect([taken.code, taken.stdout]).toEqual([0, expect.stringContaining('5 commands imported (3 CIDs to hold)')])
  const early = await shell(`{ ${pinsub} state export --home ${agent.home}; echo "exit $?" >&2; } | head -c 9`)
  expect(early.stdout).toBe(text.slice(0, 9))
  expect(early.stderr).toMatch(/exit 0\n$/)

  const node = await startAgent(net.sandbox, home, agentArgs(home))
  await node.process.end('SIGKILL')
  expect(commands(await exported(home))).toEqual(commands(text))
})

describe('a file that is not whole', () => {
  const importing = async (name: string, state: string | Uint8Array, ...more: string[]): Promise<Ended> => {
    const file = net.sandbox.path(`${name}.ndjson`)
    await writeFile(file, state)
    return run('state', 'import', file, '--home', net.sandbox.path(name), ...more)
  }

  test('cut: what came is imported, and it is said', async () => {
    const cut = await importing('cut', text.slice(0, text.lastIndexOf('{"command"')))
    expect(cut).toMatchObject({ code: 1, stdout: expect.stringContaining('4 commands imported') })
    expect(cut.stderr).toMatch(/^pinsub: \S+cut\.ndjson ends early: it was cut\n {2}All that is good was imported/)
    const whole = await importing('cut', text)
    expect(whole).toMatchObject({ code: 0, stdout: expect.stringContaining('1 command imported (3 CIDs to hold), 4 here already') })

    const early = await importing('early', text.slice(0, text.indexOf('{"command"')), '--json')
    expect(early.code).toBe(1)
    expect(early.events.at(-1)).toEqual({
      event: 'error',
      code: 'cut',
      message: expect.stringContaining('before its first command'),
      hint: 'nothing was imported'
    })
    expect(existsSync(net.sandbox.path('early'))).toBe(false)
  })

  test.each<[string, RegExp, RegExp]>([
    ['authorized_key', /:2: /, /1 line of .* refused/],
    ['closed_key', /:3: /, /1 line of .* refused/],
    ['command', /:4: /, /1 line of .* refused/],
    ['end', /:9: /, /ends early: it was cut/]
  ])('one byte of a line of kind %s', async (kind, named, why) => {
    // In the middle of the key, the author, the id, and the word itself.
    const at = text.indexOf(`{"${kind}"`) + (kind === 'end' ? 3 : 45)
    const broken = Buffer.from(text)
    broken[at] = 0
    const { code, stderr } = await importing(`broken-${kind}`, broken)
    expect(code).toBe(1)
    expect(stderr).toMatch(named)
    expect(stderr).toMatch(why)
    const json = await importing(`broken-${kind}-json`, broken, '--json')
    expect(only(json.events, 'refused')).toEqual([
      { event: 'refused', line: Number(named.source.slice(1, 2)), code: expect.any(String), message: expect.any(String) }
    ])
    expect(only(json.events, 'restored')[0]).toMatchObject({ complete: false, refused: 1 })
    expect(json.events.at(-1)).toMatchObject({ event: 'error', message: expect.stringMatching(why) })
  })

  test('a time that no signature covers shows by the checksum', async () => {
    const changed = text.replace(/"accepted":"\d{4}/, '"accepted":"2020')
    expect(await importing('changed', changed)).toMatchObject({ code: 1, stderr: expect.stringMatching(/changed after it was written/) })
  })

  test('a line that was taken out', async () => {
    const [first] = commands(text)
    const { code, stderr } = await importing('lacks', text.replace(`${first}\n`, ''))
    expect([code, stderr]).toEqual([1, expect.stringMatching(/lacks 1 of its 5 commands/)])
  })

  test('no state file at all', async () => {
    expect((await importing('none', '{"event":"pin"}\n')).stderr).toMatch(/none\.ndjson: not a state file: line 1/)
    expect((await importing('zip', gzipSync(text))).stderr).toMatch(/zip\.ndjson: the file is compressed: gunzip -c FILE/)
    expect((await run('state', 'import', net.sandbox.path('nowhere'), '--home', net.sandbox.path('none'))).stderr).toMatch(
      /there is no file .*nowhere/
    )
    expect(['none', 'zip'].map((name) => existsSync(net.sandbox.path(name)))).toEqual([false, false])
  })

  test('millions of bad lines are counted, the first are named', async () => {
    const { code, stderr, stdout } = await importing(
      'many',
      text.replace('{"command"', () => `${'x\n'.repeat(100_000)}{"command"`)
    )
    expect(code).toBe(1)
    expect(stderr.split('\n').length).toBeLessThan(60)
    expect(stdout).toContain('5 commands imported (3 CIDs to hold), 100,000 lines refused')
  })
})

describe('homes that do not fit', () => {
  test('a running node keeps its home to itself', async () => {
    const file = net.sandbox.path('own.ndjson')
    await writeFile(file, text)
    const { code, stderr } = await run('state', 'import', file, '--home', agent.home)
    expect([code, stderr]).toEqual([1, expect.stringMatching(/is in use by another pinsub node.*: stop that one/)])
  })

  test('another network', async () => {
    const home = net.sandbox.path('elsewhere')
    await run('init', '--home', home)
    const before = await Promise.all(['config.json', 'authorized_keys'].map((name) => readFile(join(home, name), 'utf8')))
    const { code, events } = await net.sandbox.run(['state', 'import', '-', '--home', home, '--json'], { stdin: text })
    expect(code).toBe(2)
    expect(events).toEqual([
      {
        event: 'error',
        code: 'network',
        message: expect.stringMatching(new RegExp(`standard input is of network ${net.name}, and this home \\(.*\\) is set to `)),
        hint: 'import it into another home: --home DIR'
      }
    ])
    expect(await Promise.all(['config.json', 'authorized_keys'].map((name) => readFile(join(home, name), 'utf8')))).toEqual(before)
    expect(existsSync(join(home, 'node'))).toBe(false)
  })

  test('its own authorized_keys is obeyed, and the line that it lacks can be pasted', async () => {
    const home = net.sandbox.path('mine')
    const file = net.sandbox.path('mine.ndjson')
    await writeFile(file, text)
    await run('init', '--home', home, '--network', net.name)
    const { code, stdout, stderr } = await run('state', 'import', file, '--home', home)
    expect([code, stdout]).toEqual([0, expect.stringMatching(/^0 commands imported \(0 CIDs to hold\), 5 left out, 0 lines refused/)])
    expect(stderr).toContain(`1 command of ${closed} left out: its key was closed where the file is from`)
    const [, words = ''] = /To let it: pinsub (keys add .*'), and import again/.exec(stderr) ?? []
    expect(words).toContain(net.line)
    const added = await net.sandbox.spawn('sh', ['-c', `"${process.execPath}" "${PINSUB}" ${words}`]).ended
    expect(added).toMatchObject({ code: 0, stdout: expect.stringContaining('may command this node') })
    expect((await run('state', 'import', file, '--home', home)).stdout).toContain('4 commands imported (2 CIDs to hold), 1 left out')
  })

  test('no file is written over, and none is left behind', async () => {
    const file = net.sandbox.path('taken.ndjson')
    await writeFile(file, 'mine')
    const { code, stderr } = await run('state', 'export', file, '--home', agent.home)
    expect([code, stderr]).toEqual([1, expect.stringMatching(/taken\.ndjson exists already and is not overwritten\n.*another name/)])
    expect(await readFile(file, 'utf8')).toBe('mine')
    const nowhere = await run('state', 'export', net.sandbox.path('no', 'where'), '--home', agent.home)
    expect([nowhere.code, nowhere.stderr]).toEqual([1, expect.stringMatching(/cannot write .*where: there is no folder /)])
    expect((await readdir(net.sandbox.dir)).filter((name) => name.includes('.new'))).toEqual([])
  })

  test('a home in which no agent ran has nothing to export', async () => {
    expect(await run('state', 'export', '--home', net.home)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/there is no .*state\.db: no agent has run in this home/)
    })
    expect(await run('state', 'export', '--home', net.sandbox.path('void'))).toMatchObject({ code: 2, stdout: '' })
    expect(existsSync(net.sandbox.path('void'))).toBe(false)
  })
})
