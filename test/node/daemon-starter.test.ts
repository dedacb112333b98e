import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createBackendWatch } from '../../src/node/backend-watch.ts'
import { createDaemonStarter, type CommandEnd, type DaemonStarter } from '../../src/node/daemon-starter.ts'
import type { BackendHealth } from '../../src/node/ports.ts'
import { createShell } from '../../src/node/shell.ts'
import { createManualClock } from '../support/clock.ts'
import { keepLog, type KeptLog } from '../support/log.ts'

const GONE: BackendHealth = { ok: false, reason: 'connection refused' }
const FINE: BackendHealth = { ok: true, version: '0.40.0' }
const WRONG: BackendHealth = { ok: false, reason: 'version 0.37', answers: true }

interface Run {
  /** Seconds since the start of the test. */
  readonly at: number
  readonly signals: string[]
  say(line: string): void
  end(how: string): void
}

interface Bench {
  readonly starter: DaemonStarter
  readonly log: KeptLog
  /** What was started, in order; `at` of each tells when. */
  readonly runs: Run[]
  answer(health: BackendHealth): void
  /** Moves the clock in short steps, so that answers come in between. */
  pass(seconds: number): Promise<void>
  newest(): Run
}

async function createBench(first: BackendHealth): Promise<Bench> {
  const clock = createManualClock()
  const begun = clock.now()
  const log = keepLog()
  const runs: Run[] = []
  let now = first
  const watch = createBackendWatch(
    {},
    { backend: { kind: 'kubo', health: () => Promise.resolve(now) }, clock, log: keepLog(), random: () => 0.5 }
  )
  const run = (_: string, onLine: (line: string) => void) => {
    const { promise: ended, resolve } = Promise.withResolvers<CommandEnd>()
    const signals: string[] = []
    const end = (how: string): void => resolve({ how, isError: how !== 'code 0' })
    runs.push({ at: (clock.now() - begun) / 1_000, signals, say: onLine, end })
    return { ended, kill: (signal: string) => void signals.push(signal) }
  }
  const starter = createDaemonStarter({ command: 'ipfs daemon' }, { watch, clock, log, run })
  watch.start()
  starter.start()
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  const pass = async (seconds: number): Promise<void> => {
    await turn()
    for (let left = seconds * 1_000; left > 0; left -= 250) {
      clock.advance(Math.min(250, left))
      await turn()
    }
  }
  await pass(0)
  return { starter, log, runs, answer: (health) => (now = health), pass, newest: () => runs.at(-1) as Run }
}

test('at the start, at once; after that with growing waits, one at a time', async () => {
  const { runs, pass, newest } = await createBench(GONE)
  await pass(0.001)
  const starts: number[] = []
  for (let n = 0; n < 9; n++) {
    while (runs.length === n) await pass(0.25)
    starts.push(newest().at)
    await pass(5)
    expect(runs.length).toBe(n + 1)
    newest().end('code 1')
  }
  const waits = starts.slice(1).map((at, n) => Math.round(at - (starts[n] ?? 0) - 5))
  expect(waits).toEqual([1, 2, 4, 8, 16, 32, 60, 60])
})

test('a daemon that answers is left alone, and one that goes is given ten seconds to be started by whoever did so before', async () => {
  const { runs, answer, pass } = await createBench(FINE)
  await pass(120)
  answer(GONE)
  await pass(9)
  answer(FINE)
  await pass(30)
  expect(runs).toEqual([])
  answer(GONE)
  await pass(16)
  expect(runs.length).toBe(1)
})

test('up for a minute, and the waits begin anew; less, and they go on', async () => {
  const { runs, answer, pass, newest } = await createBench(GONE)
  const crash = async (upFor: number): Promise<number> => {
    answer(FINE)
    await pass(upFor)
    answer(GONE)
    newest().end('SIGKILL')
    const { length } = runs
    let waited = 0
    for (; runs.length === length; waited += 0.25) await pass(0.25)
    return Math.round(waited)
  }
  await pass(0.25)
  expect(await crash(10)).toBe(1)
  expect(await crash(10)).toBe(2)
  expect(await crash(50)).toBe(4)
  expect(await crash(70)).toBe(1)
  expect(await crash(10)).toBe(2)
})

test('a command that returns has handed the daemon on: run again only while it is down', async () => {
  const { runs, log, answer, pass, newest } = await createBench(GONE)
  await pass(0.25)
  newest().end('code 0')
  await pass(0.5)
  answer(FINE)
  await pass(300)
  expect(runs.length).toBe(1)
  answer(GONE)
  await pass(16)
  expect(runs.length).toBe(2)
  newest().end('code 0')
  await pass(2)
  expect(runs.length).toBe(3)
  expect(log.take('warn')).toEqual([])
})

test('what ends with an error is said, with its last line', async () => {
  const { log, pass, newest } = await createBench(GONE)
  await pass(0.25)
  newest().say('Initializing daemon...')
  newest().say('Error:\u001b[31m lock /data/repo.lock: someone else has the lock')
  newest().say(' ')
  newest().end('code 1')
  await pass(0.25)
  expect(log.take('warn')).toEqual([
    'the command of --start-daemon ended (code 1): Error: [31m lock /data/repo.lock: someone else has the lock'
  ])
  expect(log.take('debug')[0]).toBe('daemon: Initializing daemon...')
})

test('one that runs and stops to answer for a minute is ended, at last by force, and started again', async () => {
  const { runs, log, answer, pass, newest } = await createBench(GONE)
  await pass(0.25)
  answer(FINE)
  await pass(100)
  const first = newest()
  answer(GONE)
  first.say('still talking')
  await pass(60)
  expect(first.signals).toEqual([])
  first.say('still talking')
  let waited = 0
  for (; first.signals.length === 0; waited += 0.25) await pass(0.25)
  expect(waited).toBeLessThan(6)
  await pass(9.5)
  expect(first.signals).toEqual(['SIGTERM'])
  await pass(1)
  expect(first.signals).toEqual(['SIGTERM', 'SIGKILL'])
  expect(runs.length).toBe(1)
  first.end('SIGKILL')
  await pass(1.25)
  expect(runs.length).toBe(2)
  expect(log.take('warn')).toEqual([
    'the daemon that --start-daemon started runs, and has not answered for 60 s: it is ended and started again'
  ])
})

test('one that answers again in time is left alone', async () => {
  const { answer, pass, newest } = await createBench(GONE)
  await pass(0.25)
  for (let i = 0; i < 3; i++) {
    answer(FINE)
    await pass(20)
    answer(GONE)
    await pass(50)
  }
  expect(newest().signals).toEqual([])
})

test('one that comes up slowly, and says so, is given the time', async () => {
  const { answer, pass, newest } = await createBench(GONE)
  for (let minute = 0; minute < 5; minute++) {
    await pass(50)
    newest().say(`migrating: ${minute * 20} %`)
  }
  expect(newest().signals).toEqual([])
  await pass(59)
  expect(newest().signals).toEqual([])
  await pass(2)
  expect(newest().signals).toEqual(['SIGTERM'])
  answer(FINE)
})

test('where something else answers, nothing is started and nothing ended', async () => {
  const { runs, answer, pass, newest } = await createBench(WRONG)
  await pass(300)
  expect(runs).toEqual([])
  answer(GONE)
  await pass(3)
  expect(runs.length).toBe(1)
  answer(WRONG)
  await pass(300)
  expect(newest().signals).toEqual([])
})

test('stopped, it ends what runs and starts nothing more', async () => {
  const { starter, runs, pass, newest } = await createBench(GONE)
  await pass(0.25)
  const stopping = starter.stop()
  expect(newest().signals).toEqual(['SIGTERM'])
  await pass(10)
  expect(newest().signals).toEqual(['SIGTERM', 'SIGKILL'])
  newest().end('SIGKILL')
  await stopping
  await pass(100)
  expect(runs.length).toBe(1)
})

describe('through the shell', () => {
  const run = createShell({ clock: systemClock })
  const quiet = (): void => {}

  async function folder(): Promise<string> {
    const dir = await mkdtemp(join(tmpdir(), 'pinsub-shell-'))
    onTestFinished(() => rm(dir, { recursive: true, force: true }))
    return dir
  }

  /** The number in a file that is being written. */
  const appears = (file: string): Promise<string> =>
    vi.waitFor(
      async () => {
        const text = await readFile(file, 'utf8')
        expect(text).toMatch(/^\d+\n$/)
        return text.trim()
      },
      { timeout: 10_000, interval: 10 }
    )

  const isAlive = (pid: string): boolean => {
    const status = `/proc/${pid}/stat`
    try {
      process.kill(Number(pid), 0)
      // What has ended and was not collected yet is there, too.
      return !existsSync(status) || !readFileSync(status, 'utf8').includes(') Z ')
    } catch {
      return false
    }
  }

  test.for([
    ['exit 3', { how: 'code 3', isError: true }],
    ['true', { how: 'code 0', isError: false }],
    ['kill -9 $$', { how: 'SIGKILL', isError: true }],
    ['no-such-program --daemon', { how: 'code 127', isError: true }]
  ] as const)('%s', async ([command, end]) => {
    expect(await run(command, quiet).ended).toEqual(end)
  })

  test('every line is heard, the last before the end', async () => {
    const lines: string[] = []
    await run('echo one; echo two >&2; printf three; exit 1', (line) => lines.push(line)).ended
    expect(lines.toSorted()).toEqual(['one', 'three', 'two'])
  })

  /** A script that takes its time to end: told to, it says so in a file that is called gone. */
  async function slowScript(dir: string): Promise<string> {
    const text = `trap 'sleep 0.3; echo 1 > ${dir}/gone; exit' TERM; echo $$ > ${dir}/pid; while :; do sleep 0.05; done`
    await writeFile(join(dir, 'slow.sh'), text)
    return `sh ${dir}/slow.sh`
  }

  test('a signal reaches all that it started, and what it runs is waited for, not orphaned', async () => {
    const dir = await folder()
    const running = run(`${await slowScript(dir)}; :`, quiet)
    const pid = await appears(join(dir, 'pid'))
    running.kill('SIGTERM')
    expect(await running.ended).toMatchObject({ how: 'code 143' })
    expect(existsSync(join(dir, 'gone'))).toBe(true)
    expect(isAlive(pid)).toBe(false)
  })

  test('where an orphan is left all the same, its end is waited for', async () => {
    const dir = await folder()
    const running = run(`exec sh -c '${await slowScript(dir)} & wait'`, quiet)
    await appears(join(dir, 'pid'))
    const order: string[] = []
    const ended = running.ended.then(({ how }) => order.push(how))
    running.kill('SIGTERM')
    await appears(join(dir, 'gone'))
    order.push('gone')
    // Where nobody collects orphans, this ends the waiting for it.
    running.kill('SIGKILL')
    await ended
    expect(order).toEqual(['gone', 'SIGTERM'])
  })

  test('what does not listen is ended by force, stopped as it is', async () => {
    const dir = await folder()
    const running = run(`trap '' TERM; echo $$ > ${dir}/pid; while :; do sleep 0.05; done`, quiet)
    const pid = await appears(join(dir, 'pid'))
    process.kill(Number(pid), 'SIGSTOP')
    running.kill('SIGTERM')
    running.kill('SIGKILL')
    expect(await running.ended).toMatchObject({ how: 'SIGKILL' })
    expect(isAlive(pid)).toBe(false)
  })

  test('a program that ends without a word takes what it runs with it', async () => {
    const dir = await folder()
    const sources = ['src/node/shell.ts', 'src/network/clock.ts'].map((file) => JSON.stringify(resolve(import.meta.dirname, '../..', file)))
    const script = `
      import { createShell } from ${sources[0]}
      import { systemClock } from ${sources[1]}
      createShell({ clock: systemClock })('echo $$ > ${dir}/pid; exec sleep 30', () => {})
      process.stdin.once('data', () => process.exit(1)).resume()`
    const program = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'ignore', 'inherit'] })
    const pid = await appears(join(dir, 'pid'))
    expect(isAlive(pid)).toBe(true)
    program.stdin.write('end')
    await once(program, 'exit')
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false), { timeout: 10_000 })
  })

  test('what a command left behind and handed on is not ended', async () => {
    const dir = await folder()
    const running = run(`(sleep 0.3; echo 1 > ${dir}/lives) >/dev/null 2>&1 &`, quiet)
    expect(await running.ended).toEqual({ how: 'code 0', isError: false })
    running.kill('SIGTERM')
    running.kill('SIGKILL')
    expect(await appears(join(dir, 'lives'))).toBe('1')
  })
})
