import { setImmediate } from 'node:timers/promises'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { createAnnouncer, type Announcer } from '../../src/network/announcer.ts'
import type { Presence } from '../../src/protocol/presence.ts'
import { decodePresence } from '../../src/protocol/presence.ts'
import { openEnvelope, verifyEnvelope } from '../../src/protocol/envelope.ts'
import { MAX_PRESENCE_BYTES, PRESENCE_AGAIN_MS, PRESENCE_BURST } from '../../src/protocol/limits.ts'
import type { SetDigest } from '../../src/protocol/sync/digest.ts'
import { createTestClock, NETWORK, startPeer, until, type Peer } from './helpers.ts'
import { described, signerOf } from './presences.ts'

interface State {
  queue: number
  sets: readonly SetDigest[]
  addresses: number
  /** How often it was asked what is so. */
  described: number
}

async function announcing(intervalMs = 1_000): Promise<{
  node: Peer
  announcer: Announcer
  clock: ReturnType<typeof createTestClock>
  state: State
}> {
  const key = await generateKeyPair('Ed25519')
  const node = await startPeer({ key })
  const clock = createTestClock()
  const state: State = { queue: 0, sets: [], addresses: 30, described: 0 }
  let sequence = 6
  const announcer = createAnnouncer(
    { network: NETWORK, intervalMs },
    {
      bus: node.bus,
      signer: signerOf(key),
      clock,
      describe: async () => {
        state.described++
        return {
          ...described(),
          addresses: Array.from(
            { length: state.addresses },
            (_, i) => `/ip4/10.0.0.${i}/tcp/4101${'/p2p-circuit'.repeat(i < 30 ? 0 : 18)}`
          ).toReversed(),
          queue: state.queue,
          sets: state.sets
        }
      },
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

test('whoever makes it speak again and again is told at once some times, then now and then', async () => {
  const { node, announcer, clock, state } = await announcing(1_000_000)
  await using _node = node
  await using peer = await startPeer({ listen: [] })
  await announcer.start()
  await peer.host.libp2p.dial(multiaddr(node.address))
  await until('the newcomer is seen', () => node.bus.subscribers('acks').length === 1)
  const seconds = 5
  for (let i = 0; i < seconds * 20; i++) {
    announcer.announceSoon()
    clock.advance(50)
    await setImmediate()
    await until('what was made is heard', () => peer.heard.length === state.described)
  }
  expect(peer.heard.length).toBeGreaterThanOrEqual(PRESENCE_BURST)
  expect(peer.heard.length).toBeLessThanOrEqual(PRESENCE_BURST + (seconds * 1_000) / PRESENCE_AGAIN_MS)
  await announcer.stop()
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

test('who asks long after nobody was there gets what is so now', async () => {
  const { node, announcer, clock, state } = await announcing()
  await using _node = node
  await announcer.start()
  expect(decodePresence(await announcer.current(), NETWORK)).toMatchObject({ sequence: 7, queue: 0, time: clock.now() })
  state.queue = 4
  clock.advance(5_000)
  await setImmediate()
  expect(decodePresence(await announcer.current(), NETWORK)).toMatchObject({ sequence: 8, queue: 4, time: clock.now() })
  await announcer.stop()
})

test('sets are told as far as they fit, the first ones first', async () => {
  const { node, announcer, state } = await announcing()
  await using _node = node
  await announcer.start()
  state.sets = Array.from({ length: 40 }, (_, i) => ({
    author: `SHA256:${'A'.repeat(43)}`,
    pinset: `${'p'.repeat(61)}${i + 10}`,
    count: Number.MAX_SAFE_INTEGER,
    root: new Uint8Array(32),
    newest: Number.MAX_SAFE_INTEGER
  }))
  announcer.announceSoon()
  const all = await announcer.current()
  expect(all.bytes.byteLength).toBeLessThanOrEqual(MAX_PRESENCE_BYTES)
  expect(decodePresence(all, NETWORK).sets).toEqual(state.sets.slice(0, 32))
  state.addresses = 46
  announcer.announceSoon()
  const some = await announcer.current()
  expect(some.bytes.byteLength).toBeLessThanOrEqual(MAX_PRESENCE_BYTES)
  expect(decodePresence(some, NETWORK).addresses).toHaveLength(16)
  expect(decodePresence(some, NETWORK).sets).toEqual(state.sets.slice(0, 16))
  await announcer.stop()
})
