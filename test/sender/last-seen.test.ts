/** What a sender learns from one node of another that is gone. */
import { afterEach, expect, test } from 'vitest'
import { formatPublicKey } from '../../src/protocol/ssh-key.ts'
import { createSender } from '../../src/sender/sender.ts'
import { author } from '../support/author.ts'
import { createShiftedClock } from '../support/clock.ts'
import { startLiveNodes, type LiveNode } from '../support/live-nodes.ts'

const MINUTE = 60_000
const alice = author('alice')
const stack = new AsyncDisposableStack()
afterEach(() => stack.disposeAsync())

test('a node that is gone is told of with when it was there last, asked for nothing, and waited for by nobody', async () => {
  const clock = createShiftedClock()
  const options = { network: 'last-seen', authorize: [formatPublicKey(alice.blob, '')] }
  const [a, b] = (await startLiveNodes(stack, [clock, clock], options)) as [LiveNode, LiveNode]
  await expect.poll(() => a.agent.peers(), { timeout: 10_000 }).toEqual([b.id])
  const heardAt = clock.now()
  await b.agent.stop()
  clock.shift(4 * MINUTE)

  const sender = await createSender({ network: options.network, key: alice, bootstrap: [a.address] }, { clock })
  stack.use(sender)
  const before = clock.now()
  await sender.connect()
  const nodes = new Map(sender.nodes().map((node) => [node.node, node]))
  expect(nodes.get(a.id)).toMatchObject({ state: 'online', behind: 0 })
  expect(Date.parse(nodes.get(a.id)?.last_seen ?? '')).toBeGreaterThanOrEqual(before)
  expect(nodes.get(b.id)).toMatchObject({ state: 'gone', behind: null, version: 'pinsub/0.1.0' })
  const ago = heardAt - Date.parse(nodes.get(b.id)?.last_seen ?? '')
  expect(ago).toBeGreaterThan(-MINUTE)
  expect(ago).toBeLessThan(MINUTE)
  expect(sender.all()).toBe(1)
  expect(await Array.fromAsync(sender.status())).toEqual([])
})
