import { setTimeout as sleep } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createPresenceTable } from '../../src/network/presence-table.ts'
import { createQueryServer, type QueryHandler } from '../../src/network/query.ts'
import type { QueryPage, QueryRequest } from '../../src/protocol/query.ts'
import { createCensus } from '../../src/sender/census.ts'
import { createSurvey } from '../../src/sender/survey.ts'
import type { StatusOptions } from '../../src/sender/types.ts'
import { openLedger } from '../../src/storage/ledger.ts'
import { NETWORK, startPeer } from '../network/helpers.ts'
import { presenceOf, signerOf } from '../network/presences.ts'
import { author, cidOf } from '../support/author.ts'

const row = (text: string) => ({ cid: cidOf(text), pinset: 'default', op: 'pin', status: 'pinned', at: 1 }) as const

/** A survey of one node that answers so, which the sender knows, or is a stranger to. */
async function surveyOf(handler: QueryHandler, knownNodes: (node: string) => ReadonlySet<string> | undefined) {
  const key = await generateKeyPair('Ed25519')
  const node = await startPeer({ key })
  const asker = await startPeer({ listen: [] })
  const server = createQueryServer({ network: NETWORK }, { host: node.host, handler, clock: systemClock })
  await server.start()
  const presence = createPresenceTable({ network: NETWORK }, { clock: systemClock })
  const address = node.address.replace(/\/p2p\/.*/, '')
  presence.offer(await presenceOf(signerOf(key), { addresses: [address], time: Date.now() }))
  const ledger = openLedger(':memory:')
  const census = createCensus(knownNodes(node.host.id), presence)
  return {
    node: node.host.id,
    survey: createSurvey(NETWORK, { host: asker.host, presence, ledger, census, catchUp: async () => {} }),
    [Symbol.asyncDispose]: async () => {
      await server.stop()
      ledger.close()
      await asker[Symbol.asyncDispose]()
      await node[Symbol.asyncDispose]()
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
  const [told, ...more] = await asked.survey.pins(undefined, undefined)
  expect(more).toEqual([])
  expect(told?.nodes).toEqual([asked.node])
  expect(told?.at).toBe(new Date(999).toISOString())
})

test('a check is waited for as long as pages come; any other answer has its time', { timeout: 40_000 }, async () => {
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
  await using node = await surveyOf(handler, () => new Set())
  const status = (options: StatusOptions) => Array.fromAsync(node.survey.status([cidOf('first')], options))
  const progress: number[] = []
  const [checked, plain] = await Promise.all([status({ check: true, onProgress: (_, rows) => void progress.push(rows) }), status({})])
  expect(checked.map(({ cid, check }) => [cid, check])).toEqual([
    [cidOf('first').toString(), 'held'],
    [cidOf('last').toString(), undefined]
  ])
  expect(progress).toEqual([1, 1, 1, 2])
  expect(plain).toEqual([])
  expect(asked.filter((request) => 'check' in request)).toHaveLength(1)
  expect(asked).toHaveLength(2)
})
