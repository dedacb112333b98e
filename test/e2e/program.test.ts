/** Help and shell completion. */
import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createSandbox, type Sandbox } from '../support/cli.ts'

const COMMANDS = [
  'init',
  'node',
  'add',
  'send pin',
  'send unpin',
  'status',
  'ls',
  'nodes',
  'nodes trust',
  'keys',
  'keys gen',
  'keys show',
  'keys list',
  'keys add',
  'log',
  'demo',
  'completion'
]

let sandbox: Sandbox
beforeAll(() => {
  sandbox = createSandbox()
})
afterAll(() => sandbox[Symbol.asyncDispose]())

describe('help', () => {
  test.for(COMMANDS)('pinsub %s --help', async (command) => {
    const { code, stdout, stderr } = await sandbox.run([...command.split(' '), '--help'])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toContain(`Usage: pinsub ${command} `)
    expect(stdout).toContain('--home <dir>')
    for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(120)
  })

  test.for(COMMANDS.filter((command) => !/^(nodes|keys) /.test(command)))('pinsub %s has examples', async (command) => {
    const { stdout } = await sandbox.run([...command.split(' '), '--help'])
    expect(stdout).toMatch(new RegExp(`\\nExamples:\\n  .*pinsub ${command}`))
  })

  test('pinsub --help says how to begin and what the exit codes mean', async () => {
    const { code, stdout } = await sandbox.run(['--help'])
    expect(code).toBe(0)
    expect(stdout).toMatch(/First use:\n  pinsub init/)
    expect(stdout).toMatch(/3 too few replicas in time, 4 refused, 5 no node reached/)
    const version = await sandbox.run(['--version'])
    expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) })
  })
})

describe('completion', () => {
  const SHELLS = ['bash', 'zsh', 'fish'].map((shell) => ({ shell, absent: spawnSync(shell, ['-c', ':']).error !== undefined }))
  for (const { shell } of SHELLS.filter(({ absent }) => absent))
    console.warn(`SKIPPED: no ${shell} here, its completion script is only printed`)

  const script = async (shell: string): Promise<string> => {
    const { code, stdout } = await sandbox.run(['completion', shell])
    expect(code).toBe(0)
    const file = sandbox.path(`completion.${shell}`)
    await writeFile(file, stdout)
    return file
  }

  test.for(['bash', 'zsh', 'fish'])('%s prints a script', async (shell) => {
    const { code, stdout, stderr } = await sandbox.run(['completion', shell])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    for (const word of ['unpin', 'trust', 'authorized-keys', 'pinset']) expect(stdout).toContain(word)
  })

  for (const { shell, absent } of SHELLS) {
    test.skipIf(absent)(`${shell} takes its script`, async () => {
      const { code, stderr } = await sandbox.spawn(shell, ['-n', await script(shell)]).ended
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    })
  }

  test.for([
    ['pinsub se', ['send']],
    ['pinsub send ', ['pin', 'unpin']],
    ['pinsub send p', ['pin']],
    ['pinsub --home /tmp send unpin --pin', ['--pinset']],
    ['pinsub send pin --name add --rep', ['--replicas']],
    ['pinsub keys ', ['gen', 'show', 'list', 'add']],
    ['pinsub nodes t', ['trust']],
    ['pinsub node --backend ', ['auto', 'helia', 'kubo']],
    ['pinsub node --backend k', ['kubo']],
    ['pinsub log --op un', ['unpin']],
    ['pinsub log --source ', ['node', 'sender']],
    ['pinsub completion z', ['zsh']],
    ['pinsub send pin --key completion.ba', ['completion.bash']]
  ] as const)('bash completes %j', async ([line, expected]) => {
    const file = await script('bash')
    const words = line.split(' ')
    const run = `source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _pinsub; printf '%s\\n' "\${COMPREPLY[@]}"`
    const { stdout } = await sandbox.spawn('bash', ['-c', run, 'bash', file, ...words]).ended
    const offered = stdout.trim().split('\n')
    expect(offered.filter((word) => !word.startsWith('--') || line.includes('--'))).toEqual(expect.arrayContaining([...expected]))
    if (expected.length === 1) expect(offered).toEqual(expected)
  })
})
