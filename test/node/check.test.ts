import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import type { CID } from 'multiformats/cid'
import { expect, test, vi } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createHeliaBackend, type HeliaBackend } from '../../src/node/backend/helia.ts'
import { createBackendWatch, type BackendWatch } from '../../src/node/backend-watch.ts'
import { createChecker, type Checker } from '../../src/node/check.ts'
import { createPinQueue, type PinQueue } from '../../src/node/pin-queue.ts'
import { BackendError, type PinCheck } from '../../src/node/ports.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { author, command, grantOf } from '../support/author.ts'
import { blockFile } from '../support/block-file.ts'
import { tree, type TestBlock } from '../support/dags.ts'
import { keepLog, type KeptLog } from '../support/log.ts'
import { makeHost } from '../support/libp2p.ts'
import { makePinPeer } from '../support/pin-peer.ts'
import { steer, type SteeredBackend } from '../support/steered-backend.ts'

const alice = author('alice')
const never = new AbortController().signal
let counter = 0

interface Bench extends AsyncDisposable {
  readonly core: AgentCore
  readonly real: HeliaBackend
  readonly backend: SteeredBackend
  readonly watch: BackendWatch
  readonly queue: PinQueue
  readonly checker: Checker
  readonly log: KeptLog
  file(block: TestBlock): string
  /** Links to one more peer, which has these. */
  another(blocks: readonly TestBlock[]): Promise<AsyncDisposable>
  /** Has a DAG of 13 blocks pinned; the first is its root. */
  pinned(seed: string): Promise<TestBlock[]>
  /** Does all jobs. */
  settle(): Promise<void>
  status(cid: CID): string[]
}

async function createBench(): Promise<Bench> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-check-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const libp2p = await makeHost({ listen: false })
  stack.defer(() => libp2p.stop())
  const real = createHeliaBackend({ dir }, { libp2p, clock: systemClock })
  await real.start()
  stack.defer(() => real.stop())
  const peer = await makePinPeer()
  stack.defer(() => peer.stop())
  await libp2p.dial(multiaddr(peer.origin))
  const backend = steer(real, 16)
  const core = stack.use(createAgentCore())
  await core.authorise([grantOf(alice)])
  const { store, settler, caps, clock } = core
  const log = keepLog()
  const random = (): number => 0.5
  const watch = createBackendWatch({ answerMs: Infinity, upMs: 1e9, downMs: 1e9 }, { backend, clock, log, random })
  watch.start()
  await watch.health()
  stack.defer(() => watch.stop())
  const queue = createPinQueue({}, { store, settler, caps, backend, watch, clock, log, random, onChanges() {}, onProgress() {} })
  queue.start()
  stack.defer(() => queue.stop())
  const onChanges = ({ cids }: { cids: ReadonlySet<string> }): void => queue.changed(cids)
  const checker = createChecker({ store, settler, backend, watch, clock, log, onChanges })
  stack.defer(() => checker.stop())
  const all = stack.move()
  const settle = async (): Promise<void> => {
    await vi.waitFor(() => {
      clock.advance(0)
      expect(store.jobCount()).toBe(0)
    }, 25_000)
  }
  return {
    core,
    real,
    backend,
    watch,
    queue,
    checker,
    log,
    settle,
    file: ({ cid }) => blockFile(join(dir, 'blocks'), cid),
    async another(blocks) {
      const other = await makePinPeer()
      await other.provide(blocks)
      await libp2p.dial(multiaddr(other.origin))
      return { [Symbol.asyncDispose]: () => other.stop() }
    },
    async pinned(seed) {
      const blocks = await tree(seed, 3)
      await peer.provide(blocks)
      const { cid } = blocks[0] as TestBlock
      const { bytes } = await command(alice, {
        operations: [{ op: 'pin', cid }],
        time: { ms: clock.now() + counter++, counter: 0 }
      })
      expect(core.hear(bytes)).toBe('accept')
      queue.changed([cid.toString()])
      await settle()
      return blocks
    },
    status: (cid) => settler.view(cid.toString(), clock.now()).map(({ state }) => state.status),
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}

const keyOf = ([root]: readonly TestBlock[]): string => String(root?.cid)

test('what is whole is left as it is', async () => {
  await using bench = await createBench()
  const blocks = await bench.pinned('whole')
  const before = bench.core.store.pin(keyOf(blocks))
  expect(await bench.checker.check(keyOf(blocks), 'known', never)).toBe('held')
  expect(bench.core.store.pin(keyOf(blocks))).toEqual(before)
  bench.core.clock.advance(60_000)
  expect(bench.log.take('warn')).toEqual([])
})

test.for([
  ['missing', (file: string) => rm(file)],
  ['damaged', (file: string) => writeFile(file, 'no such bytes')],
  ['damaged', (file: string) => writeFile(file, '')]
] as const)('a block that is %s is told, queued and fetched again', async ([found, harm]) => {
  await using bench = await createBench()
  const blocks = await bench.pinned('harmed')
  const [root, inner, low] = blocks as [TestBlock, TestBlock, TestBlock]
  // The first sends nothing twice within some seconds.
  await using _other = await bench.another(blocks)
  for (const block of [low, inner]) {
    await harm(bench.file(block))
    const release = bench.backend.hold()
    expect(await bench.checker.check(keyOf(blocks), 'known', never)).toBe(found)
    expect(bench.status(root.cid)).toEqual(['queued'])
    release()
    await bench.settle()
    expect(bench.status(root.cid)).toEqual(['pinned'])
    expect(await readFile(bench.file(block))).toEqual(Buffer.from(block.bytes))
    expect(await bench.checker.check(keyOf(blocks), 'known', never)).toBe('held')
  }
  bench.core.clock.advance(1_000)
  expect(bench.log.take('warn')).toEqual(['a check found 2 pins gone or damaged in the built-in storage: what is wanted is fetched again'])
})

test('what nobody wants is told and left, unless there is nothing left of it', async () => {
  await using bench = await createBench()
  const { store } = bench.core
  const blocks = await bench.pinned('unowned')
  await bench.core.authorise([], [alice.author])
  await rm(bench.file(blocks.at(-1) as TestBlock))
  expect(await bench.checker.check(keyOf(blocks), 'known', never)).toBe('missing')
  expect(store.pin(keyOf(blocks))).toBeDefined()
  expect(store.holds(keyOf(blocks))).toEqual(['default'])
  expect(store.jobCount()).toBe(0)
  await bench.real.unpin((blocks[0] as TestBlock).cid, { signal: never })
  expect(await bench.checker.check(keyOf(blocks), 'known', never)).toBe('missing')
  expect([store.pin(keyOf(blocks)), store.holds(keyOf(blocks)), store.jobCount()]).toEqual([undefined, [], 0])
})

test('there is nothing to look for in what is not pinned, or has a job, or was dealt with meanwhile', async () => {
  await using bench = await createBench()
  const { store, clock } = bench.core
  const blocks = await bench.pinned('busy')
  const key = keyOf(blocks)
  expect(await bench.checker.check('bafkqaaa', 'known', never)).toBeUndefined()
  const { check } = bench.backend
  bench.backend.check = async () => {
    const row = store.pin(key)
    if (row !== undefined) store.putPin({ ...row, pinnedAt: clock.now() + 1 })
    return 'missing'
  }
  expect(await bench.checker.check(key, 'known', never)).toBeUndefined()
  expect(store.pin(key)).toBeDefined()
  bench.backend.check = check
  store.putJob({ cid: key, action: 'unpin', spelled: key, origins: [], nextAt: Infinity })
  expect(await bench.checker.check(key, 'known', never)).toBeUndefined()
  store.removeJob(key)
})

test('where the storage cannot be asked nothing is concluded', async () => {
  await using bench = await createBench()
  const blocks = await bench.pinned('unknown')
  const key = keyOf(blocks)
  bench.backend.check = () => Promise.reject(new BackendError('timeout', 'slow disk'))
  expect(await bench.checker.check(key, 'known', never)).toBe('unknown')
  bench.backend.feign({ ok: false, reason: 'no daemon' })
  await bench.watch.ask()
  bench.backend.check = () => Promise.reject(new Error('nobody should ask'))
  expect(await bench.checker.check(key, 'known', never)).toBe('unknown')
  expect(bench.log.lines.join()).not.toContain('nobody should ask')
  expect(bench.status((blocks[0] as TestBlock).cid)).toEqual(['pinned'])
})

test('a few at a time, equal ones once, each for as long as somebody waits, and none after the end', async () => {
  await using bench = await createBench()
  const keys: string[] = []
  for (let i = 0; i < 6; i++) keys.push(keyOf(await bench.pinned(`many ${i}`)))
  const running = new Map<string, PromiseWithResolvers<PinCheck>>()
  const begun: string[] = []
  bench.backend.check = (cid, { signal }) => {
    const one = Promise.withResolvers<PinCheck>()
    begun.push(cid.toString())
    running.set(cid.toString(), one)
    signal.addEventListener('abort', () => one.reject(signal.reason))
    return one.promise
  }
  const leaves = new AbortController()
  const first = bench.checker.check(keys[0] as string, 'known', leaves.signal)
  const others = keys.map((key) => bench.checker.check(key, 'known', never))
  await vi.waitFor(() => expect(begun).toEqual(keys.slice(0, 4)))
  leaves.abort(new Error('gone'))
  await expect(first).rejects.toThrow('gone')
  running.get(keys[0] as string)?.resolve('held')
  expect(await others[0]).toBe('held')
  await vi.waitFor(() => expect(begun).toEqual(keys.slice(0, 5)))

  bench.checker.stop()
  for (const other of others.slice(1)) await expect(other).rejects.toMatchObject({ name: 'AbortError' })
  await expect(bench.checker.check(keys[0] as string, 'known', never)).rejects.toMatchObject({ name: 'AbortError' })
  expect(begun).toHaveLength(5)
})

test('strangers look two at a time and rest for as long as a look took; a known node does not wait for them', async () => {
  await using bench = await createBench()
  const keys: string[] = []
  for (let i = 0; i < 5; i++) keys.push(keyOf(await bench.pinned(`slow ${i}`)))
  const [a, b, c, d, friendly] = keys as [string, string, string, string, string]
  const running = new Map<string, PromiseWithResolvers<PinCheck>>()
  bench.backend.check = (cid) => {
    const one = Promise.withResolvers<PinCheck>()
    running.set(cid.toString(), one)
    return one.promise
  }
  const begun = (...expected: string[]): Promise<void> => vi.waitFor(() => expect([...running.keys()]).toEqual(expected))
  const looks = [a, b, c, d].map((key) => bench.checker.check(key, 'stranger', never))
  await begun(a, b)
  const friends = bench.checker.check(friendly, 'known', never)
  await begun(a, b, friendly)
  bench.core.clock.advance(700)
  for (const key of [a, b, friendly]) running.get(key)?.resolve('held')
  expect(await Promise.all([looks[0], looks[1], friends])).toEqual(['held', 'held', 'held'])
  bench.core.clock.advance(699)
  await new Promise(setImmediate)
  await begun(a, b, friendly)
  bench.core.clock.advance(1)
  await begun(a, b, friendly, c, d)
  for (const key of [c, d]) running.get(key)?.resolve('held')
  await Promise.all(looks)
})
