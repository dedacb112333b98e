import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { createAnnouncer, type Announcer } from '../../src/network/announcer.ts'
import type { Presence } from '../../src/protocol/presence.ts'
import { decodePresence } from '../../src/protocol/presence.ts'
import { openEnvelope, verifyEnvelope } from '../../src/protocol/envelope.ts'
import { createTestClock, NETWORK, startPeer, until, type Peer } from './helpers.ts'
import { described, signerOf } from './presences.ts'

async function announcing(): Promise<{
  node: Peer
  announcer: Announcer
  clock: ReturnType<typeof createTestClock>
  state: { queue: number }
}> {
  const key = await generateKeyPair('Ed25519')
  const node = await startPeer({ key })
  const clock = createTestClock()
  const state = { queue: 0 }
  let sequence = 6
  const announcer = createAnnouncer(
    { network: NETWORK, intervalMs: 1_000 },
    {
      bus: node.bus,
      signer: signerOf(key),
      clock,
      describe: async () => ({
        ...described(),
        addresses: Array.from({ length: 30 }, (_, i) => `/ip4/10.0.0.${i}/tcp/4101`),
        queue: state.queue
      }),
      nextSequence: () => ++sequence,
      random: () => 0.5
    }
  )
  return { node, announcer, clock, state }
}

const read = (peer: Peer): Presence[] => peer.heard.map(({ bytes }) => decodePresence(verifyEnvelope(openEnvelope(bytes)), NETWORK))

test('a newcomer is told, then everybody at intervals and when something changed', async () => {
  const { node, announcer, clock, state } = await announcing()
  await using _node = node
  await using peer = await startPeer({ listen: [] })
  await announcer.start()
  await peer.host.libp2p.dial(multiaddr(node.address))
  await until('the newcomer is seen', () => node.bus.subscribers('acks').length === 1)
  clock.advance(100)
  await until('the newcomer is told', () => peer.heard.length === 1)
  expect(read(peer)[0]).toMatchObject({ node: node.host.id, sequence: 7, queue: 0 })
  expect(read(peer)[0]?.addresses).toHaveLength(16)
  expect((await announcer.current()).bytes).toEqual(peer.heard[0]?.bytes)

  clock.advance(1_000)
  await until('the interval passed', () => peer.heard.length === 2)

  state.queue = 3
  for (let i = 0; i < 5; i++) announcer.announceSoon()
  clock.advance(100)
  await until('the change is told once', () => peer.heard.length === 3)
  expect(read(peer).map(({ sequence, queue }) => [sequence, queue])).toEqual([
    [7, 0],
    [8, 0],
    [9, 3]
  ])
  await announcer.stop()
  announcer.announceSoon()
  clock.advance(10_000)
  expect(peer.heard).toHaveLength(3)
})

test('who asks when nobody is there gets a presence all the same', async () => {
  const { node, announcer } = await announcing()
  await using _node = node
  await announcer.start()
  const first = await announcer.current()
  expect(decodePresence(first, NETWORK).sequence).toBe(7)
  expect(await announcer.current()).toBe(first)
  announcer.announceSoon()
  expect(decodePresence(await announcer.current(), NETWORK).sequence).toBe(8)
  await announcer.stop()
})
