/** A sender that was away while the nodes worked: what it learns when it is back. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { leaf } from '../support/dags.ts'
import { makePinPeer, type PinPeer } from '../support/pin-peer.ts'
import { createNetwork, only, type Agent, type TestNetwork } from './network.ts'

const left = await leaf('sent and left')
const killed = await leaf('sent and killed')

let net: TestNetwork
let provider: PinPeer
beforeAll(async () => {
  ;[net, provider] = await Promise.all([createNetwork(2), makePinPeer()])
})
afterAll(async () => {
  await provider.stop()
  await net[Symbol.asyncDispose]()
})

/** Of each agent, in order, its state of the CID and how that is known. */
async function status(cid: string): Promise<{ code: number | null; states: (string | undefined)[] }> {
  const { code, events } = await net.as(['status', cid])
  const rows = only(events, 'status')
  const told = (agent: Agent): string | undefined => {
    const row = rows.find(({ node }) => node === agent.peer)
    return row === undefined ? undefined : `${row['status']} ${row['source']}`
  }
  return { code, states: net.agents.map(told) }
}

/** How many receipts the ledger has of operations that are done. */
function settledReceipts(): number {
  using db = new DatabaseSync(join(net.home, 'sender', 'ledger.db'), { readOnly: true })
  return db.prepare('SELECT count(*) AS n FROM receipts WHERE settled = 1').get()?.['n'] as number
}

test('a sender that left, or was killed, before the nodes were done learns what they did, also of one that is down by then', async () => {
  const [first, second] = net.agents as [Agent, Agent]
  const cids = [left, killed].map(({ cid }) => cid.toString()) as [string, string]
  const arguments_ = (cid: string): string[] => ['send', 'pin', cid, '--origin', provider.origin]
  expect((await net.as([...arguments_(cids[0]), '--detach'])).code).toBe(0)
  const process = net.sandbox.start([...arguments_(cids[1]), '--home', net.home, '--json'])
  await process.event(({ event }) => event === 'sent')
  await process.end('SIGKILL')

  // What is wanted is known at once; nobody holds it yet.
  await expect
    .poll(async () => only((await net.as(['ls'])).events, 'pin').map((pin) => [pin['cid'], (pin['nodes'] as string[]).length]), {
      timeout: 20_000
    })
    .toEqual(expect.arrayContaining(cids.map((cid) => [cid, 2])))
  expect((await status(cids[0])).code).toBe(3)
  expect(settledReceipts()).toBe(0)

  await provider.provide([left, killed])
  for (const agent of net.agents) {
    for (const cid of cids) await expect.poll(async () => (await net.onDisk(agent, cid)).missing, { timeout: 20_000 }).toBe(0)
  }
  await expect.poll(() => status(cids[0]), { timeout: 20_000 }).toEqual({ code: 0, states: ['pinned live', 'pinned live'] })
  expect(settledReceipts()).toBe(4)

  await second.process.end()
  for (const cid of cids) expect(await status(cid)).toEqual({ code: 0, states: ['pinned live', 'pinned receipt'] })
  const listed = only((await net.as(['ls'])).events, 'pin').filter(({ cid }) => cids.includes(cid as string))
  expect(listed.map(({ nodes }) => nodes)).toEqual([[first.peer], [first.peer]])
})
