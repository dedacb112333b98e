/** A home, or a config.json, that somebody else made or may change runs nothing and sends nothing. */
import { execFile } from 'node:child_process'
import { chmod, chown, mkdir, symlink, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { createSandbox, PINSUB, type Sandbox } from '../support/cli.ts'

const NOBODY = 65_534
const isRoot = process.getuid?.() === 0
if (!isRoot) console.warn('SKIPPED: not root: homes of other users, and other users, are NOT tried')

let sandbox: Sandbox
beforeEach(() => {
  sandbox = createSandbox()
  onTestFinished(() => sandbox[Symbol.asyncDispose]())
})

/** A home whose config.json would run a command: the file that it makes must not be there afterwards. */
async function hostileHome(name: string): Promise<{ home: string; config: string; marker: string }> {
  const [home, marker] = [sandbox.path(name), sandbox.path(`${name}-was-run`)]
  const config = join(home, 'config.json')
  await mkdir(home, { mode: 0o700 })
  await writeFile(
    config,
    JSON.stringify({ network: 'x', backend: 'kubo', 'kubo-api': 'http://127.0.0.1:1', 'start-daemon': `touch ${marker}` }),
    {
      mode: 0o600
    }
  )
  return { home, config, marker }
}

async function isRefused(home: string, marker: string, text: RegExp): Promise<void> {
  for (const args of [['node', '--listen', '/ip4/127.0.0.1/tcp/0'], ['status'], ['init']]) {
    const { code, stdout, stderr } = await sandbox.run([...args, '--home', home])
    expect({ code, stdout, stderr }).toEqual({ code: 1, stdout: '', stderr: expect.stringMatching(text) })
  }
  expect(existsSync(marker)).toBe(false)
}

test('the command of a config.json of our own is run: the test would see it', async () => {
  const { home, marker } = await hostileHome('own')
  const node = sandbox.start(['node', '--listen', '/ip4/127.0.0.1/tcp/0', '--home', home])
  await expect.poll(() => existsSync(marker), { timeout: 20_000 }).toBe(true)
  await node.end()
})

describe.skipIf(process.platform === 'win32')('that others may change', () => {
  test('the file', async () => {
    const { home, config, marker } = await hostileHome('a')
    await chmod(config, 0o666)
    await isRefused(home, marker, /config\.json can be changed by others \(mode 0666\).*: chmod go-w .*config\.json/)
  })

  test('the folder, also behind a link, and when there is nothing in it yet', async () => {
    const { home, marker } = await hostileHome('a')
    await chmod(home, 0o777)
    await symlink(home, sandbox.path('link'))
    await mkdir(sandbox.path('empty'))
    await chmod(sandbox.path('empty'), 0o1777)
    for (const at of [home, sandbox.path('link'), sandbox.path('empty')])
      await isRefused(at, marker, /can be changed by others .*: chmod go-w .*, or name a folder of your own with --home/)
  })
})

describe.skipIf(!isRoot)('of another user', () => {
  test.each(['file', 'folder'])('the %s', async (which) => {
    const { home, config, marker } = await hostileHome('theirs')
    await chown(which === 'file' ? config : home, NOBODY, NOBODY)
    await isRefused(home, marker, /belongs to another user \(uid 65534\), who could have this one run anything.*: chown 0 /)
  })

  test("as that user: root's settings are taken, a third one's not, and our secrets cannot be read", async () => {
    await chmod(sandbox.dir, 0o755)
    const as = (args: readonly string[]) =>
      new Promise<{ code: number; stderr: string }>((resolve) => {
        const env = { PATH: process.env['PATH'], HOME: sandbox.path('nobody') }
        execFile(process.execPath, [PINSUB, ...args], { uid: NOBODY, gid: NOBODY, env, cwd: '/' }, (error, _, stderr) =>
          resolve({ code: error === null ? 0 : Number(error.code), stderr })
        )
      })
    const { home, config } = await hostileHome('roots')
    const check = ['keys', 'show', '--home', home]
    await chmod(home, 0o755)
    expect(await as(check)).toEqual({ code: 2, stderr: expect.stringMatching(/this user may not read .*config\.json: name another home/) })
    await chmod(config, 0o644)
    expect(await as(check)).toEqual({ code: 1, stderr: expect.stringMatching(/there is no key/) })
    await chown(home, NOBODY - 1, NOBODY - 1)
    expect(await as(check)).toEqual({ code: 1, stderr: expect.stringMatching(/belongs to another user \(uid 65533\)/) })
  })
})
