/** Messages of two bytes a field, of which a decoder would make objects by the million, as a peer sends them to a host of ours. */
import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { BITSWAP } from '../../src/content/bitswap.ts'
import { createExchange } from '../../src/content/exchange.ts'
import { freshHostKey } from '../../src/identity/host-key.ts'
import { createHost } from '../../src/network/host.ts'
import { MAX_BITSWAP_FIELDS, MAX_BLOCK_BYTES, MAX_GOSSIP_FIELDS, MAX_GOSSIP_FRAME_BYTES } from '../../src/protocol/limits.ts'
import { delimited } from '../fuzz/mutate-protobuf.ts'
import { startPeer, until } from './helpers.ts'

const MESHSUB = '/meshsub/1.2.0'

/** The same field, empty, so many times. */
const empty = (field: number, times: number): Uint8Array => Buffer.alloc(2 * times, Uint8Array.of((field << 3) | 2, 0))
const inside = (field: number, bytes: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of((field << 3) | 2), delimited(bytes)])

const atMost = (bytes: number): number => (bytes - 16) / 2
const GOSSIP = atMost(MAX_GOSSIP_FRAME_BYTES)
const CONTENT = atMost(2 * MAX_BLOCK_BYTES)

/** The stream on which a peer has sent this to a node, which has read what the peer said after it. */
async function send(protocol: string, message: Uint8Array): Promise<Stream> {
  const node = await startPeer()
  const exchange = createExchange({ libp2p: node.host.libp2p, blocks: { size: async () => undefined, read: async () => undefined } })
  await exchange.start()
  const peer = await createHost({ privateKey: await freshHostKey(), listen: [] })
  await peer.start()
  onTestFinished(async () => {
    await exchange.stop()
    await peer.stop()
    await node[Symbol.asyncDispose]()
  })
  const link = await peer.libp2p.dial(multiaddr(node.address))
  const stream = await link.newStream(protocol)
  stream.send(delimited(message))
  await until('it is sent', () => stream.status !== 'open' || stream.writeBufferLength === 0)
  await peer.libp2p.services.ping.ping(node.host.libp2p.peerId)
  return stream
}

test.each<[what: string, protocol: string, message: Uint8Array]>([
  ['subscriptions without end', MESHSUB, empty(1, GOSSIP)],
  ['messages without end', MESHSUB, empty(2, GOSSIP)],
  ['controls without end', MESHSUB, empty(3, GOSSIP)],
  ['offered ids without end', MESHSUB, inside(3, inside(1, empty(2, GOSSIP - 8)))],
  ['grafts without end', MESHSUB, inside(3, empty(3, GOSSIP - 8))],
  ['wants without end', BITSWAP, inside(1, empty(1, CONTENT))],
  ['blocks without end', BITSWAP, empty(3, CONTENT)],
  ['words on blocks without end', BITSWAP, empty(4, CONTENT)],
  ['one more field than a gossip frame may have', MESHSUB, empty(15, MAX_GOSSIP_FIELDS + 1)],
  ['one more field than a bitswap message may have', BITSWAP, empty(15, MAX_BITSWAP_FIELDS + 1)]
])('%s are not decoded: the stream ends', async (_, protocol, message) => {
  const before = process.memoryUsage().rss
  const stream = await send(protocol, message)
  await until('the stream ends', () => stream.status === 'reset')
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * 1024 * 1024)
})

test.each<[protocol: string, message: Uint8Array]>([
  [MESHSUB, empty(15, MAX_GOSSIP_FIELDS)],
  [BITSWAP, empty(15, MAX_BITSWAP_FIELDS)]
])('as many fields as there may be are read (%s)', async (protocol, message) => {
  expect((await send(protocol, message)).status).toBe('open')
})
