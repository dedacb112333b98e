import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, test } from 'vitest'
import { GREYLIST_AFTER_REJECTS } from '../../src/network/gossip-score.ts'
import { MAX_ENVELOPE_BYTES } from '../../src/protocol/limits.ts'
import { heldBytes } from '../support/memory.ts'
import { bytesOf, startPeer, textOf, until, within } from './helpers.ts'
import { startRawPeer } from './raw-gossip.ts'

describe('publish', () => {
  test('the first message after a dial arrives, in each of 100 rounds', async () => {
    await using node = await startPeer()
    for (let round = 0; round < 100; round++) {
      await using sender = await startPeer({ listen: [], topics: ['acks'] })
      const dialled = sender.host.libp2p.dial(multiaddr(node.address))
      const recipients = await sender.bus.publish('commands', bytesOf(`round ${round}`), { signal: within() })
      expect(recipients).toEqual([node.host.id])
      await until(`round ${round} is heard`, () => node.heard.some(({ bytes }) => textOf(bytes) === `round ${round}`))
      await dialled
    }
  }, 60_000)

  test('an answer published on hearing the first command reaches its sender', async () => {
    await using node = await startPeer({ verdict: () => 'accept' })
    for (let round = 0; round < 20; round++) {
      await using sender = await startPeer({ listen: [], topics: ['acks'] })
      await sender.host.libp2p.dial(multiaddr(node.address))
      await sender.bus.publish('commands', bytesOf(`command ${round}`), { signal: within() })
      await until('the command is heard', () => node.heard.some(({ bytes }) => textOf(bytes) === `command ${round}`))
      expect(await node.bus.publish('acks', bytesOf(`ack ${round}`), { signal: within() })).toContain(sender.host.id)
      await until('the ack is heard', () => sender.heard.length > 0)
      expect(sender.heard.map(({ bytes }) => textOf(bytes))).toEqual([`ack ${round}`])
    }
  }, 30_000)

  test('waits for a subscriber, and says so when none comes', async () => {
    await using lonely = await startPeer()
    const tried = lonely.bus.publish('commands', bytesOf('hello?'), { signal: within(200) })
    await expect(tried).rejects.toMatchObject({ name: 'NetworkError', code: 'no-peers', message: expect.stringContaining('"test-net"') })
    const late = lonely.bus.publish('commands', bytesOf('hello!'), { signal: within() })
    await using node = await startPeer()
    await node.host.libp2p.dial(multiaddr(lonely.address))
    expect(await late).toEqual([node.host.id])
    await until('it is heard', () => node.heard.length === 1)
    expect(node.heard[0]).toMatchObject({ from: lonely.host.id, via: lonely.host.id })
  })

  test('the same bytes go through again', async () => {
    await using node = await startPeer()
    await using sender = await startPeer({ listen: [], topics: [] })
    await sender.host.libp2p.dial(multiaddr(node.address))
    for (let i = 1; i <= 3; i++) {
      await sender.bus.publish('commands', bytesOf('same'), { signal: within() })
      await until(`copy ${i} is heard`, () => node.heard.length === i)
    }
  })

  test('more than travels is refused here', async () => {
    await using node = await startPeer()
    await using sender = await startPeer({ listen: [] })
    await sender.host.libp2p.dial(multiaddr(node.address))
    await sender.bus.publish('commands', new Uint8Array(MAX_ENVELOPE_BYTES), { signal: within() })
    await until('the largest is heard', () => node.heard.length === 1)
    const tried = sender.bus.publish('commands', new Uint8Array(MAX_ENVELOPE_BYTES + 1), { signal: within() })
    await expect(tried).rejects.toMatchObject({ code: 'size' })
  })

  test('many full envelopes at once all arrive', async () => {
    await using node = await startPeer()
    await using sender = await startPeer({ listen: [] })
    await sender.host.libp2p.dial(multiaddr(node.address))
    const all = Array.from({ length: 150 }, (_, i) => {
      const bytes = new Uint8Array(MAX_ENVELOPE_BYTES)
      bytes[0] = i
      return bytes
    })
    await Promise.all(all.map((bytes) => sender.bus.publish('commands', bytes, { signal: within(20_000) })))
    await until('all 150 are heard', () => node.heard.length >= 150, 20_000)
    expect(new Set(node.heard.map(({ bytes }) => bytes[0])).size).toBe(150)
  }, 40_000)

  test('what waits is rejected when the bus stops', async () => {
    await using lonely = await startPeer()
    const tried = lonely.bus.publish('commands', bytesOf('x'), { signal: within() })
    const checked = expect(tried).rejects.toMatchObject({ code: 'stopped' })
    await lonely.bus.stop()
    await checked
    await expect(lonely.bus.publish('commands', bytesOf('x'), { signal: within() })).rejects.toMatchObject({ code: 'stopped' })
  })
})

describe('topics', () => {
  test('networks do not hear each other', async () => {
    await using node = await startPeer({ network: 'one' })
    await using other = await startPeer({ network: 'two' })
    await other.host.libp2p.dial(multiaddr(node.address))
    await expect(other.bus.publish('commands', bytesOf('x'), { signal: within(500) })).rejects.toMatchObject({ code: 'no-peers' })
    expect(node.bus.subscribers('commands')).toEqual([])
  })

  test('subscribers are told of once, and again after they were gone', async () => {
    await using node = await startPeer()
    await using sender = await startPeer({ listen: [], topics: ['acks'] })
    const told: string[] = []
    const off = node.bus.onSubscribe((peer, topic) => {
      expect(node.bus.subscribers(topic)).toContain(peer)
      told.push(`${topic} ${peer === sender.host.id}`)
    })
    await sender.host.libp2p.dial(multiaddr(node.address))
    await until('the subscription is seen', () => told.length === 1)
    await sender.host.libp2p.hangUp(node.host.libp2p.peerId)
    await until('it is gone', () => node.bus.subscribers('acks').length === 0)
    await sender.host.libp2p.dial(multiaddr(node.address))
    await until('it is back', () => told.length === 2)
    expect(told).toEqual(['acks true', 'acks true'])
    off()
  })

  test('a bus that starts after its links came up is heard', async () => {
    await using node = await startPeer()
    await using late = await startPeer()
    await late.bus.stop()
    await late.host.libp2p.dial(multiaddr(node.address))
    await late.bus.start()
    await node.bus.publish('commands', bytesOf('x'), { signal: within() })
    await until('it is heard', () => late.heard.length === 1)
    await late.bus.publish('commands', bytesOf('y'), { signal: within() })
    await until('it is heard', () => node.heard.length === 1)
  })

  test('two hosts that dial each other at once settle and hear each other', async () => {
    for (let round = 0; round < 10; round++) {
      await using a = await startPeer()
      await using b = await startPeer()
      await Promise.allSettled([a.host.libp2p.dial(multiaddr(b.address)), b.host.libp2p.dial(multiaddr(a.address))])
      await a.bus.publish('commands', bytesOf('from a'), { signal: within() })
      await b.bus.publish('commands', bytesOf('from b'), { signal: within() })
      await until('both are heard', () => a.heard.length === 1 && b.heard.length === 1)
      // One of two connections going away must not take gossip with it.
      const [first, second] = a.host.libp2p.getConnections(b.host.libp2p.peerId)
      if (second !== undefined) {
        await first?.close()
        await a.bus.publish('commands', bytesOf('a again'), { signal: within() })
        await b.bus.publish('commands', bytesOf('b again'), { signal: within() })
        await until('both are heard again', () => a.heard.length === 2 && b.heard.length === 2)
      }
    }
  }, 30_000)
})

describe('frames', () => {
  test('a copy of a message is known by its signature, and is not verified again', async () => {
    await using node = await startPeer()
    await using raw = await startRawPeer(node.address)
    const message = await raw.message(bytesOf('once'))
    await raw.send([message])
    await until('it is heard', () => node.heard.length === 1)
    // Were they looked at, their signature would be found wrong, and the peer would lose its score.
    await raw.send(Array.from({ length: 5 * GREYLIST_AFTER_REJECTS }, () => ({ ...message, data: bytesOf('changed') })))
    await raw.send([await raw.message(bytesOf('then'))])
    await until('what follows is heard', () => node.heard.length === 2)
    expect(node.heard.map(({ bytes }) => textOf(bytes))).toEqual(['once', 'then'])
  })

  test('what is kept of a message is the message, not the frame around it', async () => {
    await using node = await startPeer()
    await using raw = await startRawPeer(node.address)
    const filler = { topic: 'elsewhere', data: new Uint8Array(1_900_000) }
    const frames = 50
    for (let i = 1; i <= frames; i++) {
      await raw.send([await raw.message(bytesOf(`${i}`)), filler])
      await until(`frame ${i} is read`, () => node.heard.length === i)
    }
    // What is collected is given back a moment later; what is kept is kept for six seconds.
    await expect.poll(heldBytes, { timeout: 2_000 }).toBeLessThan((frames * filler.data.byteLength) / 2)
  })
})

describe('verdicts', () => {
  test('accepted messages are relayed, ignored and rejected ones are not', async () => {
    await using middle = await startPeer({
      verdict: ({ bytes }) => (textOf(bytes) === 'good' ? 'accept' : textOf(bytes) === 'bad' ? 'reject' : 'ignore')
    })
    await using sender = await startPeer({ listen: [] })
    await using end = await startPeer({ listen: [] })
    await end.host.libp2p.dial(multiaddr(middle.address))
    await sender.host.libp2p.dial(multiaddr(middle.address))
    await until('all are subscribed', () => middle.bus.subscribers('commands').length === 2)
    for (const text of ['bad', 'meh', 'good']) await sender.bus.publish('commands', bytesOf(text), { signal: within() })
    await until('the good one is heard', () => end.heard.length > 0)
    expect(middle.heard).toHaveLength(3)
    expect(end.heard.map(({ bytes, from, via }) => [textOf(bytes), from, via])).toEqual([['good', sender.host.id, middle.host.id]])
  })

  test('a throw is an ignore, and 500 of them cost nothing', async () => {
    await using node = await startPeer({
      verdict: ({ bytes }) => {
        if (textOf(bytes) === 'last') return 'accept'
        throw new Error('broken')
      }
    })
    await using sender = await startPeer({ listen: [] })
    await sender.host.libp2p.dial(multiaddr(node.address))
    for (let i = 0; i < 500; i++) await sender.bus.publish('commands', bytesOf(`${i}`), { signal: within() })
    await until('all are heard', () => node.heard.length === 500)
    await sender.bus.publish('commands', bytesOf('last'), { signal: within() })
    await until('the last is heard', () => node.heard.length === 501)
    expect(await node.bus.publish('commands', bytesOf('back'), { signal: within() })).toEqual([sender.host.id])
  }, 20_000)

  test('rejected messages end in silence, but tens of them do not', async () => {
    await using node = await startPeer({ verdict: () => 'reject' })
    await using sender = await startPeer({ listen: [] })
    await sender.host.libp2p.dial(multiaddr(node.address))
    const send = (i: number): Promise<unknown> => sender.bus.publish('commands', bytesOf(`${i}`), { signal: within() })
    for (let i = 0; i < GREYLIST_AFTER_REJECTS; i++) {
      await send(i)
      await until(`message ${i} is read`, () => node.heard.length === i + 1)
    }
    let sent = GREYLIST_AFTER_REJECTS
    await until('the sender is not read any more', () => {
      // What is still on its way at the end is cut off with the bus.
      void send(sent++).catch(() => undefined)
      return sent - node.heard.length > 20
    })
    expect(node.heard.length).toBeGreaterThanOrEqual(GREYLIST_AFTER_REJECTS)
  }, 20_000)
})
