import { setImmediate as immediate } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { createAnswers, type AnswerPorts } from '../../src/node/answers.ts'
import { MAX_PRESENCE_BYTES, MAX_PRESENCES } from '../../src/protocol/limits.ts'
import { decodeQueryPage, encodeQueryPage, type HelloPage } from '../../src/protocol/query.ts'
import { createTestClock } from '../network/helpers.ts'
import { presenceOf } from '../network/presences.ts'
import { createAgentCore } from '../support/agent-core.ts'
import { author } from '../support/author.ts'

/** The answers of a node that holds nothing. */
async function startAnswers(ports: Partial<AnswerPorts>): Promise<ReturnType<typeof createAnswers> & Disposable> {
  const core = createAgentCore()
  const { store, settler, standings, clock } = core
  const own = await presenceOf(author('self'))
  const answer = createAnswers(
    { network: 'net', version: 'pinsub/0.1.0' },
    {
      store,
      settler,
      standings,
      clock,
      acks: { changed() {}, answer() {}, current: async () => undefined, stop: async () => {} },
      checker: { check: async () => undefined },
      isKnown: () => false,
      progress: () => undefined,
      ownPresence: async () => own,
      otherPresences: () => [],
      ...ports
    }
  )
  return Object.assign(answer, { [Symbol.dispose]: () => core[Symbol.dispose]() })
}

async function hello(others: ReturnType<AnswerPorts['otherPresences']>): Promise<HelloPage[]> {
  using answer = await startAnswers({ otherPresences: () => others })
  const pages = await Array.fromAsync(answer({ want: 'hello', network: 'net' }, 'peer'))
  return pages.map((page) => decodeQueryPage(encodeQueryPage(page)) as HelloPage)
}

test('a hello tells of the others in their order, each with how long ago it was heard', async () => {
  const others = [3, 9].map((n) => ({ bytes: Uint8Array.of(n), age: n * 100 }))
  const [page, ...more] = await hello(others)
  expect(more).toEqual([])
  expect(page?.presences.slice(1)).toEqual([Uint8Array.of(3), Uint8Array.of(9)])
  expect(page?.ages).toEqual([0, 300, 900])
})

test('the most that a node may know of fits its pages, and ages stay with their presences', async () => {
  const others = Array.from({ length: MAX_PRESENCES }, (_, age) => ({ bytes: new Uint8Array(MAX_PRESENCE_BYTES).fill(age % 251), age }))
  const pages = await hello(others)
  expect(pages.length).toBeGreaterThan(8)
  const told = pages.flatMap(({ presences, ages }) => presences.map((bytes, i) => [bytes[0], ages?.[i]])).slice(1)
  expect(told).toEqual(others.map(({ age }) => [age % 251, age]))
})

describe('acks that take their time', () => {
  /** Each ack takes 15 ms by a clock that moves only when told; tells who was answered, in order. */
  const slowly = async () => {
    const clock = createTestClock()
    const said: string[] = []
    const current = async (id: string): Promise<undefined> => {
      said.push(id)
      clock.advance(15)
    }
    const acks = { changed() {}, answer() {}, current, stop: async () => {} }
    const answer = await startAnswers({ clock, acks, isKnown: (peer) => peer === 'known' })
    const ask = (name: string, count: number, peer = name): Promise<unknown> =>
      Array.fromAsync(answer({ want: 'acks', network: 'net', commands: Array.from({ length: count }, (_, i) => `${name}${i}`) }, peer))
    return { clock, said, ask, [Symbol.dispose]: () => answer[Symbol.dispose]() }
  }

  test('leave this process to others now and then', async () => {
    using slow = await slowly()
    let saidThen = 0
    setImmediate(() => (saidThen = slow.said.length))
    await slow.ask('a', 6, 'known')
    expect(slow.said).toHaveLength(6)
    expect(saidThen).toBe(2)
  })

  test('are said to strangers in turn, with rests, and to known nodes at once', async () => {
    using slow = await slowly()
    const strangers = [slow.ask('a', 4), slow.ask('b', 4)]
    await immediate()
    await immediate()
    // One is at rest, as long as its turn took.
    expect(slow.said).toEqual(['a0', 'a1'])
    slow.clock.advance(29)
    await immediate()
    expect(slow.said).toHaveLength(2)
    slow.clock.advance(1)
    await immediate()
    expect(slow.said).toEqual(['a0', 'a1', 'b0', 'b1'])
    await slow.ask('k', 4, 'known')
    expect(slow.said).toEqual(expect.arrayContaining(['k0', 'k1', 'k2', 'k3']))
    const all = Promise.all(strangers)
    for (let i = 0; i < 4; i++) {
      slow.clock.advance(30)
      await immediate()
      await immediate()
    }
    await all
    expect(slow.said.filter((id) => !id.startsWith('k'))).toEqual(['a0', 'a1', 'b0', 'b1', 'a2', 'a3', 'b2', 'b3'])
  })
})
