import { expect, test } from 'vitest'
import { createAckBook } from '../../src/node/ack-book.ts'
import { noChanges } from '../../src/node/settle.ts'
import { createAnswers } from '../../src/node/answers.ts'
import type { CheckResult, QueryPage, StatusRow } from '../../src/protocol/query.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'

const alice = author('alice')
const [held, short, absent, waiting] = ['held', 'short', 'absent', 'waiting'].map(cidOf) as [CID, CID, CID, CID]
type CID = ReturnType<typeof cidOf>
const ask = { want: 'status', network: 'net', check: true } as const

async function bench(core: AgentCore, check: (cid: string, signal: AbortSignal, by: string) => Promise<CheckResult | undefined>) {
  await core.authorise([grantOf(alice)])
  const { store, settler, standings, clock } = core
  let counter = 0
  const say = async (op: 'pin' | 'unpin', cid: CID, pinset: string): Promise<void> => {
    const { bytes } = await command(alice, { operations: [{ op, cid }], time: { ms: clock.now(), counter: counter++ }, pinset })
    expect(core.hear(bytes)).toBe('accept')
  }
  for (const pinset of ['backup', 'site']) for (const cid of [held, short]) await say('pin', cid, pinset)
  await say('pin', waiting, 'site')
  for (const cid of [held, short]) core.done(cid.toString())
  await say('unpin', held, 'backup')
  const acks = createAckBook(
    { network: 'net' },
    { store, signer: author('node'), clock, publish: async () => {}, progress: () => undefined, speakers: () => 1 }
  )
  return createAnswers(
    { network: 'net', version: 'pinsub/0.1.0' },
    {
      store,
      settler,
      standings,
      acks,
      checker: { check: (cid, by, signal) => check(cid, signal, by) },
      isKnown: (peer) => peer === 'friend',
      clock,
      progress: () => undefined,
      ownPresence: () => Promise.reject(new Error('not asked')),
      otherPresences: () => []
    }
  )
}

const rowsOf = (pages: readonly QueryPage[]): StatusRow[] => pages.flatMap((page) => (page.page === 'status' ? page.rows : []))
const text = ({ cid, pinset, op, status, check }: StatusRow): string => [cid, pinset, op, status, check].join(' ')

test('a check looks once at each CID, and its rows are those after the look', async () => {
  using core = createAgentCore()
  const looked: string[] = []
  const answer = await bench(core, async (cid) => {
    looked.push(cid)
    if (cid === held.toString()) return 'held'
    if (cid !== short.toString()) return undefined
    core.store.transaction(() => {
      core.store.removePin(cid)
      core.settler.settle(cid, core.clock.now(), noChanges())
    })
    return 'missing'
  })
  const expected = [
    `${held} backup unpin unpinned `,
    `${held} site pin pinned held`,
    `${short} backup pin queued missing`,
    `${short} site pin queued missing`,
    `${waiting} site pin queued `
  ]
  const pages = await Array.fromAsync(answer({ ...ask, cids: [held, short, absent, waiting].map(String) }, 'peer'))
  expect(rowsOf(pages).map(text).toSorted()).toEqual(expected.toSorted())
  expect(looked).toEqual([held, short, absent, waiting].map(String))

  looked.length = 0
  const all = await Array.fromAsync(answer(ask, 'peer'))
  // What is let go of is held in no pinset, and what is in two is looked at once.
  expect(rowsOf(all).map(text).toSorted()).toEqual(expected.slice(1).toSorted())
  expect(looked.toSorted()).toEqual([held, short, waiting].map(String).toSorted())

  looked.length = 0
  const plain = await Array.fromAsync(answer({ want: 'status', network: 'net' }, 'peer'))
  expect(rowsOf(plain).every(({ check }) => check === undefined)).toBe(true)
  expect(looked).toEqual([])
})

test('while it reads, a page goes out well before whoever asked gives up; and nothing goes on when he has', async () => {
  using core = createAgentCore()
  const signals: AbortSignal[] = []
  const answer = await bench(core, (_, signal) => {
    signals.push(signal)
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  })
  const pages = answer({ ...ask, cids: [held.toString()] }, 'peer')
  for (let i = 0; i < 3; i++) {
    const page = pages.next()
    await new Promise((resolve) => setImmediate(resolve))
    core.clock.advance(4_000)
    expect(await page).toEqual({ done: false, value: { page: 'status', rows: [] } })
  }
  expect(signals.map(({ aborted }) => aborted)).toEqual([false])
  await pages.return(undefined)
  expect(signals.map(({ aborted }) => aborted)).toEqual([true])
})

test('says on whose behalf it looks', async () => {
  using core = createAgentCore()
  const looked: string[] = []
  const answer = await bench(core, async (_cid, _signal, by) => {
    looked.push(by)
    return 'held'
  })
  const cids = [held.toString()]
  for (const peer of ['friend', 'peer']) await Array.fromAsync(answer({ ...ask, cids }, peer))
  expect(looked).toEqual(['known', 'stranger'])
})
