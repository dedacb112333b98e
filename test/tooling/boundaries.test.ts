/** The borders between rooms are held by the linter: each forbidden import, planted, is found; each allowed one is not. */
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const ROOT = resolve(import.meta.dirname, '../..')
const ROOMS = ['protocol', 'identity', 'storage', 'network', 'content', 'node', 'sender', 'gateway', 'config', 'cli'] as const
type Room = (typeof ROOMS)[number]

/** The table of docs/ARCHITECTURE.md. */
const MAY_IMPORT: Record<Room, readonly Room[]> = {
  protocol: [],
  identity: ['protocol'],
  storage: ['protocol'],
  network: ['protocol'],
  content: ['protocol', 'network'],
  node: ['protocol', 'identity', 'storage', 'network', 'content'],
  sender: ['protocol', 'identity', 'storage', 'network', 'content'],
  gateway: ['sender', 'protocol'],
  config: ['protocol'],
  cli: ROOMS
}

interface Finding {
  readonly code: string
  readonly filename: string
}

let folder: string

/** Lints one planted set of files (path → text) and returns the files with findings of `rule`. */
async function lint(files: Record<string, string>, rule: string): Promise<string[]> {
  const root = await mkdtemp(join(folder, 'case-'))
  await cp(join(ROOT, '.oxlintrc.json'), join(root, '.oxlintrc.json'))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(join(root, path, '..'), { recursive: true })
    await writeFile(join(root, path), text)
  }
  const oxlint = join(ROOT, 'node_modules/oxlint/bin/oxlint')
  const run = promisify(execFile)(process.execPath, [oxlint, '--format=json'], { cwd: root })
  const stdout = await run.then(
    (result) => result.stdout,
    (failure: { stdout: string }) => failure.stdout
  )
  const { diagnostics } = JSON.parse(stdout) as { diagnostics: Finding[] }
  return diagnostics
    .filter((finding) => finding.code.includes(rule))
    .map((finding) => finding.filename)
    .toSorted()
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pinsub-lint-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

describe('imports between rooms', () => {
  test('exactly those of the table pass', async () => {
    const pairs = ROOMS.flatMap((from) => ROOMS.map((to) => ({ from, to })))
    const planted = Object.fromEntries(
      pairs.flatMap(({ from, to }) => [
        [`src/${from}/to-${to}.ts`, `export { x } from '../${to}/x.ts'\n`],
        [`src/${from}/deep/to-${to}.ts`, `export const x = await import('../../${to}/x.ts')\n`]
      ])
    )
    const forbidden = pairs.filter(({ from, to }) => from !== to && !MAY_IMPORT[from].includes(to))
    const expected = forbidden.flatMap(({ from, to }) => [`src/${from}/to-${to}.ts`, `src/${from}/deep/to-${to}.ts`])
    expect(await lint(planted, 'no-restricted-imports')).toEqual(expected.toSorted())
  })

  test('type imports count as well', async () => {
    const planted = { 'src/storage/x.ts': "import type { Y } from '../network/y.ts'\nexport type X = Y\n" }
    expect(await lint(planted, 'no-restricted-imports')).toEqual(['src/storage/x.ts'])
  })

  test('the public API re-exports from sender and content only, and src/ never reaches into test/', async () => {
    const planted = {
      'src/index.ts': "export { x } from './sender/x.ts'\nexport { y } from './content/y.ts'\n",
      'src/sender/x.ts': "export { x } from '../../test/support/x.ts'\n"
    }
    expect(await lint(planted, 'no-restricted-imports')).toEqual(['src/sender/x.ts'])
    expect(await lint({ 'src/index.ts': "export { x } from './node/x.ts'\n" }, 'no-restricted-imports')).toEqual(['src/index.ts'])
  })

  test('no cycles', async () => {
    const planted = { 'src/node/a.ts': "export { b } from './b.ts'\n", 'src/node/b.ts': "export { b } from './a.ts'\n" }
    expect(await lint(planted, 'no-cycle')).toEqual(['src/node/a.ts', 'src/node/b.ts'])
  })
})

describe('src/protocol', () => {
  test('uses of node:* only node:crypto', async () => {
    const modules = ['fs', 'fs/promises', 'net', 'sqlite', 'path/posix', 'crypto']
    const planted = Object.fromEntries(modules.map((name) => [`src/protocol/${name.replace('/', '-')}.ts`, `import 'node:${name}'\n`]))
    const expected = modules.filter((name) => name !== 'crypto').map((name) => `src/protocol/${name.replace('/', '-')}.ts`)
    expect(await lint(planted, 'no-restricted-imports')).toEqual(expected.toSorted())
    expect(await lint({ 'src/protocol/x.ts': "import 'fs'\n" }, 'prefer-node-protocol')).toEqual(['src/protocol/x.ts'])
  })

  test('has no clock and no randomness', async () => {
    const planted = {
      'src/protocol/clock.ts': 'export const now = Date.now()\n',
      'src/protocol/dice.ts': 'export const dice = Math.random()\n',
      'src/node/clock.ts': 'export const now = Date.now()\n'
    }
    expect(await lint(planted, 'no-restricted-properties')).toEqual(['src/protocol/clock.ts', 'src/protocol/dice.ts'])
    expect(await lint({ 'src/protocol/timer.ts': 'setTimeout(() => {}, 1)\n' }, 'no-restricted-globals')).toEqual(['src/protocol/timer.ts'])
  })
})
