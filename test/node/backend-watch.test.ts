import { expect, onTestFinished, test, vi } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createKuboBackend } from '../../src/node/backend/kubo.ts'
import { createBackendPresence } from '../../src/node/backend-presence.ts'
import { createBackendWatch, type BackendWatch } from '../../src/node/backend-watch.ts'
import { BackendError, type BackendHealth } from '../../src/node/ports.ts'
import { createManualClock, type ManualClock } from '../support/clock.ts'
import { startRpcOverHelia } from '../support/kubo-under-test.ts'
import { keepLog, type KeptLog } from '../support/log.ts'

const FINE: BackendHealth = { ok: true, version: '0.40.0', freeBytes: 1_000_000_000 }
const GONE: BackendHealth = { ok: false, reason: 'no Kubo at http://127.0.0.1:5001 (ECONNREFUSED)' }
const away = new BackendError('unavailable', 'went away')
const noSpace = new BackendError('no-space', 'no space left on device')

interface Bench {
  readonly watch: BackendWatch
  readonly clock: ManualClock
  readonly log: KeptLog
  readonly changes: string[]
  /** What the daemon answers from now on; null: nothing. */
  answer(health: BackendHealth | null): void
  asked(): number
  /** Moves the clock and lets answers arrive. */
  pass(ms: number): Promise<void>
}

function createBench(first: BackendHealth | null = FINE): Bench {
  const clock = createManualClock()
  const log = keepLog()
  let now = first
  let asked = 0
  const health = (): Promise<BackendHealth> => {
    asked++
    return now === null ? new Promise(() => {}) : Promise.resolve(now)
  }
  const watch = createBackendWatch({}, { backend: { kind: 'kubo', health }, clock, log, random: () => 0.5 })
  const changes: string[] = []
  watch.onChange((change) => changes.push(change))
  watch.start()
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
  return {
    watch,
    clock,
    log,
    changes,
    answer: (health) => (now = health),
    asked: () => asked,
    async pass(ms) {
      await turn()
      // Each answer sets the next timer, so that a long time passes in short ones.
      for (let left = ms; left > 0; left -= 250) {
        clock.advance(Math.min(250, left))
        await turn()
      }
      await turn()
    }
  }
}

test('asks every 5 s while it is up and every second while it is down, and says each once', async () => {
  const { watch, log, changes, answer, asked, pass } = createBench()
  await pass(20_000)
  expect(asked()).toBe(5)
  expect(watch.state()).toEqual({ full: false })
  expect(log.lines).toEqual([])
  answer(GONE)
  await pass(5_000)
  expect(watch.state()).toMatchObject({ down: { reason: expect.stringContaining('ECONNREFUSED') as string, answers: false } })
  const before = asked()
  await pass(30_000)
  expect(asked() - before).toBe(30)
  answer(FINE)
  await pass(1_000)
  expect(watch.state()).toEqual({ full: false })
  expect(changes).toEqual(['down', 'back'])
  expect(log.lines).toEqual([
    'warn Kubo is down, its jobs wait: no Kubo at http://127.0.0.1:5001 (ECONNREFUSED)',
    'info Kubo is back after 31.0 s: its jobs go on'
  ])
})

test('the waits are spread, so that nodes that started together do not ask together', async () => {
  for (const [random, wait] of [
    [0, 3_750],
    [0.999_999, 6_250]
  ] as const) {
    const clock = createManualClock()
    let asked = 0
    const health = (): Promise<BackendHealth> => (asked++, Promise.resolve(FINE))
    const watch = createBackendWatch({}, { backend: { kind: 'kubo', health }, clock, log: keepLog(), random: () => random })
    watch.start()
    await watch.health()
    clock.advance(wait - 1)
    expect(asked).toBe(1)
    clock.advance(1)
    expect(asked).toBe(2)
    watch.stop()
  }
})

test('the last answer is known without asking, and waited for only at the start', async () => {
  const { watch, answer, asked, pass } = createBench()
  expect(await watch.health()).toBe(FINE)
  answer(GONE)
  expect(await watch.health()).toBe(FINE)
  expect(asked()).toBe(1)
  await pass(5_000)
  expect(await watch.health()).toBe(GONE)
})

test('one that does not answer hangs, and is not asked again before it did', async () => {
  const { watch, log, asked, pass } = createBench(null)
  await pass(1_900)
  expect(watch.state()).toEqual({ full: false })
  await pass(100)
  expect(watch.state().down).toMatchObject({ reason: 'no answer in 2 s: does it hang?' })
  await pass(60_000)
  expect(asked()).toBe(1)
  expect(log.take('warn')).toEqual(['Kubo is down, its jobs wait: no answer in 2 s: does it hang?'])
})

test('a job that finds it away stops the others at once, and it is asked at once', async () => {
  const { watch, log, changes, answer, asked, pass } = createBench()
  await pass(100)
  answer(GONE)
  watch.failed(away)
  expect(watch.state().down).toMatchObject({ reason: 'went away' })
  await pass(0)
  expect(asked()).toBe(2)
  expect(changes).toEqual(['down'])
  expect(log.take('warn')).toHaveLength(1)
})

test('a job that finds it away while it is there is no news', async () => {
  const { watch, log, changes, pass } = createBench()
  await pass(100)
  for (let i = 0; i < 3; i++) {
    watch.failed(away)
    expect(watch.state().down).toBeDefined()
    await pass(10)
    expect(watch.state().down).toBeUndefined()
  }
  expect(changes).toEqual(['sound', 'sound', 'sound'])
  expect(log.lines).toEqual([])
})

test('one that answers and cannot be used is down too, and it is said that it is another thing', async () => {
  const { watch, log, changes, answer, pass } = createBench(GONE)
  await pass(10)
  answer({ ok: false, reason: 'Kubo is version 0.37', answers: true })
  await pass(3_000)
  expect(watch.state().down).toMatchObject({ answers: true, reason: 'Kubo is version 0.37' })
  expect(changes).toEqual(['down', 'down'])
  expect(log.take('warn').at(-1)).toBe('Kubo cannot be used, its jobs wait: Kubo is version 0.37')
})

test('full: said once, until nothing waits for space', async () => {
  const { watch, log, changes, pass } = createBench()
  await pass(10)
  for (let i = 0; i < 5; i++) watch.failed(noSpace)
  expect(watch.state()).toEqual({ full: true })
  expect(log.lines).toEqual([
    'warn Kubo has no space left, what is to be pinned waits: unpin something or give it more room (no space left on device)'
  ])
  await pass(200_000)
  watch.fits()
  watch.fits()
  expect(watch.state()).toEqual({ full: false })
  expect(changes).toEqual(['full', 'fits'])
  expect(log.take('info')).toEqual(['Kubo has room again after 3 min: nothing waits for space any more'])
})

test('while it is full, more free space is told, and what is used meanwhile is not', async () => {
  const { watch, changes, answer, pass } = createBench({ ...FINE, freeBytes: 50_000_000 })
  const room = (): number => changes.filter((change) => change === 'room').length
  await pass(10)
  answer({ ...FINE, freeBytes: 90_000_000 })
  await pass(5_000)
  expect(changes).toEqual([])
  watch.failed(noSpace)
  await pass(10)
  for (const [free, told] of [
    [90_100_000, 0],
    [3_000_000, 0],
    [3_900_000, 0],
    [4_100_000, 1],
    [4_100_000, 1],
    [1_000_000, 1],
    [2_500_000, 2]
  ] as const) {
    answer({ ...FINE, freeBytes: free })
    await pass(5_000)
    expect(room(), String(free)).toBe(told)
  }
})

test('stopped, it asks no more and says no more', async () => {
  const { watch, log, changes, answer, asked, pass } = createBench()
  await pass(10)
  watch.stop()
  answer(GONE)
  watch.failed(away)
  watch.failed(noSpace)
  await pass(60_000)
  expect([asked(), changes, log.lines]).toEqual([1, [], []])
})

test('stopped before the first answer, nobody waits for it', async () => {
  const { watch } = createBench(null)
  watch.stop()
  expect(await watch.health()).toMatchObject({ ok: false })
})

test('a Kubo that is killed, comes back, hangs and goes on, as presence tells it', async () => {
  const kubo = await startRpcOverHelia()
  onTestFinished(() => kubo.stop())
  const backend = createKuboBackend({ apiUrl: kubo.apiUrl, name: 'pinsub:test' }, { clock: systemClock })
  onTestFinished(() => backend.stop())
  const log = keepLog()
  const watch = createBackendWatch({ upMs: 50, downMs: 50, answerMs: 500 }, { backend, clock: systemClock, log, random: Math.random })
  onTestFinished(() => watch.stop())
  const describe = createBackendPresence({ backend, watch })
  watch.start()
  const up = { kind: 'kubo', up: true, peer: kubo.peer, addresses: [expect.any(String)] }
  expect(await describe()).toEqual({ free: expect.any(Number) as number, used: expect.any(Number) as number, backend: up })

  const turns = async (isUp: boolean): Promise<void> => {
    await vi.waitFor(() => expect(watch.state().down === undefined).toBe(isUp), { timeout: 10_000, interval: 10 })
  }
  await kubo.kill()
  await turns(false)
  expect((await describe()).backend).toEqual({ kind: 'kubo', up: false, peer: kubo.peer, addresses: [] })
  await kubo.restart()
  await turns(true)
  kubo.freeze()
  await turns(false)
  expect((await describe()).backend).toMatchObject({ up: false, peer: kubo.peer })
  kubo.thaw()
  await turns(true)
  watch.failed(noSpace)
  expect((await describe()).backend).toEqual({ ...up, full: true })
  expect(log.lines.map((line) => line.replace(/ at http.*/, '').replace(/[\d.]+ s/, '# s'))).toEqual([
    'warn Kubo is down, its jobs wait: no Kubo',
    'info Kubo is back after # s: its jobs go on',
    'warn Kubo is down, its jobs wait: no answer in # s: does it hang?',
    'info Kubo is back after # s: its jobs go on',
    expect.stringContaining('warn Kubo has no space left')
  ])
})
