/** Keys that people already have: with a passphrase, in ssh-agent, asked for on the terminal; and commands checked with ssh-keygen alone. */
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSandbox, PINSUB, type Ended, type RunOptions, type Sandbox } from '../support/cli.ts'
import { leaf } from '../support/dags.ts'
import { hasOpenssh, sayWithoutOpenssh, sshKeygen, startSshAgent, type TestAgent } from '../support/openssh.ts'
import { hasTerminal, onTerminal, sayWithoutTerminal } from '../support/terminal.ts'
import { agentArgs, only, startAgent, type Agent } from './network.ts'

const NETWORK = 'ssh-keys'
const PASSPHRASE = 'correct hörse'
const ABSENT = (await leaf('ssh-keys: nobody has this')).cid.toString()
const RUN = `${process.execPath} ${PINSUB}`

let sandbox: Sandbox

beforeAll(() => {
  sandbox = createSandbox()
})
afterAll(() => sandbox[Symbol.asyncDispose]())

const errorOf = ({ events }: Ended) => events.at(-1)
const shared = async (name: string, text: string): Promise<string> => {
  await writeFile(sandbox.path(name), text, { mode: 0o600 })
  return sandbox.path(name)
}

sayWithoutOpenssh("people's own SSH keys are")
sayWithoutTerminal('asking for a passphrase on a terminal is')

describe.runIf(hasOpenssh)("people's own keys", () => {
  let node: Agent
  let home: string
  let agent: TestAgent
  let passphrase: string
  const as = (args: readonly string[], options?: RunOptions): Promise<Ended> => sandbox.run([...args, '--home', home, '--json'], options)
  const unlocked = { env: { PINSUB_KEY: '~/.ssh/id_ed25519', PINSUB_KEY_PASSPHRASE_FILE: '~/passphrase' } }
  /** Adds a file of its own; the id of the command. */
  const add = async (text: string, args: readonly string[], options?: RunOptions): Promise<string> => {
    const sent = await as(['add', await shared('content.txt', text), ...args], options)
    expect(sent).toMatchObject({ code: 0, stderr: '' })
    return only(sent.events, 'sent')[0]?.['command'] as string
  }

  beforeAll(async () => {
    agent = await startSshAgent()
    await mkdir(sandbox.path('.ssh'), { mode: 0o700 })
    await sshKeygen(sandbox.path('.ssh', 'id_ed25519'), 'ann@laptop', ['-N', PASSPHRASE])
    await sshKeygen(sandbox.path('.ssh', 'held'), 'held by the agent')
    await agent.add(sandbox.path('.ssh', 'held'))
    await rm(sandbox.path('.ssh', 'held'))
    passphrase = await shared('passphrase', `${PASSPHRASE}\n`)
    const lines = await Promise.all(['id_ed25519', 'held'].map((name) => readFile(sandbox.path('.ssh', `${name}.pub`), 'utf8')))
    const nodeHome = sandbox.path('node')
    const authorized = lines.flatMap((line) => ['--authorize', line.trim()])
    node = await startAgent(sandbox, nodeHome, agentArgs(nodeHome, '--network', NETWORK, ...authorized))
    home = sandbox.path('you')
    await mkdir(home, { mode: 0o700 })
    await writeFile(join(home, 'config.json'), JSON.stringify({ network: NETWORK, bootstrap: [node.address] }))
  })
  afterAll(() => agent?.[Symbol.asyncDispose]())

  test('an encrypted key signs with the passphrase from a file, both named with ~', async () => {
    await add('signed with an encrypted key', [], unlocked)
  })

  test('who only asks needs no passphrase, and no terminal', async () => {
    const options = { env: { PINSUB_KEY: '~/.ssh/id_ed25519' } }
    expect((await as(['status'], options)).code).toBe(0)
    expect((await as(['ls'], options)).code).toBe(0)
    const shown = await as(['keys', 'show'], options)
    const line = (await readFile(sandbox.path('.ssh', 'id_ed25519.pub'), 'utf8')).trim()
    expect(shown.events[0]).toMatchObject({ event: 'key', line, file: sandbox.path('.ssh', 'id_ed25519') })
  })

  test('without a terminal and a file there is an error with the way out, and nothing waits for input', async () => {
    const sent = await as(['send', 'pin', ABSENT, '--key', sandbox.path('.ssh', 'id_ed25519')], { stdin: null })
    expect(sent.code).toBe(1)
    expect(errorOf(sent)).toMatchObject({
      code: 'encrypted',
      message: expect.stringContaining('id_ed25519 is encrypted with a passphrase')
    })
    expect(errorOf(sent)?.['hint']).toMatch(/PINSUB_KEY_PASSPHRASE_FILE.*ssh-add.*agent:COMMENT/)
  })

  test('a wrong passphrase in the file is named by file and key, and not quoted', async () => {
    const wrong = await shared('wrong', 'not the passphrase\n')
    const sent = await as(['send', 'pin', ABSENT, '--key', sandbox.path('.ssh', 'id_ed25519'), '--key-passphrase-file', wrong])
    expect(sent.code).toBe(1)
    expect(errorOf(sent)).toMatchObject({ code: 'passphrase', message: expect.stringContaining(`${wrong} is not that of`) })
    expect(sent.stdout + sent.stderr).not.toContain('not the passphrase')
  })

  test('a key in ssh-agent signs, named by comment, fingerprint or public half', async () => {
    const options = { env: { SSH_AUTH_SOCK: agent.socket } }
    const shown = await as(['keys', 'show', '--key', 'agent:held by the agent'], options)
    expect(shown.events[0]).toMatchObject({ event: 'key', agent: 'held by the agent' })
    const fingerprint = shown.events[0]?.['fingerprint'] as string
    const names = ['agent:held by the agent', `agent:${fingerprint.slice(0, 16)}`, sandbox.path('.ssh', 'held.pub')]
    for (const name of names) await add(`signed by ${name}`, ['--key', name], options)
    const without = await as(['send', 'pin', ABSENT, '--key', 'agent:held by the agent'])
    expect(without.code).toBe(1)
    expect(errorOf(without)).toMatchObject({ code: 'no-agent', message: expect.stringContaining('SSH_AUTH_SOCK is not set') })
  })

  test('init with a key of the agent makes none, and remembers it', async () => {
    const at = sandbox.path('by-agent')
    const env = { SSH_AUTH_SOCK: agent.socket }
    const args = ['init', '--home', at, '--key', 'agent:held by the agent', '--network', NETWORK, '--bootstrap', node.address]
    const made = await sandbox.run(args, { env })
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/signing key SHA256:\S+ in ssh-agent \(held by the agent\)\./) })
    expect(made.stderr).toContain('Your key may command it.')
    expect((await readdir(at)).sort()).toEqual(['authorized_keys', 'config.json', 'known_nodes'])
    expect(JSON.parse(await readFile(join(at, 'config.json'), 'utf8'))).toMatchObject({ key: 'agent:held by the agent' })
    const file = await shared('content.txt', 'from the home of an agent')
    expect((await sandbox.run(['add', file, '--home', at], { env })).code).toBe(0)
  })

  test('a command is shown where it was sent from and on the node, and ssh-keygen verifies its export', async () => {
    const id = await add('to be shown', [], unlocked)
    const [line] = (await readFile(sandbox.path('.ssh', 'id_ed25519.pub'), 'utf8')).split(' ann')
    const sent = await as(['show', id])
    expect(sent.events).toEqual([
      expect.objectContaining({ event: 'command', command: id, network: NETWORK, pinset: 'default', accepted: null, from: ['sender'] })
    ])
    // Beside the agent, which runs.
    const held = await sandbox.run(['show', id.slice(0, 8).toUpperCase(), '--home', node.home, '--json'])
    expect(held.events[0]).toMatchObject({
      command: id,
      from: ['node'],
      accepted: expect.stringMatching(/^20/),
      operations: [{ op: 'pin' }]
    })
    expect((await sandbox.run(['show', id, '--home', home])).stdout).toMatch(/author +SHA256:\S+ \(signature verified\)[^]* pin +bafk/)

    const out = sandbox.path('proof of it')
    await mkdir(out)
    const exported = await sandbox.run(['show', id.slice(0, 12), '--ssh', '--out', out, '--home', node.home])
    expect(exported.code).toBe(0)
    expect((await readdir(out)).sort()).toEqual(['allowed_signers', 'payload', 'sig'].map((kind) => `${id}.${kind}`))
    expect(await readFile(join(out, `${id}.allowed_signers`), 'utf8')).toContain(`namespaces="pinsub" ${line}`)
    const verify = (): Promise<Ended> => sandbox.spawn('sh', ['-c', exported.stdout]).ended
    expect(await verify()).toMatchObject({ code: 0, stdout: expect.stringContaining('Good "pinsub" signature for SHA256:') })

    const again = await sandbox.run(['show', id, '--ssh', '--out', out, '--home', home, '--json'])
    expect(again.code).toBe(1)
    expect(errorOf(again)).toMatchObject({ code: 'exists' })
    await rm(join(out, `${id}.payload`))
    expect((await sandbox.run(['show', id, '--ssh', '--out', out, '--home', home, '--json'])).code).toBe(1)
    expect(await readdir(out)).toHaveLength(2)

    await writeFile(join(out, `${id}.payload`), 'something else')
    expect((await verify()).code).not.toBe(0)
  })

  test('an id that is none, or unknown, and --out alone', async () => {
    expect(await as(['show', 'abc'])).toMatchObject({ code: 2 })
    const unknown = await as(['show', '00000000'])
    expect(unknown.code).toBe(1)
    expect(errorOf(unknown)).toMatchObject({ code: 'unknown', message: expect.stringContaining(home) })
    expect(await as(['show', '00000000', '--out', 'x'])).toMatchObject({ code: 2 })
  })

  describe.runIf(hasTerminal)('on a terminal', () => {
    const send = (more = ''): string => `printf %s ${ABSENT} | ${RUN} send pin - --detach --home ${home} --key .ssh/id_ed25519 ${more}`
    const echoes = '; code=$?; stty -a | grep -ow -e "-echo" -e "echo" | head -1; exit $code'

    test('the passphrase is asked for, unseen, though standard input is a pipe; a wrong one again', async () => {
      const terminal = onTerminal(sandbox, send() + echoes)
      await terminal.shows(/Passphrase for \S+id_ed25519: /)
      terminal.type('wrong\r')
      await terminal.shows(/That is not it\. Passphrase for /)
      // A mistake, deleted; then a line begun anew.
      terminal.type(`nonsense\u0015${PASSPHRASE}xö\u007f\u007f\r`)
      const { code, stdout } = await terminal.ended
      expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/\necho\r\n$/) })
      for (const secret of ['wrong', 'nonsense', PASSPHRASE, 'hörse']) expect(stdout).not.toContain(secret)
    })

    test('three wrong ones are enough', async () => {
      const terminal = onTerminal(sandbox, send())
      for (let i = 0; i < 3; i++) {
        await terminal.shows(/Passphrase for .*: /)
        terminal.type(`wrong${i}\r`)
      }
      const { code, stdout } = await terminal.ended
      expect({ code, stdout }).toMatchObject({ code: 1, stdout: expect.stringContaining('wrong passphrase for ') })
    })

    test.each([
      ['Ctrl-C ends it', '\u0003', 130],
      ['Ctrl-D gives none', '\u0004', 1]
    ])('%s, and the terminal is as before', async (_, key, code) => {
      const terminal = onTerminal(sandbox, send() + echoes)
      await terminal.shows(/Passphrase for .*: /)
      terminal.type(key)
      const ended = await terminal.ended
      expect(ended).toMatchObject({ code, stdout: expect.stringMatching(/\necho\r\n$/) })
      expect(ended.stdout).not.toContain(' at ')
    })

    test('with the passphrase in a file nothing is asked', async () => {
      const { code, stdout } = await onTerminal(sandbox, send(`--key-passphrase-file ${passphrase}`)).ended
      expect(code).toBe(0)
      expect(stdout).not.toContain('Passphrase')
    })
  })
})

describe.runIf(hasOpenssh)('a new key', () => {
  const opens = async (file: string, secret: string): Promise<string> =>
    (await sandbox.spawn('ssh-keygen', ['-y', '-P', secret, '-f', file]).ended).stdout.trim()

  test('is encrypted with the passphrase of the file that is named; init never asks', async () => {
    const passphrase = await shared('for-new', 'new passphrase\n')
    const env = { PINSUB_KEY_PASSPHRASE_FILE: passphrase }
    const made = await sandbox.run(['keys', 'gen', 'encrypted'], { env })
    expect(made).toMatchObject({ code: 0, stderr: expect.stringContaining('(0600, encrypted)') })
    expect(await opens('encrypted', 'new passphrase')).toBe(made.stdout.trim())
    expect(await opens('encrypted', '')).toBe('')

    const home = sandbox.path('encrypted-home')
    const init = await sandbox.run(['init', '--home', home, '--json'], { env, stdin: null })
    expect(await opens(join(home, 'id_ed25519'), 'new passphrase')).toBe(init.events[0]?.['line'])
    expect((await sandbox.run(['init', '--home', home], { stdin: null })).code).toBe(0)
  })

  test('--passphrase without a terminal makes none', async () => {
    const made = await sandbox.run(['keys', 'gen', 'unmade', '--passphrase'], { stdin: null })
    expect(made).toMatchObject({ code: 2, stderr: expect.stringMatching(/no terminal[^]*PINSUB_KEY_PASSPHRASE_FILE/) })
    await expect(stat(sandbox.path('unmade'))).rejects.toMatchObject({ code: 'ENOENT' })
  })

  test.runIf(hasTerminal)('--passphrase asks twice', async () => {
    const terminal = onTerminal(sandbox, `${RUN} keys gen asked --passphrase`)
    await terminal.shows(/Passphrase for the new key: /)
    terminal.type('typed twice\r')
    await terminal.shows(/The same once more: /)
    terminal.type('typed twice\r')
    expect((await terminal.ended).code).toBe(0)
    expect(await opens('asked', 'typed twice')).toMatch(/^ssh-ed25519 /)
  })

  test.runIf(hasTerminal)('two that differ, or an empty one, make none', async () => {
    for (const typed of [['one\r', 'other\r'], ['\r']]) {
      const terminal = onTerminal(sandbox, `${RUN} keys gen differ --passphrase`)
      for (const text of typed) {
        await terminal.shows(/: /)
        terminal.type(text)
      }
      expect((await terminal.ended).code).toBe(2)
      await expect(stat(sandbox.path('differ'))).rejects.toMatchObject({ code: 'ENOENT' })
    }
  })
})
