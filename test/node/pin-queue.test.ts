import { multiaddr } from '@multiformats/multiaddr'
import type { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { BackendError, type BackendHealth } from '../../src/node/ports.ts'
import { author, cidOf, command } from '../support/author.ts'
import { createQueueBench } from '../support/queue-bench.ts'

test('does jobs, a bounded number at a time, and writes them down', async () => {
  await using bench = await createQueueBench({ concurrency: 3 })
  const cids = await Promise.all(Array.from({ length: 20 }, (_, i) => bench.give(`block ${i}`)))
  await bench.ask('pin', ...cids)
  await bench.until(() => bench.core.store.pinCount() === 20)
  expect(bench.backend.running.most).toBe(3)
  expect(bench.core.store.jobCount()).toBe(0)
  expect(bench.core.store.pin(String(cids[0]))).toMatchObject({ bytes: 7, foreign: false })
})

test('a failure is tried again, twice as late each time, with jitter, up to a bound', async () => {
  await using bench = await createQueueBench({ random: () => 0.5 })
  const cid = await bench.give('x')
  bench.backend.failWith(new BackendError('not-found', 'nobody has it'))
  await bench.ask('pin', cid)
  const waits: number[] = []
  for (let attempt = 1; attempt <= 4; attempt++) {
    await bench.until(() => bench.core.store.job(String(cid))?.attempt === attempt)
    const job = bench.core.store.job(String(cid))
    expect(job).toMatchObject({ code: 'not-found' })
    waits.push((job?.nextAt ?? 0) - bench.core.clock.now())
    bench.core.clock.advance(waits.at(-1) ?? 0)
  }
  expect(waits).toEqual([1_250, 2_500, 5_000, 5_000])
  bench.backend.failWith()
  await bench.until(() => bench.core.store.pinCount() === 1, 1_000)
})

test('fresh jobs go before those that failed', async () => {
  await using bench = await createQueueBench({ concurrency: 1 })
  const [old, fresh] = await Promise.all([bench.give('old'), bench.give('fresh')])
  bench.backend.failWith(new BackendError('failed', 'no'))
  await bench.ask('pin', old)
  await bench.until(() => bench.core.store.job(String(old))?.attempt === 1)
  bench.backend.failWith()
  const open = bench.backend.hold()
  bench.backend.calls.length = 0
  bench.core.clock.advance(900)
  const blocker = await bench.give('blocker')
  await bench.ask('pin', blocker)
  bench.core.clock.advance(200)
  await bench.ask('pin', fresh)
  open()
  await bench.until(() => bench.core.store.pinCount() === 3)
  expect(bench.backend.calls).toEqual([`pin ${blocker}`, `pin ${fresh}`, `pin ${old}`])
})

test('a try without progress ends', async () => {
  await using bench = await createQueueBench()
  bench.backend.hold()
  await bench.ask('pin', cidOf('never comes'))
  await bench.until(() => bench.backend.calls.length === 1)
  bench.core.clock.advance(10_000)
  await bench.until(() => bench.core.store.job(String(cidOf('never comes')))?.code === 'timeout')
})

test('an unpin takes the place of a running pin', async () => {
  await using bench = await createQueueBench()
  const cid = await bench.give('x')
  const open = bench.backend.hold()
  await bench.ask('pin', cid)
  await bench.until(() => bench.backend.running.now === 1)
  await bench.ask('unpin', cid)
  open()
  await bench.until(() => bench.core.store.jobCount() === 0)
  expect(bench.backend.calls).toEqual([`pin ${cid}`, `unpin ${cid}`])
  expect(bench.core.store.pinCount()).toBe(0)
  expect(await bench.backend.stat(cid, { signal: new AbortController().signal })).toBeUndefined()
})

test('a pin asked for twice is done once', async () => {
  await using bench = await createQueueBench()
  const cid = await bench.give('x')
  const open = bench.backend.hold()
  await bench.ask('pin', cid)
  await bench.ask('pin', cid)
  open()
  await bench.until(() => bench.core.store.pinCount() === 1)
  expect(bench.backend.calls).toEqual([`pin ${cid}`])
})

const AWAY = new BackendError('unavailable', 'connection refused')

test('while the daemon is down jobs wait, none is marked failed, and all are done when it is back', async () => {
  await using bench = await createQueueBench({ retryMs: 1_000_000 })
  const cids = await Promise.all(['a', 'b', 'c'].map((text) => bench.give(text)))
  bench.backend.failWith(AWAY)
  await bench.ask('pin', ...cids)
  await bench.until(() => bench.watch.state().down !== undefined)
  await bench.until(() => cids.every((cid) => bench.core.store.job(String(cid))?.attempt === 1))
  bench.backend.calls.length = 0
  const late = await bench.give('late')
  await bench.ask('pin', late)
  for (let i = 0; i < 60; i++) await bench.until(() => bench.watch.state().down !== undefined, 1_000)
  expect(bench.backend.calls).toEqual([])
  expect(bench.status([...cids, late])).toEqual(['queued', 'queued', 'queued', 'queued'])
  bench.backend.failWith()
  await bench.until(() => bench.watch.state().down === undefined, 250)
  // What had tried is due with what had not: its own wait is not over.
  await bench.until(() => bench.core.store.pinCount() === 4)
  expect(bench.log.take('warn')).toEqual([expect.stringContaining('is down, its jobs wait: connection refused')])
})

test('when a daemon that hung goes on, what runs is told again where its content is', async () => {
  await using bench = await createQueueBench()
  const [running, done] = [cidOf('runs'), await bench.give('done')]
  const origins = (n: number) => [multiaddr(`/ip4/203.0.113.${n}/tcp/4001`).bytes]
  const { clock } = bench.core
  for (const [cid, n] of [
    [done, 1],
    [running, 2]
  ] as const) {
    const operations = [{ op: 'pin', cid, origins: origins(n) }] as const
    const { bytes } = await command(author('alice'), { operations, time: { ms: clock.now(), counter: 1 } })
    expect(bench.core.hear(bytes)).toBe('accept')
    bench.queue.changed([String(cid)])
    if (cid === done) await bench.until(() => bench.core.store.pinCount() === 1)
  }
  await bench.until(() => bench.backend.running.now === 1)
  bench.backend.feign({ ok: false, reason: 'no answer in 2 s' })
  await bench.until(() => bench.watch.state().down !== undefined, 250)
  expect(bench.backend.reached).toEqual([])
  bench.backend.feign()
  await bench.until(() => bench.watch.state().down === undefined, 250)
  expect(bench.backend.reached).toEqual(['/ip4/203.0.113.2/tcp/4001'])
})

test('a job that finds the daemon away while it is there waits ever longer, alone', async () => {
  await using bench = await createQueueBench()
  const [odd, fine] = await Promise.all([bench.give('odd'), bench.give('fine')])
  bench.backend.failWith(AWAY, `pin ${odd}`)
  await bench.ask('pin', odd, fine)
  await bench.until(() => bench.core.store.pinCount() === 1)
  await bench.until(() => bench.core.store.job(String(odd))?.attempt === 3, 100)
  expect(bench.backend.calls.filter((call) => call === `pin ${odd}`)).toHaveLength(3)
  expect(bench.core.store.job(String(odd))?.nextAt).toBeGreaterThan(bench.core.clock.now() + 3_000)
  expect(bench.status([odd])).toEqual(['queued'])
  expect(bench.log.take('warn')).toEqual([])
})

test('what comes while it is asked whether it is there waits for the answer', async () => {
  await using bench = await createQueueBench()
  const [odd, fine] = await Promise.all([bench.give('odd'), bench.give('fine')])
  const { promise, resolve } = Promise.withResolvers<BackendHealth>()
  await bench.watch.health()
  bench.backend.failWith(AWAY, `pin ${odd}`)
  bench.backend.feign(promise)
  await bench.ask('pin', odd)
  await bench.until(() => bench.core.store.job(String(odd))?.attempt === 1)
  await bench.ask('pin', fine)
  expect(bench.backend.calls).toEqual([`pin ${odd}`])
  resolve({ ok: true, version: 'x' })
  await bench.until(() => bench.core.store.pinCount() === 1)
})

test('what waited for the daemon when the agent ended is tried when it starts', async () => {
  await using bench = await createQueueBench({ retryMs: 1_000_000 })
  const cid = await bench.give('x')
  bench.backend.failWith(AWAY)
  await bench.ask('pin', cid)
  await bench.until(() => bench.core.store.job(String(cid))?.attempt === 1)
  await bench.queue.stop()
  bench.backend.failWith()
  await bench.until(() => bench.watch.state().down === undefined, 250)
  expect(bench.core.store.pinCount()).toBe(0)
  bench.queue.start()
  await bench.until(() => bench.core.store.pinCount() === 1)
})

test('what stalls while the daemon hangs waits for it, and has not failed', async () => {
  await using bench = await createQueueBench()
  const cid = await bench.give('x')
  const open = bench.backend.hold()
  await bench.ask('pin', cid)
  await bench.until(() => bench.backend.calls.length === 1)
  // It hangs just before the patience with the content ends: only asking tells the one from the other.
  bench.core.clock.advance(9_900)
  await bench.watch.ask()
  bench.backend.feign({ ok: false, reason: 'no answer in 2 s' })
  bench.core.clock.advance(100)
  await bench.until(() => bench.core.store.job(String(cid))?.attempt === 1)
  expect(bench.core.store.job(String(cid))).toMatchObject({ code: 'unavailable' })
  expect(bench.status([cid])).toEqual(['queued'])
  open()
  bench.backend.feign()
  await bench.until(() => bench.core.store.pinCount() === 1, 250)
})

test('what does not fit waits; a smaller pin is done all the same, and an unpin makes room for it', async () => {
  await using bench = await createQueueBench({ capacity: 1_000 })
  const [held, large, small] = await Promise.all([bench.give('h'.repeat(600)), bench.give('l'.repeat(600)), bench.give('s')])
  await bench.ask('pin', held)
  await bench.until(() => bench.core.store.pinCount() === 1)
  await bench.ask('pin', large)
  await bench.until(() => bench.watch.state().full)
  await bench.until(() => bench.core.store.job(String(large))?.attempt === 4, 100)
  expect(bench.status([large])).toEqual(['queued'])
  await bench.ask('pin', small)
  await bench.until(() => bench.core.store.pinCount() === 2)
  expect(bench.watch.state().full).toBe(true)

  const due = bench.core.store.job(String(large))?.nextAt ?? 0
  await bench.ask('unpin', held)
  await bench.until(() => bench.core.store.pin(String(large)) !== undefined, 50)
  expect(bench.core.clock.now()).toBeLessThan(due)
  await bench.until(() => !bench.watch.state().full)
  expect(bench.log.take('warn')).toEqual([expect.stringMatching(/no space left, what is to be pinned waits.*600 bytes more do not fit/)])
  expect(bench.log.take('info')).toEqual([expect.stringContaining('has room again')])
})

test('what waits for space is tried as soon as more is free', async () => {
  await using bench = await createQueueBench()
  const cid = await bench.give('x')
  bench.backend.failWith(new BackendError('no-space', 'no space left on device'))
  bench.backend.feign({ ok: true, version: 'x', freeBytes: 0 })
  await bench.ask('pin', cid)
  await bench.until(() => bench.core.store.job(String(cid))?.attempt === 4, 100)
  bench.backend.failWith()
  const due = bench.core.store.job(String(cid))?.nextAt ?? 0
  bench.backend.feign({ ok: true, version: 'x', freeBytes: 5_000_000 })
  await bench.until(() => bench.core.store.pinCount() === 1, 50)
  expect(bench.core.clock.now()).toBeLessThan(due)
})

test('one that found space after all is a reason to try the others', async () => {
  await using bench = await createQueueBench()
  const cids = await Promise.all(['a', 'b', 'c'].map((text) => bench.give(text)))
  bench.backend.failWith(new BackendError('no-space', 'no space left on device'))
  bench.backend.feign({ ok: true, version: 'x', freeBytes: 0 })
  await bench.ask('pin', cids[0] as CID)
  await bench.until(() => bench.core.store.job(String(cids[0]))?.attempt === 3, 100)
  await bench.ask('pin', ...cids)
  await bench.until(() => cids.every((cid) => (bench.core.store.job(String(cid))?.attempt ?? 0) > 0))
  bench.backend.failWith()
  const [first, , last] = cids.map((cid) => bench.core.store.job(String(cid))?.nextAt ?? 0).toSorted((a, b) => a - b)
  expect(last).toBeGreaterThan((first ?? 0) + 1_500)
  await bench.until(() => bench.core.store.pinCount() === 3, 50)
  expect(bench.core.clock.now()).toBeLessThan(last ?? 0)
})

test('while there is no space, what makes some goes before all that needs it', async () => {
  await using bench = await createQueueBench({ concurrency: 1 })
  const held = await bench.give('held')
  await bench.ask('pin', held)
  await bench.until(() => bench.core.store.pinCount() === 1)
  bench.backend.failWith(new BackendError('no-space', 'no space left on device'))
  const pins = await Promise.all(Array.from({ length: 5 }, (_, i) => bench.give(`pin ${i}`)))
  await bench.ask('pin', pins[0] as CID)
  await bench.until(() => bench.watch.state().full)
  const open = bench.backend.hold()
  await bench.ask('pin', ...pins.slice(1))
  await bench.until(() => bench.backend.running.now === 1)
  bench.backend.calls.length = 0
  await bench.ask('unpin', held)
  bench.backend.failWith()
  open()
  await bench.until(() => bench.core.store.pinCount() === 5, 250)
  expect(bench.backend.calls[0]).toBe(`unpin ${held}`)
})

test('stopping gives running jobs up and keeps them', async () => {
  await using bench = await createQueueBench()
  bench.backend.hold()
  const cid = cidOf('later')
  await bench.ask('pin', cid)
  await bench.until(() => bench.backend.running.now === 1)
  await bench.queue.stop()
  expect(bench.backend.running.now).toBe(0)
  expect(bench.core.store.job(String(cid))).toMatchObject({ action: 'pin', attempt: 0 })
})

test('what cannot be written is done again', async () => {
  await using bench = await createQueueBench()
  const cid = await bench.give('x')
  const { transaction } = bench.core.store
  const open = bench.backend.hold()
  await bench.ask('pin', cid)
  Object.assign(bench.core.store, {
    transaction() {
      Object.assign(bench.core.store, { transaction })
      throw new Error('database or disk is full')
    }
  })
  open()
  await bench.until(() => bench.core.store.pinCount() === 1, 500)
  expect(bench.backend.calls.length).toBeGreaterThan(1)
})
