import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { create, type KuboRPCClient } from 'kubo-rpc-client'
import type { CID } from 'multiformats/cid'
import { describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createHeliaBackend, type HeliaBackend } from '../../src/node/backend/helia.ts'
import { createKuboBackend } from '../../src/node/backend/kubo.ts'
import { createBackendWatch, type BackendWatch } from '../../src/node/backend-watch.ts'
import { createPinQueue, type PinQueue } from '../../src/node/pin-queue.ts'
import { BackendError, type PinBackend } from '../../src/node/ports.ts'
import { createReconciler, type Reconciler, type Report } from '../../src/node/reconcile.ts'
import type { OperationState } from '../../src/protocol/ack.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'
import { keepLog, type KeptLog } from '../support/log.ts'
import { KUBOS } from '../support/kubo-under-test.ts'
import { makeHost } from '../support/libp2p.ts'
import { makePinPeer } from '../support/pin-peer.ts'
import { steer, type SteeredBackend } from '../support/steered-backend.ts'

const alice = author('alice')
const bob = author('bob')
const NOTHING: Report = { listed: 0, removed: 0, unspoken: 0, again: 0, dropped: 0, claimed: 0 }
const plain = { signal: new AbortController().signal, origins: [] }
let counter = 0

interface Bench<B extends PinBackend = PinBackend> extends AsyncDisposable {
  readonly core: AgentCore
  /** What stands behind the steered one. */
  readonly real: B
  readonly backend: SteeredBackend
  readonly queue: PinQueue
  readonly watch: BackendWatch
  readonly reconciler: Reconciler
  readonly log: KeptLog
  give(text: string): Promise<CID>
  /** Has an author say it, and the queue do it. */
  say(op: 'pin' | 'unpin', cids: readonly CID[], who?: typeof alice, pinset?: string): Promise<string>
  /** Does all jobs. */
  settle(): Promise<void>
  /** A run a moment later: what happens in the moment in which it begins is none of its business. */
  run(): Promise<Report>
  states(id: string): readonly OperationState[]
}

async function createBench<B extends PinBackend>(
  make: (stack: AsyncDisposableStack) => Promise<{ real: B; give(text: string): Promise<CID> }>
): Promise<Bench<B>> {
  await using stack = new AsyncDisposableStack()
  const { real, give } = await make(stack)
  const backend = steer(real, 16)
  const core = stack.use(createAgentCore())
  await core.authorise([grantOf(alice), grantOf(bob)])
  const { store, settler, caps, clock } = core
  const log = keepLog()
  const random = (): number => 0.5
  const watch = createBackendWatch({ answerMs: Infinity, upMs: 1e9, downMs: 1e9 }, { backend, clock, log, random })
  const queue = createPinQueue({}, { store, settler, caps, backend, watch, clock, log, random, onChanges() {}, onProgress() {} })
  const reconciler = createReconciler(
    {},
    { store, settler, backend, watch, clock, log, random, onChanges: ({ cids }) => queue.changed(cids) }
  )
  watch.start()
  stack.defer(() => watch.stop())
  queue.start()
  stack.defer(() => queue.stop())
  stack.defer(() => reconciler.stop())
  const all = stack.move()
  const settle = async (): Promise<void> => {
    await vi.waitFor(() => {
      clock.advance(0)
      expect(store.jobCount()).toBe(0)
    }, 20_000)
  }
  return {
    core,
    real,
    backend,
    queue,
    watch,
    reconciler,
    log,
    give,
    settle,
    async say(op, cids, who = alice, pinset = 'default') {
      const operations = cids.map((cid) => ({ op, cid }))
      const { bytes, id } = await command(who, { operations, time: { ms: clock.now() + counter++, counter: 0 }, pinset })
      expect(core.hear(bytes)).toBe('accept')
      queue.changed(cids.map(String))
      await settle()
      return id
    },
    run() {
      clock.advance(1)
      return reconciler.run()
    },
    states: (id) => core.states(id),
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}

const onHelia = (): Promise<Bench<HeliaBackend>> =>
  createBench(async (stack) => {
    const dir = await mkdtemp(join(tmpdir(), 'pinsub-reconcile-'))
    stack.defer(() => rm(dir, { recursive: true, force: true }))
    const libp2p = await makeHost({ listen: false })
    stack.defer(() => libp2p.stop())
    const real = createHeliaBackend({ dir }, { libp2p, clock: systemClock })
    await real.start()
    stack.defer(() => real.stop())
    const peer = await makePinPeer()
    stack.defer(() => peer.stop())
    await libp2p.dial(multiaddr(peer.origin))
    return {
      real,
      async give(text) {
        const cid = cidOf(text)
        await peer.provide([{ cid, bytes: new TextEncoder().encode(text) }])
        return cid
      }
    }
  })

const listed = async (backend: PinBackend): Promise<string[]> => (await Array.fromAsync(backend.list(plain))).map(String).toSorted()

test('where both agree nothing is touched, nothing is said, and no pin is asked for singly', async () => {
  await using bench = await onHelia()
  const cids = [await bench.give('a'), await bench.give('b')]
  const id = await bench.say('pin', cids)
  bench.backend.stat = () => Promise.reject(new Error('nobody should ask'))
  expect(await bench.run()).toEqual({ ...NOTHING, listed: 2 })
  expect(bench.states(id).map(({ status }) => status)).toEqual(['pinned', 'pinned'])
  expect(bench.log.take('warn')).toEqual([])
})

test('what is wanted and gone is fetched again, and whoever was told that it is pinned is told otherwise', async () => {
  await using bench = await onHelia()
  const [kept, gone] = [await bench.give('kept'), await bench.give('gone')]
  const id = await bench.say('pin', [kept, gone])
  await bench.real.unpin(gone, plain)
  const release = bench.backend.hold()
  expect(await bench.run()).toEqual({ ...NOTHING, listed: 1, again: 1 })
  expect(bench.states(id).map(({ status }) => status)).toEqual(['pinned', 'queued'])
  release()
  await bench.settle()
  expect(bench.states(id).map(({ status }) => status)).toEqual(['pinned', 'pinned'])
  expect(await listed(bench.real)).toEqual([kept, gone].map(String).toSorted())
  expect(bench.log.take('warn')).toEqual(['1 pin was gone from the built-in storage: fetched again'])
  expect(bench.log.lines.filter((line) => !line.startsWith('debug') && line.includes(gone.toString()))).toEqual([])
})

test('what a command let go of and is still there is removed, and only then called unpinned', async () => {
  await using bench = await onHelia()
  const cid = await bench.give('let go')
  await bench.say('pin', [cid])
  const id = await bench.say('unpin', [cid])
  expect(bench.states(id)).toEqual([{ status: 'unpinned', heldBy: [] }])
  await bench.real.pin(cid, plain)
  const release = bench.backend.hold()
  expect(await bench.run()).toEqual({ ...NOTHING, listed: 1, removed: 1 })
  expect(bench.states(id)).toEqual([{ status: 'queued' }])
  release()
  await bench.settle()
  expect(await listed(bench.real)).toEqual([])
  expect(bench.states(id)).toEqual([{ status: 'unpinned', heldBy: [] }])
  expect(bench.log.take('warn')).toEqual(['1 pin was still in the built-in storage that commands had let go of: removed'])
})

test('what no command speaks of stays, however often it is seen, and is told when the number changes', async () => {
  await using bench = await onHelia()
  const cids = [await bench.give('of an older run'), await bench.give('another')]
  await bench.real.pin(cids[0] as CID, plain)
  expect(await bench.run()).toEqual({ ...NOTHING, listed: 1, unspoken: 1 })
  expect(await bench.run()).toEqual({ ...NOTHING, listed: 1, unspoken: 1 })
  expect(bench.log.take('warn')).toEqual(['1 pin carries our name in the built-in storage and no command speaks of it: it stays'])
  await bench.real.pin(cids[1] as CID, plain)
  expect(await bench.run()).toEqual({ ...NOTHING, listed: 2, unspoken: 2 })
  expect(bench.log.take('warn')).toEqual(['2 pins carry our name in the built-in storage and no command speaks of them: they stay'])
  expect(await listed(bench.real)).toEqual(cids.map(String).toSorted())
  expect(bench.core.store.jobCount()).toBe(0)
})

test('one pinset in which nobody who counts has spoken is enough to leave a pin alone', async () => {
  await using bench = await onHelia()
  const cid = await bench.give('of two pinsets')
  await bench.say('pin', [cid], alice, 'site')
  await bench.say('unpin', [cid], alice, 'site')
  await bench.say('pin', [cid], bob, 'backup')
  await bench.say('unpin', [cid], bob, 'backup')
  await bench.core.authorise([grantOf(alice)], [bob.author])
  await bench.settle()
  await bench.real.pin(cid, plain)
  expect(bench.core.store.holds(cid.toString())).toEqual([])
  expect(await bench.run()).toEqual({ ...NOTHING, listed: 1, unspoken: 1 })
  await bench.core.authorise([grantOf(alice), grantOf(bob)])
  expect(await bench.run()).toEqual({ ...NOTHING, listed: 1, removed: 1 })
})

test('what is unowned is not touched; gone, it is dropped and told', async () => {
  await using bench = await onHelia()
  const cid = await bench.give('unowned')
  await bench.say('pin', [cid], bob)
  await bench.core.authorise([grantOf(alice)], [bob.author])
  expect(bench.core.store.holds(cid.toString())).toEqual(['default'])
  expect(await bench.run()).toEqual({ ...NOTHING, listed: 1 })
  expect(await listed(bench.real)).toEqual([cid.toString()])
  await bench.real.unpin(cid, plain)
  expect(await bench.run()).toEqual({ ...NOTHING, dropped: 1 })
  expect(bench.core.store.pin(cid.toString())).toBeUndefined()
  expect(bench.core.store.holds(cid.toString())).toEqual([])
  expect(bench.core.store.jobCount()).toBe(0)
  expect(bench.log.take('warn')).toEqual(['1 pin was gone from the built-in storage that no command wants: not fetched again'])
})

test('a list that is older than the pins and unpins made since harms none of them', async () => {
  await using bench = await onHelia()
  const [before, during, goes] = [await bench.give('before'), await bench.give('during'), await bench.give('goes')]
  await bench.say('pin', [before, goes])
  bench.core.clock.advance(1)
  const { list, stat } = bench.backend
  const asked: string[] = []
  bench.backend.stat = (cid, options) => {
    asked.push(cid.toString())
    return stat(cid, options)
  }
  bench.backend.list = async function* (options) {
    const old = await Array.fromAsync(list(options))
    await bench.say('unpin', [goes])
    await bench.say('pin', [during])
    yield* old
  }
  expect(await bench.reconciler.run()).toEqual({ ...NOTHING, listed: 2 })
  expect(asked).toEqual([goes.toString()])
  expect(bench.core.store.jobCount()).toBe(0)
  expect(await listed(bench.real)).toEqual([before, during].map(String).toSorted())
})

test('what has a job is left to it, also when the job came while the backend was asked', async () => {
  await using bench = await onHelia()
  const [gone, back] = [await bench.give('gone'), await bench.give('pinned again meanwhile')]
  const id = await bench.say('pin', [gone, back])
  await bench.real.unpin(gone, plain)
  await bench.real.unpin(back, plain)
  const { stat } = bench.backend
  const { store, clock } = bench.core
  bench.backend.stat = async (cid, options) => {
    const found = await stat(cid, options)
    const row = store.pin(cid.toString())
    if (cid.equals(gone))
      store.transaction(() => store.putJob({ cid: String(cid), action: 'unpin', spelled: String(cid), origins: [], nextAt: Infinity }))
    else if (row !== undefined) store.transaction(() => store.putPin({ ...row, pinnedAt: clock.now() }))
    return found
  }
  expect(await bench.run()).toEqual(NOTHING)
  expect(store.job(gone.toString())?.action).toBe('unpin')
  expect([store.pin(gone.toString()), store.pin(back.toString())]).not.toContain(undefined)
  expect(bench.states(id).map(({ status }) => status)).toEqual(['pinned', 'pinned'])
  store.removeJob(gone.toString())
})

test('a pin that is said while what was let go of is looked for stays', async () => {
  await using bench = await onHelia()
  const cid = await bench.give('wanted again')
  await bench.say('pin', [cid])
  await bench.say('unpin', [cid])
  await bench.real.pin(cid, plain)
  const { stat } = bench.backend
  bench.backend.stat = async (asked, options) => {
    const found = await stat(asked, options)
    await bench.say('pin', [cid])
    return found
  }
  expect(await bench.run()).toEqual({ ...NOTHING, listed: 1 })
  expect(bench.core.store.jobCount()).toBe(0)
  expect(await listed(bench.real)).toEqual([cid.toString()])
})

test('many are done in batches, with a breath between them', async () => {
  await using bench = await onHelia()
  const { store, clock } = bench.core
  const cids = Array.from({ length: 1_200 }, (_, i) => cidOf(`many ${i}`))
  for (let at = 0; at < cids.length; at += 300) {
    const operations = cids.slice(at, at + 300).map((cid) => ({ op: 'pin' as const, cid }))
    bench.core.hear((await command(alice, { operations, time: { ms: clock.now() + counter++, counter: 0 } })).bytes)
  }
  cids.forEach((cid) => bench.core.done(cid.toString()))
  const sizes: number[] = []
  const { transaction } = store
  let steps = 0
  const { removePin } = store
  Object.assign(store, {
    removePin: (cid: string) => {
      steps += 1
      removePin(cid)
    },
    transaction: (work: () => unknown) => {
      steps = 0
      const result = transaction(work)
      if (steps > 0) sizes.push(steps)
      return result
    }
  })
  let breaths = 0
  const breathe = setInterval(() => breaths++, 0)
  const release = bench.backend.hold()
  expect(await bench.run()).toEqual({ ...NOTHING, again: 1_200 })
  clearInterval(breathe)
  expect(sizes).toEqual([500, 500, 200])
  expect(breaths).toBeGreaterThan(0)
  await bench.queue.stop()
  release()
})

describe('when', () => {
  const runs = (bench: Bench): { list: number } => {
    const counts = { list: 0 }
    const { list } = bench.backend
    bench.backend.list = (options) => {
      counts.list += 1
      return list(options)
    }
    return counts
  }
  /** Until nothing but timers of the clock is left to wait for. */
  const idle = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 30))

  test('at the start, once an hour give or take a half, and not after the end', async () => {
    await using bench = await onHelia()
    const counts = runs(bench)
    bench.reconciler.start()
    await vi.waitFor(() => expect(counts.list).toBe(1))
    await idle()
    bench.core.clock.advance(3_599_999)
    await idle()
    expect(counts.list).toBe(1)
    bench.core.clock.advance(1)
    await vi.waitFor(() => expect(counts.list).toBe(2))
    await bench.reconciler.stop()
    bench.core.clock.advance(9e6)
    await idle()
    expect(counts.list).toBe(2)
  })

  test('not before the backend is there, and soon after it came back', async () => {
    await using bench = await onHelia()
    const counts = runs(bench)
    await bench.watch.health()
    bench.backend.feign({ ok: false, reason: 'no daemon' })
    await bench.watch.ask()
    bench.reconciler.start()
    bench.core.clock.advance(9e6)
    await idle()
    expect(counts.list).toBe(0)
    bench.backend.feign()
    await bench.watch.ask()
    bench.core.clock.advance(10_000)
    await vi.waitFor(() => expect(counts.list).toBe(1))
  })

  test('again after it was cut short, and two at a time are one', async () => {
    await using bench = await onHelia()
    const cid = await bench.give('gone')
    await bench.say('pin', [cid])
    await bench.real.unpin(cid, plain)
    const counts = runs(bench)
    const { stat } = bench.backend
    bench.backend.stat = () => Promise.reject(new BackendError('unavailable', 'went away'))
    bench.core.clock.advance(1)
    bench.reconciler.start()
    await vi.waitFor(() => expect(bench.log.lines.join()).toContain('went away'))
    await idle()
    expect(bench.core.store.pin(cid.toString())).toBeDefined()
    bench.backend.stat = stat
    bench.core.clock.advance(60_000)
    await vi.waitFor(() => expect(bench.log.lines.join()).toContain('1 pin was gone'))
    expect(counts.list).toBe(2)
    await bench.settle()
    const [one, two] = await Promise.all([bench.run(), bench.reconciler.run()])
    expect(one).toBe(two)
    expect(counts.list).toBe(3)
  })

  test('what finds the backend away says so, and runs when it is back', async () => {
    await using bench = await onHelia()
    await bench.watch.health()
    const counts = runs(bench)
    const { list } = bench.backend
    bench.backend.list = () => {
      throw new BackendError('unavailable', 'went away')
    }
    bench.backend.feign({ ok: false, reason: 'no daemon' })
    bench.reconciler.start()
    await vi.waitFor(() => expect(bench.watch.state().down?.reason).toBe('no daemon'))
    bench.backend.list = list
    bench.backend.feign()
    await bench.watch.ask()
    bench.core.clock.advance(10_000)
    await vi.waitFor(() => expect(counts.list).toBe(1))
  })

  test('one pin that cannot be told is no reason to end', async () => {
    await using bench = await onHelia()
    const cids = [await bench.give('told'), await bench.give('not told')]
    await bench.say('pin', cids)
    for (const cid of cids) await bench.real.unpin(cid, plain)
    const { stat } = bench.backend
    bench.backend.stat = (cid, options) =>
      cid.equals(cids[1]) ? Promise.reject(new BackendError('timeout', 'slow disk')) : stat(cid, options)
    expect(await bench.run()).toEqual({ ...NOTHING, again: 1 })
    expect(bench.core.store.pin(String(cids[1]))).toBeDefined()
  })

  test('a stop ends a run that hangs, and leaves what it had not decided', async () => {
    await using bench = await onHelia()
    const cid = await bench.give('undecided')
    await bench.say('pin', [cid])
    await bench.real.unpin(cid, plain)
    bench.backend.stat = (_, { signal }) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
    const run = expect(bench.run()).rejects.toMatchObject({ name: 'AbortError' })
    await bench.reconciler.stop()
    await run
    expect(bench.core.store.pin(cid.toString())).toBeDefined()
  })
})

describe.for(KUBOS)('beside an operator on $kubo', ({ start, skipped }) => {
  if (skipped) {
    test.skip('needs an ipfs')
    return
  }
  interface WithOperator extends Bench {
    readonly operator: KuboRPCClient
  }

  const onKubo = async (): Promise<WithOperator> => {
    let operator: KuboRPCClient | undefined
    const bench = await createBench(async (stack) => {
      const kubo = stack.use(await start())
      operator = create({ url: kubo.apiUrl })
      const put = operator.block.put
      const real = createKuboBackend({ apiUrl: kubo.apiUrl, name: 'pinsub:net' }, { clock: systemClock })
      await real.start()
      stack.defer(() => real.stop())
      return { real, give: (text) => put(new TextEncoder().encode(text), { format: 'raw', pin: false }) }
    })
    return Object.assign(bench, { operator: operator as unknown as KuboRPCClient })
  }
  const nameOf = async (operator: KuboRPCClient, cid: CID): Promise<string | undefined> => {
    for await (const pin of operator.pin.ls({ type: 'recursive', names: true })) if (pin.cid.equals(cid)) return pin.name ?? ''
    return undefined
  }

  test('a pin of theirs that they take away is pinned again as ours, where it is wanted', async () => {
    await using bench = await onKubo()
    const [wanted, other] = [await bench.give('wanted'), await bench.give('other')]
    await bench.operator.pin.add(wanted)
    await bench.operator.pin.add(other)
    const id = await bench.say('pin', [wanted])
    expect(bench.core.store.pin(wanted.toString())?.foreign).toBe(true)
    expect(await bench.run()).toEqual(NOTHING)
    await bench.operator.pin.rm(wanted)
    await bench.operator.pin.rm(other)
    expect(await bench.run()).toEqual({ ...NOTHING, again: 1 })
    await bench.settle()
    expect(bench.states(id).map(({ status }) => status)).toEqual(['pinned'])
    expect(await nameOf(bench.operator, wanted)).toBe('pinsub:net')
    expect(await nameOf(bench.operator, other)).toBeUndefined()
  })

  test('a pin of ours that they claim is theirs from then on, and never removed', async () => {
    await using bench = await onKubo()
    const cid = await bench.give('claimed')
    await bench.say('pin', [cid])
    await bench.operator.pin.add(cid)
    expect(await bench.run()).toEqual({ ...NOTHING, claimed: 1 })
    expect(bench.core.store.pin(cid.toString())?.foreign).toBe(true)
    expect(bench.log.take('warn')).toEqual(['1 pin carries our name in Kubo no more: left to its operator'])
    await bench.operator.pin.rm(cid)
    await bench.real.pin(cid, plain)
    expect(await bench.run()).toEqual({ ...NOTHING, listed: 1 })
    expect(bench.core.store.pin(cid.toString())?.foreign).toBe(false)
    await bench.operator.pin.add(cid)
    await bench.say('unpin', [cid])
    expect(await nameOf(bench.operator, cid)).toBe('')
    expect(await bench.run()).toEqual(NOTHING)
  })

  test('a pin of theirs that commands let go of is not looked for', async () => {
    await using bench = await onKubo()
    const cid = await bench.give('let go, then theirs')
    await bench.say('pin', [cid])
    await bench.say('unpin', [cid])
    await bench.operator.pin.add(cid)
    expect(await bench.run()).toEqual(NOTHING)
    expect(await nameOf(bench.operator, cid)).toBe('')
  })
})
