import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { lockHome } from '../../src/storage/lock.ts'

async function lockFile(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-lock-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return join(dir, 'node', 'lock')
}

const HOLD = `
const { lockHome } = await import(${JSON.stringify(new URL('../../src/storage/lock.ts', import.meta.url).href)})
process.stdin.on('end', () => process.exit()).resume()
try { await lockHome(process.argv[1]); globalThis.gc(); console.log('locked') } catch (err) { console.log(err.code + ': ' + err.message) }
`

/** A process that tries to take the lock, keeps no reference to it, and lives on; and the first line it says. */
async function holder(file: string): Promise<{ child: ChildProcess; said: string }> {
  const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', HOLD, file], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [said] = (await once(createInterface(child.stdout), 'line')) as [string]
  return { child, said }
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exit = once(child, 'exit')
  child.kill(signal)
  await exit
}

test('one holder at a time in one process, until it is released', async () => {
  const file = await lockFile()
  const lock = await lockHome(file)
  await expect(lockHome(file)).rejects.toMatchObject({ name: 'LockError', code: 'held' })
  await expect(lockHome(file)).rejects.toThrow(`process ${process.pid}`)
  lock.release()
  lock.release()
  const again = await lockHome(file)
  lock.release()
  await expect(lockHome(file)).rejects.toMatchObject({ code: 'held' })
  again.release()
  expect(existsSync(`${file}.holder`)).toBe(false)
})

test('another process is kept out and told who is in and what to do', async () => {
  const file = await lockFile()
  const { child, said } = await holder(file)
  expect(said).toBe('locked')
  const message = new RegExp(`in use by another pinsub node \\(process ${child.pid} on .*\\).*--home`)
  await expect(lockHome(file)).rejects.toThrow(message)
  expect((await holder(file)).said).toMatch(message)
})

test.each<NodeJS.Signals>(['SIGKILL', 'SIGTERM'])('a process that dies by %s leaves it free', async (signal) => {
  const file = await lockFile()
  for (let round = 0; round < 3; round++) {
    const { child, said } = await holder(file)
    expect(said).toBe('locked')
    await expect(lockHome(file)).rejects.toMatchObject({ code: 'held' })
    await end(child, signal)
  }
  const lock = await lockHome(file)
  lock.release()
})

test('of many processes at once exactly one gets it', async () => {
  const file = await lockFile()
  const said = await Promise.all([1, 2, 3, 4].map(async () => (await holder(file)).said))
  expect(said.filter((line) => line === 'locked')).toHaveLength(1)
  expect(said.filter((line) => line.startsWith('held: '))).toHaveLength(3)
})

test('the file is never written, and a file of another kind is refused and kept', async () => {
  const file = await lockFile()
  const lock = await lockHome(file)
  expect((await stat(file)).size).toBe(0)
  lock.release()
  await writeFile(file, 'something else entirely')
  await expect(lockHome(file)).rejects.toMatchObject({ name: 'LockError', code: 'open', message: expect.stringContaining(file) })
  expect(await readFile(file, 'utf8')).toBe('something else entirely')
})
