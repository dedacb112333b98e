/** Pins that go beyond a cap while a real backend fetches them. */
import { expect, test } from 'vitest'
import { noChanges } from '../../src/node/settle.ts'
import { author, grantOf } from '../support/author.ts'
import { leaf, node, type TestBlock } from '../support/dags.ts'
import { createQueueBench } from '../support/queue-bench.ts'

const [alice, bob] = [author('alice'), author('bob')]
const never = new AbortController().signal
const KIB = 1_024

/** A root over leaves of 1 KiB each, and a last leaf. */
async function dag(seed: string, leaves: number): Promise<{ root: TestBlock; leaves: TestBlock[]; last: TestBlock }> {
  const all = await Promise.all(Array.from({ length: leaves + 1 }, (_, i) => leaf(`${seed} ${i} `.padEnd(KIB, '.'))))
  return { root: await node(seed, all), leaves: all.slice(0, -1), last: all.at(-1) as TestBlock }
}

const refused = (code: string) => ({ status: 'refused', code })

test('a running pin is stopped where it crosses max-size, long before its end, and nothing of it stays pinned', async () => {
  await using bench = await createQueueBench()
  const { core, backend } = bench
  await core.authorise([grantOf(alice, { maxBytes: 4 * KIB }), grantOf(bob)])
  const { root, leaves } = await dag('endless', 12)
  // The last leaf never comes: only what is fetched can stop it.
  await bench.provide([root, ...leaves])
  await bench.ask('pin', root.cid)
  await bench.until(() => backend.calls.includes(`unpin ${root.cid}`) && core.store.jobCount() === 0)
  const [register] = core.store.registers(String(root.cid))
  expect(core.store.operation(register?.command as number, 0)?.state).toEqual(refused('size'))
  expect([await backend.stat(root.cid, { signal: never }), core.store.pinCount()]).toEqual([undefined, 0])
  expect(core.store.usage(alice.author)).toEqual({ pins: 0, bytes: 0 })
})

test('where the backend tells the size at the end only, what is too large is let go of, and never told to be pinned', async () => {
  await using bench = await createQueueBench({ isSilent: true })
  const { core, backend } = bench
  await core.authorise([grantOf(alice, { maxBytes: 10 })])
  const [small, large] = [await bench.give('ten bytes!'), await bench.give('eleven byte')]
  await bench.ask('pin', small)
  await bench.until(() => core.store.pinCount() === 1)
  await core.authorise([grantOf(alice, { maxBytes: 20 })])
  await bench.ask('pin', large)
  await bench.until(() => backend.calls.includes(`unpin ${large}`) && core.store.jobCount() === 0)
  expect(core.store.operation(2, 0)?.state).toEqual(refused('size'))
  expect([await backend.stat(large, { signal: never }), bench.status([small, large])]).toEqual([undefined, ['pinned']])
})

test('what somebody without a cap wants too goes on, and so do the pins of others', async () => {
  await using bench = await createQueueBench()
  const { core, backend } = bench
  await core.authorise([grantOf(alice, { maxBytes: 4 * KIB }), grantOf(bob)])
  const { root, leaves, last } = await dag('shared', 12)
  const other = await bench.give('of others')
  await bench.provide([root, ...leaves])
  await bench.askAs(bob, 'pin', root.cid, other)
  await bench.ask('pin', root.cid)
  await bench.until(() => core.store.operation(2, 0)?.state.status === 'refused')
  await bench.provide([last])
  await bench.until(() => core.store.pinCount() === 2)
  expect(backend.calls.filter((call) => call.startsWith('unpin'))).toEqual([])
  expect(core.store.operations(1).map(({ state }) => state.status)).toEqual(['pinned', 'pinned'])
  expect(core.store.usage(alice.author)).toEqual({ pins: 0, bytes: 0 })
})

test('what was pinned here and is gone is fetched again, whatever the cap has become', async () => {
  await using bench = await createQueueBench()
  const { core } = bench
  const cid = await bench.give('pinned before the cap')
  await bench.ask('pin', cid)
  await bench.until(() => core.store.pinCount() === 1)
  await core.authorise([grantOf(alice, { maxPins: 1, maxBytes: 1 })])
  core.store.transaction(() => {
    core.store.removePin(String(cid))
    core.settler.settle(String(cid), core.clock.now(), noChanges())
  })
  bench.queue.changed([String(cid)])
  await bench.until(() => core.store.pinCount() === 1)
  expect(bench.status([cid])).toEqual(['pinned'])
})

test.each([true, false])(
  'many small pins share a cap, also when they end at the same time (told at the end only: %s)',
  async (isSilent) => {
    await using bench = await createQueueBench({ concurrency: 16, isSilent })
    const { core } = bench
    await core.authorise([grantOf(alice, { maxBytes: 55 })])
    const cids = await Promise.all(Array.from({ length: 16 }, (_, i) => bench.give(`ten bytes${i.toString(16)}`)))
    const open = bench.backend.hold()
    await bench.ask('pin', ...cids)
    await bench.until(() => bench.backend.running.now === 16)
    open()
    await bench.until(() => core.store.jobCount() === 0, 25)
    expect(core.store.usage(alice.author)).toEqual({ pins: 5, bytes: 50 })
    expect([core.store.pinCount(), bench.status(cids).filter((status) => status === 'pinned').length]).toEqual([5, 5])
  }
)

test('what a try fetched that failed takes no room while it waits to be tried again', async () => {
  await using bench = await createQueueBench({ retryMs: 1_000_000 })
  const { core } = bench
  await core.authorise([grantOf(alice, { maxBytes: 8 * KIB })])
  const [stuck, whole] = [await dag('stuck', 4), await dag('whole', 4)]
  await bench.provide([stuck.root, ...stuck.leaves, whole.root, ...whole.leaves, whole.last])
  await bench.ask('pin', stuck.root.cid)
  await bench.until(() => (bench.queue.progress(String(stuck.root.cid)) ?? 0) > 4 * KIB)
  core.clock.advance(10_000)
  await bench.until(() => core.store.job(String(stuck.root.cid))?.attempt === 1)
  await bench.ask('pin', whole.root.cid)
  await bench.until(() => bench.status([whole.root.cid])[0] !== 'queued')
  expect(bench.status([whole.root.cid])).toEqual(['pinned'])
})
