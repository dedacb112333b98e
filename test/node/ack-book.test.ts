import { expect, test, vi } from 'vitest'
import { createAckBook, type AckBook } from '../../src/node/ack-book.ts'
import { decodeAck, type Ack } from '../../src/protocol/ack.ts'
import { openEnvelope, verifyEnvelope } from '../../src/protocol/envelope.ts'
import { ACK_BURST, ACK_GATHER_MS, ACK_INTERVAL_MAX_MS, ACK_INTERVAL_PER_NODE_MS } from '../../src/protocol/limits.ts'
import { nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'

const alice = author('alice')
const node = author('node')

interface Bench {
  readonly core: AgentCore
  readonly book: AckBook
  readonly said: Ack[]
}

function createBench(options: { speakers?: number; progress?: (cid: string) => number | undefined } = {}): Bench {
  const core = createAgentCore()
  const said: Ack[] = []
  const book = createAckBook(
    { network: 'net' },
    {
      store: core.store,
      signer: node,
      clock: core.clock,
      progress: options.progress ?? (() => undefined),
      speakers: () => options.speakers ?? 1,
      publish: async (bytes) => void said.push(decodeAck(verifyEnvelope(openEnvelope(bytes)), 'net'))
    }
  )
  return { core, book, said }
}

async function accept({ core }: Bench, ...texts: string[]): Promise<{ id: string; seq: number }> {
  await core.authorise([grantOf(alice)])
  const { bytes, id } = await command(alice, {
    operations: texts.map((text) => ({ op: 'pin', cid: cidOf(text) })),
    time: { ms: 5, counter: 0 }
  })
  core.hear(bytes)
  return { id, seq: core.store.command(id)?.seq ?? 0 }
}

test('says the state of every operation, signed by the node, under a growing sequence', async () => {
  const bench = createBench()
  const { id, seq } = await accept(bench, 'x', 'y')
  bench.book.changed([seq])
  bench.core.clock.advance(ACK_GATHER_MS)
  await vi.waitFor(() => expect(bench.said).toHaveLength(1))
  expect(bench.said[0]).toMatchObject({ node: nodeIdOf(node.blob), command: id, states: [{ status: 'queued' }, { status: 'queued' }] })

  bench.core.done(cidOf('y').toString(), 9)
  bench.book.changed([seq])
  bench.core.clock.advance(ACK_GATHER_MS)
  await vi.waitFor(() => expect(bench.said).toHaveLength(2))
  expect(bench.said[1]?.states).toEqual([{ status: 'queued' }, { status: 'pinned', bytes: 9 }])
  expect(bench.said[1]?.sequence).toBeGreaterThan(bench.said[0]?.sequence ?? Infinity)
})

test('many changes make few acks: a short burst, then one an interval, which grows with the network', async () => {
  for (const speakers of [1, 50, 10_000]) {
    const bench = createBench({ speakers })
    const { seq } = await accept(bench, 'x')
    const interval = Math.max(ACK_GATHER_MS, Math.min(ACK_INTERVAL_MAX_MS, ACK_INTERVAL_PER_NODE_MS * speakers))
    for (let i = 0; i < 200; i++) {
      bench.book.changed([seq])
      bench.core.clock.advance(interval / 20)
      await Promise.resolve()
    }
    await bench.book.stop()
    expect(bench.said.length).toBeGreaterThanOrEqual(5)
    expect(bench.said.length).toBeLessThanOrEqual(ACK_BURST + 10 + 1)
  }
})

test('a command that is done is acknowledged at once, without a first word before', async () => {
  const bench = createBench()
  const { seq } = await accept(bench, 'x')
  bench.book.changed([seq])
  bench.core.done(cidOf('x').toString())
  bench.book.changed([seq])
  bench.core.clock.advance(0)
  await vi.waitFor(() => expect(bench.said.map(({ states }) => states)).toEqual([[{ status: 'pinned', bytes: 10 }]]))
})

test('a command of many operations is spoken of more rarely, and its last word is said all the same', async () => {
  const bench = createBench()
  const texts = Array.from({ length: 1_000 }, (_, i) => `block ${i}`)
  const { seq } = await accept(bench, ...texts)
  for (let i = 0; i < 100; i++) {
    bench.book.changed([seq])
    bench.core.clock.advance(10)
    await Promise.resolve()
  }
  expect(bench.said.length).toBeLessThanOrEqual(3)
  bench.core.done(cidOf('block 0').toString(), 5)
  bench.book.changed([seq])
  await vi.waitFor(() => {
    bench.core.clock.advance(100)
    expect(bench.said.at(-1)?.states[0]).toEqual({ status: 'pinned', bytes: 5 })
  })
})

test('tells how far a running pin is', async () => {
  const bench = createBench({ progress: () => 123 })
  const { id } = await accept(bench, 'x')
  const ack = await bench.book.current(id)
  expect(decodeAck(ack as NonNullable<typeof ack>, 'net').states).toEqual([{ status: 'pinning', bytes: 123 }])
  expect(await bench.book.current('0'.repeat(64))).toBeUndefined()
})

test('answers what was not stored', async () => {
  const bench = createBench()
  bench.book.answer('ab'.repeat(32), [{ status: 'refused', code: 'pinset' }])
  bench.core.clock.advance(ACK_GATHER_MS)
  await vi.waitFor(() => expect(bench.said).toHaveLength(1))
  expect(bench.said[0]).toMatchObject({ command: 'ab'.repeat(32), states: [{ status: 'refused', code: 'pinset' }] })
})

test('stopping says what is due, then nothing', async () => {
  const bench = createBench()
  const { seq } = await accept(bench, 'x')
  bench.book.changed([seq])
  await bench.book.stop()
  expect(bench.said).toHaveLength(1)
  bench.book.changed([seq])
  bench.core.clock.advance(10_000)
  expect(bench.said).toHaveLength(1)
})

test('what cannot be said for lack of disk is said later', async () => {
  const bench = createBench()
  const { seq } = await accept(bench, 'x')
  const { next } = bench.core.store
  Object.assign(bench.core.store, {
    next() {
      Object.assign(bench.core.store, { next })
      throw new Error('database or disk is full')
    }
  })
  bench.book.changed([seq])
  await vi.waitFor(() => {
    bench.core.clock.advance(ACK_INTERVAL_MAX_MS)
    expect(bench.said.map(({ states }) => states)).toEqual([[{ status: 'queued' }]])
  })
})
