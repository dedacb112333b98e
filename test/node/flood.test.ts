/** A peer that floods a network is cut off; meanwhile, and after it, the others are served as ever. */
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { MAX_USELESS_BACKLOG, STRANGER_WORDS_PER_LINK, USELESS_OWN_COST } from '../../src/protocol/limits.ts'
import { GREYLIST_AFTER_REJECTS } from '../../src/network/gossip-score.ts'
import { author, cidOf } from '../support/author.ts'
import { REJECTED, startFlooder, type Flooder, type Target } from '../support/flooder.ts'
import { startLiveNodes, type LiveNode } from '../support/live-nodes.ts'
import { createOperator, type Operator, type Said } from '../support/operator.ts'
import { startPeer, until, type Peer } from '../network/helpers.ts'

const NETWORK = 'flood'
const alice = author('alice')
const LINE = `ssh-ed25519 ${Buffer.from(alice.blob).toString('base64')} alice`
/** Of the flood and of what is ordinary, a second. */
const FLOOD = 500
const ORDINARY = 50

let stack: AsyncDisposableStack
let nodes: LiveNode[]
let operator: Operator
/** Hears what the first node relays. */
let neighbour: Peer
let target: Target

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  nodes = await startLiveNodes(stack, [systemClock, systemClock], { network: NETWORK, authorize: [LINE] })
  operator = stack.use(await createOperator({ network: NETWORK }))
  for (const { address } of nodes) await operator.link(address)
  neighbour = stack.use(await startPeer({ listen: [], network: NETWORK, verdict: () => 'ignore' }))
  await neighbour.host.libp2p.dial(multiaddr((nodes[0] as LiveNode).address))
  await until('the neighbour is subscribed', () => neighbour.bus.subscribers('commands').length === 1)
  const said = await operator.say(alice, [{ op: 'unpin', cid: cidOf('first') }])
  await operator.accepted([said], ids(), 10_000)
  target = { network: NETWORK, author: alice, said }
})
afterEach(() => stack.disposeAsync())

const ids = (): string[] => nodes.map(({ id }) => id)

/** Says ordinary commands until the work is done; resolves with them. */
async function ordinary(work: Promise<unknown>): Promise<Said[]> {
  const said: Said[] = []
  let isOver = false
  const over = (): void => void (isOver = true)
  work.then(over, over)
  while (!isOver) {
    said.push(await operator.say(alice, [{ op: 'unpin', cid: cidOf(`ordinary ${said.length}`) }]))
    await new Promise((resolve) => setTimeout(resolve, 1_000 / ORDINARY))
  }
  return said
}

/** Envelopes of the flood that went beyond the first node. */
const relayed = (from: string): number => neighbour.heard.filter((message) => message.from === from).length

/** Floods the first node until it is cut off, or for so long, while what is ordinary arrives. */
async function flood(kinds: readonly string[], ms = 15_000): Promise<{ flooder: Flooder; isCut: boolean }> {
  const flooder = stack.use(await startFlooder(NETWORK, (nodes[0] as LiveNode).address))
  const flooding = flooder.flood(target, kinds, FLOOD, AbortSignal.timeout(ms))
  const said = await ordinary(flooding)
  await operator.accepted(said, ids(), 10_000)
  return { flooder, isCut: await flooding }
}

test('who sends what nobody can accept is cut off, and nothing of it goes on', async () => {
  const { flooder, isCut } = await flood(Object.keys(REJECTED))
  expect(isCut).toBe(true)
  expect(flooder.sent).toBeGreaterThan(GREYLIST_AFTER_REJECTS)
  expect(relayed(flooder.id)).toBe(0)
  await expect(flooder.dial()).rejects.toThrow()
})

test('who sends nothing but what is of no use is cut off, and nothing of it goes on', async () => {
  const { flooder, isCut } = await flood(['a stranger signed', 'strangers signed', 'an old command', 'an ack of no command'])
  expect(isCut).toBe(true)
  expect(flooder.sent).toBeGreaterThanOrEqual(MAX_USELESS_BACKLOG / USELESS_OWN_COST)
  expect(relayed(flooder.id)).toBe(0)
  await expect(flooder.dial()).rejects.toThrow()
})

test('who sends nothing but what strangers may say is cut off, and little of it goes on', async () => {
  const { flooder, isCut } = await flood(['an ack by a stranger', 'a presence of the same stranger', 'presences of strangers'])
  expect(isCut).toBe(true)
  const most = 4 * STRANGER_WORDS_PER_LINK
  expect(relayed(flooder.id)).toBeGreaterThanOrEqual(most)
  // And what has run out of the bucket meanwhile, which takes under eight seconds.
  expect(relayed(flooder.id)).toBeLessThan(3 * most)
  await expect(flooder.dial()).rejects.toThrow()
})
