/** What bad input gets: a message that names the thing and the way out, the right exit code, and nothing half-written. */
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { leaf } from '../support/dags.ts'
import type { RunOptions } from '../support/cli.ts'
import { agentArgs, createNetwork, only, startAgent, type TestNetwork } from './network.ts'

const CID = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'

let net: TestNetwork
beforeAll(async () => {
  net = await createNetwork(1)
})
afterAll(() => net[Symbol.asyncDispose]())

/**
 * Runs a command line that must fail, for people and with `--json`: the same code, the message and no stack trace on stderr,
 * the error object last on stdout.
 */
async function fails(code: number, message: RegExp, args: readonly string[], options?: RunOptions): Promise<void> {
  const shown = await net.sandbox.run(args, options)
  const json = await net.sandbox.run([...args, '--json'], options)
  expect({ code: shown.code, stderr: shown.stderr }).toEqual({ code, stderr: expect.stringMatching(message) })
  expect(shown.stderr).toMatch(/^(\S+ warn .*\n)*pinsub: /)
  expect(shown.stderr).not.toMatch(/^\s+at .*:\d+/m)
  expect(json.code).toBe(code)
  expect(json.events.at(-1)).toMatchObject({ event: 'error', code: expect.any(String), message: expect.stringMatching(message) })
}

/** A home with these files. */
async function homeWith(name: string, files: Readonly<Record<string, string>>): Promise<string> {
  const home = net.sandbox.path(name)
  await mkdir(home, { mode: 0o700 })
  for (const [file, text] of Object.entries(files)) await writeFile(join(home, file), text, { mode: 0o600 })
  return home
}

describe('the command line', () => {
  test.for([
    [[], /Usage: pinsub|Commands/],
    [['sned'], /unknown command 'sned'[^]*Did you mean send/],
    [['send', 'pin'], /missing required argument 'cid'/],
    [['send', 'pin', CID, '--jsno'], /unknown option '--jsno'[^]*--json/],
    [['send', 'pin', CID, '--timeout'], /'--timeout <time>' argument missing/],
    [['node', '--backend', 'ceph'], /'ceph' is invalid.*auto, helia, kubo/],
    [['completion', 'tcsh'], /'tcsh' is invalid.*bash, zsh, fish/]
  ] as const)('%j is a usage error', async ([args, message]) => {
    const { code, stdout, stderr } = await net.sandbox.run(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toMatch(message)
  })

  test('--json tells of usage errors too', async () => {
    for (const args of [['sned', '--json'], ['--json', 'send', 'pin', CID, '--nope'], ['--json'], ['send', '--json']]) {
      const { code, events } = await net.sandbox.run(args)
      expect(code).toBe(2)
      expect(events).toEqual([
        expect.objectContaining({ event: 'error', code: 'usage', message: expect.stringMatching(/unknown|no command/) })
      ])
    }
  })

  test.for([
    [['--timeout', '5'], /--timeout: "5" is not a duration/],
    [['--wait', 'some'], /--wait: a number from 1 on, or "all"/],
    [['--replicas', '0'], /--replicas: /],
    [['--pinset', 'no spaces'], /--pinset: "no spaces" is not a name/],
    [['--network', 'no/slash'], /--network: /],
    [['--bootstrap', 'example.org'], /--bootstrap: "example.org" is not an address.*names are not looked up/],
    [['--bootstrap', '/ip4/300.0.0.1/tcp/1'], /--bootstrap: .* is not a multiaddr/],
    [['--origin', '/ip4/127.0.0.1/tcp/4001'], /"\/ip4\/127\.0\.0\.1\/tcp\/4001" is not the address of a peer: .*\/p2p\//],
    [['--origin', 'nowhere'], /"nowhere" is not the address of a peer/],
    [['--name', 'x'.repeat(2_000)], /name/]
  ] as const)('%j is refused before anything is sent', async ([flags, message]) => {
    await fails(2, message, ['send', 'pin', CID, '--home', net.home, ...flags])
  })

  test('a CID that is none is named', async () => {
    await fails(2, /"bafynope" is not a CID/, ['send', 'pin', CID, 'bafynope', '--home', net.home])
    expect((await net.as(['status', 'bafynope'])).events).toMatchObject([{ event: 'error', hint: 'nothing was asked' }])
    await fails(2, /"QmShort" is not a CID/, ['status', 'QmShort', '--home', net.home])
  })
})

describe('settings', () => {
  test.for([
    ['{"netwrk":"x"}', /config\.json: unknown key "netwrk", did you mean "network"/],
    ['{"network":3}', /config\.json: "network": text was expected, not 3/],
    ['{"bootstrap":["nowhere"]}', /config\.json: "bootstrap": "nowhere" is not an address/],
    ['{"timeout":"soon"}', /config\.json: "timeout": "soon" is not a duration/],
    ['{bad', /config\.json is not JSON/],
    ['[]', /config\.json: an object of settings was expected/]
  ] as const)('config.json %s', async ([text, message], { task }) => {
    const home = await homeWith(`config-${task.id}`, { 'config.json': text })
    await fails(2, message, ['ls', '--home', home])
    await fails(2, message, ['node', '--home', home, '--network', 'x'])
    expect(await readdir(home)).toEqual(['config.json'])
    expect(await readFile(join(home, 'config.json'), 'utf8')).toBe(text)
  })

  test('a variable that is wrong is named', async () => {
    await fails(2, /PINSUB_TIMEOUT: "abc" is not a duration/, ['ls', '--home', net.home], { env: { PINSUB_TIMEOUT: 'abc' } })
  })

  test('a flag beats a variable, which beats config.json', async () => {
    const env = { PINSUB_HOME: net.home, PINSUB_NETWORK: 'from-env', PINSUB_JSON: '1' }
    const { events } = await net.sandbox.run(['nodes'], { env })
    expect(events.at(-1)).toMatchObject({ event: 'error', message: expect.stringContaining(`is of network "${net.name}"`) })
    expect((await net.sandbox.run(['nodes', '--network', net.name], { env })).code).toBe(0)
  })
})

describe('key files', () => {
  let key: string
  beforeAll(async () => {
    key = net.sandbox.path('a-key')
    await net.sandbox.run(['keys', 'gen', key])
  })

  const send = (file: string): string[] => ['send', 'pin', CID, '--home', net.home, '--key', file]

  test('missing', () => fails(1, /no-key.*pinsub keys gen/, send(net.sandbox.path('no-key'))))

  test('that others may read', async () => {
    const open = net.sandbox.path('open-key')
    await writeFile(open, await readFile(key))
    await chmod(open, 0o644)
    await fails(1, /open-key can be read by others \(mode 0644\).*chmod 600/, send(open))
  })

  test('that are none', async () => {
    const file = net.sandbox.path('garbage')
    await writeFile(file, 'garbage\n', { mode: 0o600 })
    await fails(1, /garbage: not an OpenSSH private key/, send(file))
    await writeFile(file, await readFile(`${key}.pub`))
    await fails(
      1,
      /is a public key, for ssh-agent to sign with, or else name the private one: no ssh-agent: SSH_AUTH_SOCK is not set/,
      send(file)
    )
    await writeFile(file, (await readFile(key, 'utf8')).replace(/\n(.{10})/, '\n'))
    await fails(1, /garbage: /, send(file))
    await fails(1, /is not a regular file/, send(net.sandbox.dir))
  })

  test('with a passphrase', async () => {
    const file = net.sandbox.path('locked-key')
    const { code } = await net.sandbox.spawn('ssh-keygen', ['-q', '-t', 'ed25519', '-N', 'secret', '-f', file]).ended
    expect(code).toBe(0)
    await fails(1, /locked-key is encrypted with a passphrase, and none was given/, send(file))
  })

  test('in an agent that is not there', async () => {
    await fails(1, /no ssh-agent: SSH_AUTH_SOCK is not set/, send('agent:me'))
    await fails(1, /no ssh-agent: SSH_AUTH_SOCK is not set/, ['keys', 'show', '--home', net.home, '--key', 'agent:me'])
  })

  test('a key of OpenSSH signs', async () => {
    const file = net.sandbox.path('openssh-key')
    await net.sandbox.spawn('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', file]).ended
    expect((await net.as(['send', 'pin', CID, '--key', file])).code).toBe(4)
    await net.sandbox.run(['keys', 'add', await readFile(`${file}.pub`, 'utf8'), '--home', net.agents[0]?.home ?? ''])
    await net.agents[0]?.process.complaint(/authorized_keys changed: 2 keys/)
    expect((await net.as(['send', 'pin', CID, '--key', file, '--detach'])).code).toBe(0)
    await net.as(['send', 'unpin', CID, '--key', file])
  })
})

describe('files and folders that are something else', () => {
  let file: string
  beforeAll(async () => {
    file = net.sandbox.path('a-file')
    await writeFile(file, 'text\n')
  })

  test('a home that is a file, or below one', async () => {
    for (const home of [file, join(file, 'x')])
      for (const args of [['init'], ['log'], ['nodes', 'trust', net.agents[0]?.peer ?? '']])
        await fails(2, new RegExp(`${home} is a file, or below one: name another home with --home`), [...args, '--home', home])
  })

  test.runIf(process.platform === 'linux')('a home where none can be made', async () => {
    for (const args of [['init'], ['node', '--network', 'x'], ['ls', '--network', 'x', '--bootstrap', '127.0.0.1:1'], ['keys', 'gen']])
      await fails(1, /cannot make the folder \/proc\/pinsub: nothing can be made there/, [...args, '--home', '/proc/pinsub'])
  })

  test('a folder of the home that is a file', async () => {
    const home = await homeWith('in-the-way', { node: '', sender: '' })
    await fails(1, /cannot make the folder .*in-the-way\/node: a file is in the way/, ['node', '--home', home, '--network', 'x'])
    const asking = ['status', '--home', home, '--network', 'x', '--bootstrap', '127.0.0.1:1']
    await fails(1, /cannot make the folder .*in-the-way\/sender: a file is in the way/, asking)
  })

  test('paths through a file, and folders', async () => {
    const below = join(file, 'x')
    const at = ['--home', net.home]
    await fails(1, /a-file\/x does not exist/, ['add', below, ...at])
    await fails(1, /cannot make the folder .*a-file: a file is in the way/, ['keys', 'gen', below, ...at])
    await fails(1, /cannot make the folder .*a-file: a file is in the way/, ['keys', 'add', net.line, '--authorized-keys', below, ...at])
    await fails(1, /there is no file .*a-file\/x/, ['state', 'import', below, ...at])
    await fails(1, /is not a regular file/, ['state', 'import', net.sandbox.dir, ...at])
    await fails(2, /there is no file .*a-file\/x/, ['log', '--verify', below, ...at])
    await fails(2, /is not a regular file/, ['log', '--verify', net.sandbox.dir, ...at])
    await fails(2, /there is no file .*a-file\/x/, ['demo', below])
    await fails(1, /cannot write .*a-file\/x: there is no folder/, ['state', 'export', below, '--home', net.agents[0]?.home ?? ''])
  })
})

describe('nodes that cannot be reached', () => {
  const ask = (bootstrap: string): string[] => ['send', 'pin', CID, '--home', net.home, '--bootstrap', bootstrap]

  test('a port where nothing listens', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    const { port } = server.address() as AddressInfo
    await new Promise((resolve) => server.close(resolve))
    await fails(5, new RegExp(`127\\.0\\.0\\.1:${port} refused the connection: is "pinsub node" running there`), ask(`127.0.0.1:${port}`))
  })

  test('something that listens and never answers', async () => {
    const server = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1')
    await new Promise((resolve) => server.once('listening', resolve))
    onTestFinished(() => void server.close())
    const { port } = server.address() as AddressInfo
    await fails(5, new RegExp(`no answer from 127\\.0\\.0\\.1:${port} in 5 s: is TCP ${port} open`), ask(`127.0.0.1:${port}`))
  })

  test('a node of another network', async () => {
    await fails(5, new RegExp(`is of network "${net.name}": give that with --network`), [
      ...ask(net.agents[0]?.address ?? ''),
      '--network',
      'elsewhere'
    ])
  })

  test('a node that is another than the address says', async () => {
    const { address = '', peer = '' } = net.agents[0] ?? {}
    const wrong = '12D3KooWB627jjVGQsdR9AnauzpdvgFhvABzLmLAdZDNRcPFfMZT'
    await fails(5, new RegExp(`is not ${wrong} but ${peer}`), ask(address.replace(peer, wrong)))
  })

  test('init --bootstrap with the wrong network, or none, keeps neither, and what it advises works', async () => {
    const home = net.sandbox.path('unmet')
    const { address = '' } = net.agents[0] ?? {}
    await fails(5, /is of network .* give that with --network/, ['init', '--home', home, '--bootstrap', address])
    await fails(5, /is of network .* give that with --network/, ['init', '--home', home, '--network', 'elsewhere', '--bootstrap', address])
    expect(existsSync(join(home, 'config.json'))).toBe(false)
    expect(existsSync(join(home, 'known_nodes'))).toBe(false)
    expect((await net.sandbox.run(['init', '--home', home, '--network', net.name, '--bootstrap', address])).code).toBe(0)
    expect(JSON.parse(await readFile(join(home, 'config.json'), 'utf8'))).toMatchObject({ network: net.name, bootstrap: [address] })
  })
})

describe('agents that cannot start', () => {
  test('a port in use', async () => {
    const address = (net.agents[0]?.address ?? '').replace(/\/p2p\/.*/, '')
    const port = address.split('/').at(-1)
    await fails(1, new RegExp(`127\\.0\\.0\\.1:${port} is in use: .*--listen`), [
      'node',
      '--home',
      net.sandbox.path('port'),
      '--network',
      'x',
      '--backend',
      'helia',
      '--listen',
      address
    ])
  })

  test('a home in use says by whom, and takes it once that one is gone', async () => {
    const home = net.sandbox.path('taken')
    const first = await startAgent(net.sandbox, home, agentArgs(home, '--network', 'x'))
    await fails(
      1,
      new RegExp(`taken.* is in use by another pinsub node \\(process ${first.process.child.pid} .*\\).*--home`),
      agentArgs(home).filter((arg) => arg !== '--json')
    )
    await first.process.end('SIGKILL')
    await startAgent(net.sandbox, home, agentArgs(home))
  })

  test('a state of a newer version is left alone', async () => {
    const home = net.sandbox.path('newer')
    const first = await startAgent(net.sandbox, home, agentArgs(home, '--network', 'x'))
    await first.process.end()
    const file = join(home, 'node', 'state.db')
    {
      using db = new DatabaseSync(file)
      db.exec('PRAGMA user_version=99')
    }
    await fails(
      1,
      /state\.db was written by a newer pinsub \(schema 99.*update pinsub/,
      agentArgs(home).filter((arg) => arg !== '--json')
    )
    await rm(file)
    await writeFile(file, 'this is no database, and long enough to be taken for one'.repeat(50))
    await fails(
      1,
      /state\.db is damaged.*move it away/,
      agentArgs(home).filter((arg) => arg !== '--json')
    )
  })

  test('an --authorize that is no key', async () => {
    await fails(2, /--authorize: /, ['node', '--home', net.sandbox.path('nokey'), '--network', 'x', '--authorize', 'ssh-ed25519 AAAA'])
    expect(existsSync(net.sandbox.path('nokey'))).toBe(false)
  })
})

test('a daemon that is down: the node is ready, takes commands, and does them when it is back', async () => {
  const { startRpcOverHelia } = await import('../support/kubo-under-test.ts')
  const kubo = await startRpcOverHelia()
  onTestFinished(() => kubo.stop())
  await kubo.kill()
  const home = net.sandbox.path('kubo')
  const args = ['node', '--json', '--home', home, '--network', 'kubo', '--authorize', net.line, '--listen', '/ip4/127.0.0.1/tcp/0']
  const node = await startAgent(net.sandbox, home, [...args, '--backend', 'kubo', '--kubo-api', kubo.apiUrl])
  expect(node.ready).toMatchObject({ backend: 'kubo' })
  const you = await homeWith('kubo-you', { 'config.json': JSON.stringify({ network: 'kubo', bootstrap: [node.address] }) })
  const as = (sent: readonly string[]) => net.sandbox.run([...sent, '--home', you, '--key', join(net.home, 'id_ed25519'), '--json'])

  const { makePinPeer } = await import('../support/pin-peer.ts')
  const provider = await makePinPeer()
  onTestFinished(() => provider.stop())
  const block = await leaf('for a daemon that comes back')
  await provider.provide([block])
  const cid = block.cid.toString()
  const short = await as(['send', 'pin', cid, '--origin', provider.origin, '--timeout', '2s'])
  expect(short.code).toBe(3)
  expect(new Set(only(short.events, 'ack').map(({ status }) => status))).toEqual(new Set(['queued']))
  await node.process.complaint(/Kubo is down, its jobs wait: no Kubo at/)

  await kubo.restart()
  await node.process.complaint(/Kubo is back after/)
  const held = await as(['send', 'pin', cid, '--origin', provider.origin])
  expect(held.code).toBe(0)
})
