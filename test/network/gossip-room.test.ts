/** Who is waited for before something is published, and for how long. */
import { setImmediate } from 'node:timers/promises'
import type { Stream } from '@libp2p/interface'
import { RPC } from '@libp2p/gossipsub/message'
import { multiaddr } from '@multiformats/multiaddr'
import { beforeEach, describe, expect, test } from 'vitest'
import { freshHostKey } from '../../src/identity/host-key.ts'
import { createRoom, type Room } from '../../src/network/gossip-room.ts'
import { createHost } from '../../src/network/host.ts'
import { MAX_ENVELOPE_BYTES, MAX_GOSSIP_WAITING_BYTES, SLOW_PEER_MS, SLOW_PEER_WAIT_MS } from '../../src/protocol/limits.ts'
import { delimited } from '../fuzz/mutate-protobuf.ts'
import { bytesOf, createTestClock, NETWORK, startPeer, until, within } from './helpers.ts'

describe('a room', () => {
  let clock: ReturnType<typeof createTestClock>
  let streams: Record<string, TestStream>
  let room: Room

  class TestStream extends EventTarget {
    writeBufferLength = 0
    take(bytes: number): void {
      this.writeBufferLength -= bytes
      this.dispatchEvent(new Event('drain'))
    }
  }

  beforeEach(() => {
    clock = createTestClock()
    streams = { slow: new TestStream(), other: new TestStream() }
    room = createRoom({ clock, streamTo: (peer) => streams[peer] as Stream | undefined })
  })

  const stream = (peer: string): TestStream => streams[peer] as TestStream

  /** Publishes once there is room. */
  const publish = async (bytes: number, peers = Object.keys(streams), signal = new AbortController().signal): Promise<void> => {
    await room(() => peers, bytes, signal)
    for (const peer of peers) stream(peer).writeBufferLength += bytes
  }

  /** Whether it has been published by now. */
  async function isOver(published: Promise<void>): Promise<boolean> {
    await setImmediate()
    return Promise.race([published.then(() => true), setImmediate(false)])
  }

  const FILL = MAX_GOSSIP_WAITING_BYTES + 1

  test('a single peer that is behind is waited for as long as it takes', async () => {
    await publish(FILL, ['slow'])
    const next = publish(300, ['slow'])
    for (let i = 0; i < 20; i++) {
      clock.advance(SLOW_PEER_WAIT_MS)
      expect(await isOver(next)).toBe(false)
    }
    stream('slow').take(1)
    expect(await isOver(next)).toBe(true)
  })

  test('one of several is waited for two seconds in all, however little it takes meanwhile, and then not for a minute by any link', async () => {
    await publish(FILL)
    stream('other').take(FILL)
    const next = publish(FILL)
    for (let ms = 0; ms < SLOW_PEER_WAIT_MS; ms += 250) {
      expect(await isOver(next)).toBe(false)
      stream('slow').take(0)
      clock.advance(250)
    }
    expect(await isOver(next)).toBe(true)
    streams['slow'] = new TestStream()
    for (let ms = 0; ms < SLOW_PEER_MS - 1_000; ms += 1_000) {
      stream('other').take(stream('other').writeBufferLength)
      expect(await isOver(publish(FILL))).toBe(true)
      clock.advance(1_000)
    }
    clock.advance(1_000)
    stream('other').take(stream('other').writeBufferLength)
    const later = publish(300)
    expect(await isOver(later)).toBe(false)
    stream('slow').take(stream('slow').writeBufferLength)
    expect(await isOver(later)).toBe(true)
  })

  test('where all are behind, it goes on as soon as one is not', async () => {
    await publish(FILL)
    const next = publish(300)
    clock.advance(3 * SLOW_PEER_WAIT_MS)
    expect(await isOver(next)).toBe(false)
    stream('other').take(FILL)
    expect(await isOver(next)).toBe(true)
  })

  test('what others send through us is not waited for, until as much is ours', async () => {
    stream('slow').writeBufferLength = 2 * FILL
    expect(await isOver(publish(FILL))).toBe(true)
    stream('other').take(FILL)
    expect(await isOver(publish(300))).toBe(false)
  })

  test('the signal ends it', async () => {
    await publish(FILL)
    const ended = new AbortController()
    const next = publish(300, Object.keys(streams), ended.signal)
    expect(await isOver(next)).toBe(false)
    ended.abort()
    expect(await isOver(next)).toBe(true)
  })
})

test('a subscriber that takes a few bytes now and then silences nobody', async () => {
  await using node = await startPeer()
  await using honest = await startPeer({ listen: [], topics: ['acks'] })
  await using filler = await startPeer({ listen: [], topics: [] })
  await using slow = await createHost({ privateKey: await freshHostKey(), listen: [] })
  let theirs: Stream | undefined
  await slow.start()
  await slow.libp2p.handle('/meshsub/1.2.0', (stream) => {
    theirs = stream
    stream.pause()
  })
  const stream = await (await slow.libp2p.dial(multiaddr(node.address))).newStream('/meshsub/1.2.0')
  await until('it is sent gossip', () => theirs !== undefined)
  const topic = `/pinsub/1/${NETWORK}/acks`
  const control = { ihave: [], iwant: [], graft: [{ topicID: topic }], prune: [], idontwant: [] }
  stream.send(delimited(RPC.encode({ subscriptions: [{ topic, subscribe: true }], messages: [], control })))
  for (const { host } of [honest, filler]) await host.libp2p.dial(multiaddr(node.address))
  await until('both are subscribed', () => node.bus.subscribers('acks').length === 2)
  const toSlow = node.host.libp2p
    .getConnections(slow.libp2p.peerId)
    .flatMap((link) => link.streams)
    .find(({ protocol, direction }) => protocol === '/meshsub/1.2.0' && direction === 'outbound')
  for (let i = 0; (toSlow?.writeBufferLength ?? 0) <= MAX_GOSSIP_WAITING_BYTES && i < 100; i++) {
    await filler.bus.publish('acks', new Uint8Array(MAX_ENVELOPE_BYTES).fill(i), { signal: within() })
    await until('it is relayed', () => honest.heard.length > i)
  }
  expect(toSlow?.writeBufferLength).toBeGreaterThan(MAX_GOSSIP_WAITING_BYTES)
  const trickling = setInterval(() => {
    const end = theirs as Stream & { recvWindowCapacity: number; streamId: number; sendFrame(frame: object): void }
    end.recvWindowCapacity += 50
    end.sendFrame({ type: 1, flag: 0, streamID: end.streamId, length: 50 })
  }, 20)
  try {
    for (let i = 0; i < 10; i++)
      expect(await node.bus.publish('acks', bytesOf(`ack ${i}`), { signal: within(1_000) })).toContain(honest.host.id)
  } finally {
    clearInterval(trickling)
  }
})
