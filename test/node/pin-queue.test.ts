import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import type { CID } from 'multiformats/cid'
import { expect, test, vi } from 'vitest'
import { createHeliaBackend } from '../../src/node/backend/helia.ts'
import { createPinQueue, type PinQueue } from '../../src/node/pin-queue.ts'
import { BackendError } from '../../src/node/ports.ts'
import { systemClock } from '../../src/network/clock.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'
import { makeHost } from '../support/libp2p.ts'
import { makePinPeer } from '../support/pin-peer.ts'
import { steer, type SteeredBackend } from '../support/steered-backend.ts'

const alice = author('alice')
let counter = 0

interface Bench extends AsyncDisposable {
  readonly core: AgentCore
  readonly backend: SteeredBackend
  readonly queue: PinQueue
  /** Puts a block on a peer that the backend is linked to. */
  give(text: string): Promise<CID>
  ask(op: 'pin' | 'unpin', ...cids: CID[]): Promise<void>
  /** Moves the clock on until `condition` holds: timers are the clock's, the backend's work is real. */
  until(condition: () => boolean, stepMs?: number): Promise<void>
}

async function createBench(options: { concurrency?: number; random?: () => number } = {}): Promise<Bench> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-queue-'))
  const libp2p = await makeHost({ listen: false })
  const real = createHeliaBackend({ dir }, { libp2p, clock: systemClock })
  await real.start()
  const peer = await makePinPeer()
  await libp2p.dial(multiaddr(peer.origin))
  const backend = steer(real, options.concurrency ?? 4)
  const core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { store, settler, clock } = core
  const log = { debug() {}, info() {}, warn() {} }
  const queue = createPinQueue(
    { stallMs: 10_000, retryMs: 1_000, retryMaxMs: 4_000 },
    { store, settler, backend, clock, log, random: options.random ?? (() => 0), onChanges() {}, onProgress() {} }
  )
  queue.start()
  return {
    core,
    backend,
    queue,
    async give(text) {
      const cid = cidOf(text)
      await peer.provide([{ cid, bytes: new TextEncoder().encode(text) }])
      return cid
    },
    async ask(op, ...cids) {
      const { bytes } = await command(alice, {
        operations: cids.map((cid) => ({ op, cid })),
        time: { ms: clock.now() + counter++, counter: 0 }
      })
      expect(core.hear(bytes)).toBe('accept')
      queue.changed(cids.map(String))
    },
    async until(condition, stepMs = 0) {
      await vi.waitFor(
        () => {
          core.clock.advance(stepMs)
          expect(condition()).toBe(true)
        },
        { timeout: 10_000, interval: 5 }
      )
    },
    async [Symbol.asyncDispose]() {
      await queue.stop()
      await backend.stop()
      await libp2p.stop()
      await peer.stop()
      core[Symbol.dispose]()
      await rm(dir, { recursive: true, force: true })
    }
  }
}

test('does jobs, a bounded number at a time, and writes them down', async () => {
  await using bench = await createBench({ concurrency: 3 })
  const cids = await Promise.all(Array.from({ length: 20 }, (_, i) => bench.give(`block ${i}`)))
  await bench.ask('pin', ...cids)
  await bench.until(() => bench.core.store.pinCount() === 20)
  expect(bench.backend.running.most).toBe(3)
  expect(bench.core.store.jobCount()).toBe(0)
  expect(bench.core.store.pin(String(cids[0]))).toMatchObject({ bytes: 7, foreign: false })
})

test('a failure is tried again, twice as late each time, with jitter, up to a bound', async () => {
  await using bench = await createBench({ random: () => 0.5 })
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
  await using bench = await createBench({ concurrency: 1 })
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
  await using bench = await createBench()
  bench.backend.hold()
  await bench.ask('pin', cidOf('never comes'))
  await bench.until(() => bench.backend.calls.length === 1)
  bench.core.clock.advance(10_000)
  await bench.until(() => bench.core.store.job(String(cidOf('never comes')))?.code === 'timeout')
})

test('an unpin takes the place of a running pin', async () => {
  await using bench = await createBench()
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
  await using bench = await createBench()
  const cid = await bench.give('x')
  const open = bench.backend.hold()
  await bench.ask('pin', cid)
  await bench.ask('pin', cid)
  open()
  await bench.until(() => bench.core.store.pinCount() === 1)
  expect(bench.backend.calls).toEqual([`pin ${cid}`])
})

test('while the daemon is down jobs wait, none is marked failed, and all are done when it is back', async () => {
  await using bench = await createBench()
  const cids = await Promise.all(['a', 'b', 'c'].map((text) => bench.give(text)))
  bench.backend.failWith(new BackendError('unavailable', 'connection refused'))
  await bench.ask('pin', ...cids)
  await bench.until(() => bench.queue.paused() !== undefined)
  expect(bench.queue.paused()).toBe('connection refused')
  bench.core.clock.advance(60_000)
  for (const cid of cids) expect(bench.core.store.job(String(cid))).toMatchObject({ attempt: 0 })
  bench.backend.failWith()
  await bench.until(() => bench.core.store.pinCount() === 3, 1_000)
  expect(bench.queue.paused()).toBeUndefined()
})

test('stopping gives running jobs up and keeps them', async () => {
  await using bench = await createBench()
  bench.backend.hold()
  const cid = cidOf('later')
  await bench.ask('pin', cid)
  await bench.until(() => bench.backend.running.now === 1)
  await bench.queue.stop()
  expect(bench.backend.running.now).toBe(0)
  expect(bench.core.store.job(String(cid))).toMatchObject({ action: 'pin', attempt: 0 })
})

test('what cannot be written is done again', async () => {
  await using bench = await createBench()
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
