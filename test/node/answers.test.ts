import { expect, test } from 'vitest'
import { createAnswers, type AnswerPorts } from '../../src/node/answers.ts'
import { MAX_PRESENCE_BYTES, MAX_PRESENCES } from '../../src/protocol/limits.ts'
import { decodeQueryPage, encodeQueryPage, type HelloPage } from '../../src/protocol/query.ts'
import { presenceOf } from '../network/presences.ts'
import { createAgentCore } from '../support/agent-core.ts'
import { author } from '../support/author.ts'

async function hello(others: ReturnType<AnswerPorts['otherPresences']>): Promise<HelloPage[]> {
  using core = createAgentCore()
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
      otherPresences: () => others
    }
  )
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
