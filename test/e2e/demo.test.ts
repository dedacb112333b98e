/** `pinsub demo`: the story, and that nothing of it stays. */
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { beforeEach, expect, onTestFinished, test } from 'vitest'
import { createSandbox, type Event, type Sandbox } from '../support/cli.ts'

let sandbox: Sandbox
let folder: string
beforeEach(async () => {
  const made = createSandbox()
  sandbox = made
  onTestFinished(() => made[Symbol.asyncDispose]())
  folder = made.path('pictures')
  await mkdir(folder)
  await writeFile(made.path('pictures', 'a.txt'), 'a picture')
  await writeFile(made.path('pictures', 'b.txt'), 'another picture')
})

/** Processes that run in this sandbox's temporary folder, by their command lines. */
async function left(): Promise<string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
  return lines.filter((line) => line.includes(`${sandbox.temp}/`))
}

test('it ends well, tells its story, and leaves no process and no folder', async () => {
  const { code, stdout, stderr } = await sandbox.run(['demo', folder], { deadline: 60_000 })
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  for (const step of [
    /^1  Three nodes start/m,
    /^2  The sender imports/m,
    /3\/3 replicas in/,
    /^3  The sender is gone/m,
    /^4  A stranger signs/m,
    /exit 4/,
    /^5  Node C is killed/m,
    /2\/3 replicas while node C is off/,
    /node C  caught up from the others in .*: 3\/3 replicas/,
    /^6  The sender lets go/m
  ]) {
    expect(stdout).toMatch(step)
  }
  expect(stdout.match(/every hash right/g)).toHaveLength(3)
  expect(stdout).toMatch(/Every step was checked, not only shown: \d+ checks passed/)
  expect(stdout).not.toContain('\u001b')
  for (const line of stdout.split('\n')) expect(line.length).toBeLessThanOrEqual(140)
  expect(await readdir(sandbox.temp)).toEqual([])
  expect(await left()).toEqual([])
}, 70_000)

test('with --json every check is an object', async () => {
  const { code, events } = await sandbox.run(['demo', folder, '--json'], { deadline: 60_000 })
  expect(code).toBe(0)
  const checks = events.filter(({ event }) => event === 'check')
  expect(checks.length).toBeGreaterThan(10)
  expect(checks.every((check: Event) => check['ok'] === true)).toBe(true)
  expect(events.at(-1)).toMatchObject({ event: 'demo', checks: checks.length })
}, 70_000)

test('Ctrl-C in the middle ends it with 130 and cleans up', async () => {
  const demo = sandbox.start(['demo', folder, '--json'], { deadline: 60_000 })
  await demo.event(({ event, name }) => event === 'check' && name === 'they listen on loopback only')
  expect(await left()).toHaveLength(process.platform === 'linux' ? 3 : 0)
  expect(await demo.end('SIGINT')).toMatchObject({ code: 130, stderr: '' })
  expect(await readdir(sandbox.temp)).toEqual([])
  expect(await left()).toEqual([])
}, 70_000)

test('a path that is not there is a usage error, before anything starts', async () => {
  const { code, events } = await sandbox.run(['demo', sandbox.path('nothing'), '--json'])
  expect(code).toBe(2)
  expect(events).toEqual([expect.objectContaining({ event: 'error', message: expect.stringContaining('nothing') })])
  expect(await readdir(sandbox.temp)).toEqual([])
})
