import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { createRefusalSender, onRefusal, REFUSAL_PROTOCOL, type Refusal } from '../../src/network/refusals.ts'
import { createTestClock, NETWORK, startPeer, until } from './helpers.ts'
import { systemClock } from '../../src/network/clock.ts'

const refusal = (i: number): Refusal => ({ command: i.toString(16).padStart(64, '0'), code: 'unauthorised' })

test('ten at once, then one a second, and what is too much is dropped', async () => {
  await using node = await startPeer()
  await using peer = await startPeer({ listen: [] })
  const heard: [string, Refusal][] = []
  const off = await onRefusal(peer.host, (from, what) => heard.push([from, what]))
  await peer.host.libp2p.dial(multiaddr(node.address))
  await until('the node has the link too', () => node.host.libp2p.getConnections().length === 1)
  const clock = createTestClock()
  const sender = createRefusalSender({ network: NETWORK }, { host: node.host, clock })
  for (let i = 0; i < 30; i++) sender.refuse(peer.host.id, refusal(i))
  await until('the first ten are heard', () => heard.length === 10)
  expect(heard.map(([, { command }]) => command).toSorted()).toEqual(Array.from({ length: 10 }, (_, i) => refusal(i).command))
  expect(heard[0]).toEqual([node.host.id, expect.objectContaining({ code: 'unauthorised' })])
  for (let second = 1; second <= 3; second++) {
    clock.advance(1_000)
    await until('one more is heard', () => heard.length === 10 + second)
  }
  clock.advance(60_000)
  await until('the queue is empty', () => heard.length === 20)
  clock.advance(60_000)
  for (let i = 0; i < 10; i++) sender.refuse(peer.host.id, refusal(100 + i))
  await until('the budget is back', () => heard.length === 30)
  await sender.stop()
  sender.refuse(peer.host.id, refusal(200))
  await off()
  expect(heard).toHaveLength(30)
})

test('nobody there, nobody listening: no harm', async () => {
  await using node = await startPeer()
  await using deaf = await startPeer({ listen: [] })
  await deaf.host.libp2p.dial(multiaddr(node.address))
  await until('the node has the link too', () => node.host.libp2p.getConnections().length === 1)
  const sender = createRefusalSender({ network: NETWORK }, { host: node.host, clock: systemClock })
  sender.refuse(deaf.host.id, refusal(1))
  sender.refuse('12D3KooWDgJpkwEdKcVwFziEPNauq7urS2dmoFyUZnfFvhSF6Hyx', refusal(2))
  sender.refuse('not a peer id', refusal(3))
  await sender.stop()
})

test('malformed refusals are told to nobody', async () => {
  await using node = await startPeer()
  await using peer = await startPeer({ listen: [] })
  const heard: Refusal[] = []
  const off = await onRefusal(node.host, (_from, what) => heard.push(what))
  for (const bytes of [new Uint8Array([0, 0, 0, 3, 1, 2, 3]), new Uint8Array([0xff, 0xff, 0xff, 0xff]), new Uint8Array([0, 0, 0, 0])]) {
    const stream = await peer.host.libp2p.dialProtocol(multiaddr(node.address), REFUSAL_PROTOCOL)
    stream.send(bytes)
    void stream.close().catch(() => undefined)
    await until('it is over', () => stream.status !== 'open')
  }
  expect(heard).toEqual([])
  await off()
})
