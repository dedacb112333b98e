import { setTimeout as sleep } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createPresenceTable } from '../../src/network/presence-table.ts'
import { createQueryServer, type QueryHandler } from '../../src/network/query.ts'
import { MAX_CID_ROWS, MAX_ROWS, MAX_STRANGER_ROWS, MAX_STRANGERS_ROWS, MAX_UNVOUCHED_ROWS } from '../../src/protocol/limits.ts'
import type { QueryPage, QueryRequest, StatusRow } from '../../src/protocol/query.ts'
import { createCensus } from '../../src/sender/census.ts'
import { createRowRoom } from '../../src/sender/row-room.ts'
import { createSurvey } from '../../src/sender/survey.ts'
import type { StatusOptions } from '../../src/sender/types.ts'
import { openLedger } from '../../src/storage/ledger.ts'
import { NETWORK, startPeer, type Peer } from '../network/helpers.ts'
import { presenceOf, signerOf } from '../network/presences.ts'
import { author, cidOf } from '../support/author.ts'

const row = (text: string) => ({ cid: cidOf(text), pinset: 'default', op: 'pin', status: 'pinned', at: 1 }) as const

/** A survey of one node that answers so, which the sender knows, or is a stranger to. */
async function surveyOf(handler: QueryHandler, knownNodes: (node: string) => ReadonlySet<string> | undefined) {
  const asker = await startPeer({ listen: [] })
  const presence = createPresenceTable({ network: NETWORK }, { clock: systemClock })
  const started: AsyncDisposable[] = [asker]
  const start = async (answer: QueryHandler): Promise<Peer> => {
    const key = await generateKeyPair('Ed25519')
    const peer = await startPeer({ key })
    const server = createQueryServer({ network: NETWORK }, { host: peer.host, handler: answer, clock: systemClock })
    await server.start()
    started.push(peer)
    const address = peer.address.replace(/\/p2p\/.*/, '')
    presence.offer(await presenceOf(signerOf(key), { addresses: [address], time: Date.now() }))
    return peer
  }
  const node = await start(handler)
  const ledger = openLedger(':memory:')
  const census = createCensus(knownNodes(node.host.id), presence)
  return {
    node: node.host.id,
    /** One more node that answers so. */
    start,
    survey: createSurvey(NETWORK, { host: asker.host, presence, ledger, census, catchUp: async () => {} }),
    [Symbol.asyncDispose]: async () => {
      ledger.close()
      for (const each of started) await each[Symbol.asyncDispose]()
    }
  }
}

test('a node that tells one pin again and again is told of once', async () => {
  const pin = { cid: cidOf('a'), pinset: 'default', author: author('a').author, status: 'pinned' } as const
  const rows = Array.from({ length: 1_000 }, (_, at) => ({ ...pin, at }))
  await using asked = await surveyOf(
    () => [1, 2, 3].map(() => ({ page: 'pins', rows })),
    (node) => new Set([node])
  )
  const [told, ...more] = await asked.survey.pins({})
  expect(more).toEqual([])
  expect(told?.nodes).toEqual([asked.node])
  expect(told?.at).toBe(new Date(999).toISOString())
})

test('a stranger who tells rows without end is left out, with the reason, also in a check and in what is pinned', async () => {
  const rows: readonly StatusRow[] = Array.from({ length: 1_000 }, () => row('a'))
  const pins = rows.map(({ cid, pinset, at }) => ({ cid, pinset, at, author: author('a').author, status: 'pinned' as const }))
  function* handler(request: QueryRequest): Generator<QueryPage> {
    for (;;) yield request.want === 'pins' ? { page: 'pins', rows: pins } : { page: 'status', rows }
  }
  await using asked = await surveyOf(handler, () => new Set(['somebody else']))
  const leftOut: [string, string][] = []
  const onLeftOut = (node: string, reason: string): void => void leftOut.push([node, reason])
  const { survey, node } = asked
  expect(await Array.fromAsync(survey.status(undefined, { onLeftOut }))).toEqual([])
  expect(await Array.fromAsync(survey.status(undefined, { check: true, onLeftOut }))).toEqual([])
  expect(await survey.pins({ onLeftOut })).toEqual([])
  expect(leftOut).toEqual(Array.from({ length: 3 }, () => [node, `more than ${MAX_STRANGER_ROWS} rows: ask for less at a time`]))
})

test('a node that is asked of one CID has room for every pinset, and no more', async () => {
  const told =
    (count: number): QueryHandler =>
    () => [{ page: 'status', rows: Array.from({ length: count }, (_, i) => ({ ...row('first'), pinset: `p${i}` })) }]
  for (const [count, rows] of [
    [MAX_CID_ROWS, MAX_CID_ROWS],
    [MAX_CID_ROWS + 1, 0]
  ] as const) {
    await using asked = await surveyOf(told(count), (node) => new Set([node]))
    expect(await Array.fromAsync(asked.survey.status([cidOf('first')], {}))).toHaveLength(rows)
  }
})

test('rows are bounded for each node by who vouched for it, and for all together that are no better vouched for', () => {
  const census = (knownNodes: readonly string[] | undefined) => ({
    trusted: (node: string) => knownNodes?.includes(node) === true,
    counts: (node: string) => knownNodes === undefined || knownNodes.includes(node)
  })
  const named = createRowRoom(undefined, census(['known']))
  named.take('known', MAX_ROWS)
  expect(() => named.take('known', 1)).toThrow('more than 1000000 rows')
  const each = MAX_STRANGERS_ROWS / MAX_STRANGER_ROWS
  for (let i = 0; i < each; i++) named.take(`stranger ${i}`, MAX_STRANGER_ROWS)
  expect(() => named.take('one more', 1)).toThrow('nodes that nobody named')
  const unnamed = createRowRoom(undefined, census(undefined))
  unnamed.take('anybody', MAX_UNVOUCHED_ROWS)
  expect(() => unnamed.take('anybody', 1)).toThrow('more than 100000 rows')
})

test(
  'a check is waited for as long as pages come, but no stranger is waited for longer; any other answer has its time',
  { timeout: 40_000 },
  async () => {
    const asked: QueryRequest[] = []
    /** Slower than a whole answer may be, with less between two pages than the silence that is borne. */
    async function* handler(request: QueryRequest): AsyncGenerator<QueryPage> {
      asked.push(request)
      yield { page: 'status', rows: [{ ...row('first'), check: 'held' }] }
      for (let i = 0; i < 2; i++) {
        await sleep(5_500)
        yield { page: 'status', rows: [] }
      }
      yield { page: 'status', rows: [row('last')] }
    }
    await using node = await surveyOf(handler, (node) => new Set([node]))
    await node.start(async function* () {
      for (;;) {
        await sleep(1_000)
        yield { page: 'status', rows: [] }
      }
    })
    const status = (options: StatusOptions) => Array.fromAsync(node.survey.status([cidOf('first')], options))
    const progress: number[] = []
    const [checked, plain] = await Promise.all([status({ check: true, onProgress: (_, rows) => void progress.push(rows) }), status({})])
    expect(checked.map(({ cid, check }) => [cid, check])).toEqual([
      [cidOf('first').toString(), 'held'],
      [cidOf('last').toString(), undefined]
    ])
    expect(progress.filter((rows) => rows > 0)).toEqual([1, 1, 1, 2])
    expect(plain).toEqual([])
    expect(asked.filter((request) => 'check' in request)).toHaveLength(1)
    expect(asked).toHaveLength(2)
  }
)
