import { createServer } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { describe, expect, test, vi } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createHost } from '../../src/network/host.ts'
import { createLinks, type Links, type LinksOptions } from '../../src/network/links.ts'
import { createPresenceTable, type PresenceTable } from '../../src/network/presence-table.ts'
import { MAX_HEARSAY_DIALS } from '../../src/protocol/limits.ts'
import type { Signer } from '../../src/protocol/signature.ts'
import { author } from '../support/author.ts'
import { createTcpProxy } from '../support/tcp-proxy.ts'
import { bytesOf, LOOPBACK, startPeer, until, within, type Peer } from './helpers.ts'
import { presenceOf, signerOf } from './presences.ts'

const FAST = { dial: 1_000, redialFirst: 50, redialMost: 100, pingEvery: 50, pingDead: 300 }

async function startLinks(
  peer: Peer,
  options: Partial<LinksOptions> = {},
  presence?: PresenceTable,
  isKnown: (node: string) => boolean = () => false
): Promise<Links & AsyncDisposable> {
  const links = createLinks(
    { bootstrap: [], timing: FAST, ...options },
    { host: peer.host, bus: peer.bus, clock: systemClock, isKnown, ...(presence === undefined ? {} : { presence }) }
  )
  await links.start()
  return { ...links, [Symbol.asyncDispose]: () => links.stop() }
}

const portOf = (address: string): number => Number(/\/tcp\/(\d+)/.exec(address)?.[1])
const bare = (address: string): string => address.replace(/\/p2p\/.*/, '')

/** A port on which nobody listens: taken once and given back. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  await new Promise((resolve) => server.close(resolve))
  return typeof address === 'object' && address !== null ? address.port : 0
}

describe('holding', () => {
  test('a bootstrap that comes up later is reached, and again after it was gone', async () => {
    const port = await freePort()
    const key = await generateKeyPair('Ed25519')
    const listen = [`/ip4/127.0.0.1/tcp/${port}`]
    await using peer = await startPeer({ listen: [] })
    await using links = await startLinks(peer, { bootstrap: listen })
    await expect(links.connect(listen[0] as string, { signal: within() })).rejects.toMatchObject({ code: 'refused' })
    for (let round = 0; round < 2; round++) {
      await until('there is no link', () => links.peers().length === 0)
      await using node = await startPeer({ key, listen })
      await until('the link is up', () => links.peers().includes(node.host.id))
      await peer.bus.publish('commands', bytesOf(`round ${round}`), { signal: within() })
      await until('it is heard', () => node.heard.length === 1)
    }
  })

  test('a link that falls silent is noticed and dialled again', async () => {
    await using node = await startPeer()
    // Else the old link, of whose end nobody told it, is the one that it goes on with.
    await using _links = await startLinks(node)
    const proxy = await createTcpProxy(portOf(node.address))
    try {
      await using peer = await startPeer({ listen: [] })
      await using links = await startLinks(peer, { bootstrap: [`/ip4/127.0.0.1/tcp/${proxy.port}`] })
      await until('the link is up', () => links.peers().length === 1)
      proxy.freeze()
      await until('the silence is noticed', () => links.peers().length === 0)
      expect(peer.host.libp2p.getConnections()).toEqual([])
      proxy.thaw()
      await until('the link is up again', () => links.peers().length === 1)
      expect(proxy.accepted).toBeGreaterThan(1)
      await peer.bus.publish('commands', bytesOf('after'), { signal: within() })
      await until('it is heard', () => node.heard.length === 1)
    } finally {
      await proxy.close()
    }
  })

  test('the side that was dialled notices the silence too', async () => {
    await using node = await startPeer()
    await using _links = await startLinks(node)
    const proxy = await createTcpProxy(portOf(node.address))
    try {
      await using peer = await startPeer({ listen: [] })
      await using links = await startLinks(peer, { timing: { ...FAST, pingEvery: 60_000 } })
      await links.connect(`/ip4/127.0.0.1/tcp/${proxy.port}`, { signal: within() })
      await until('it is subscribed', () => node.bus.subscribers('commands').length === 1)
      proxy.freeze()
      await until('the silence is noticed', () => node.host.libp2p.getConnections().length === 0)
    } finally {
      await proxy.close()
    }
  })

  test('a gossip stream that dies on a live connection is mended by a new link', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await using links = await startLinks(peer, { bootstrap: [node.address] })
    await until('the link is up', () => links.peers().length === 1)
    const [connection] = peer.host.libp2p.getConnections()
    const stream = connection?.streams.find(({ protocol, direction }) => protocol.startsWith('/meshsub/') && direction === 'outbound')
    expect(stream).toBeDefined()
    stream?.abort(new Error('broken on purpose'))
    await until('the old connection is gone', () => connection?.status !== 'open')
    await until('the link is up again', () => links.peers().length === 1)
    await peer.bus.publish('commands', bytesOf('after'), { signal: within() })
    await until('it is heard', () => node.heard.length === 1)
    await node.bus.publish('commands', bytesOf('back'), { signal: within() })
    await until('and the other way', () => peer.heard.length === 1)
  })

  test('two nodes with each other as bootstrap settle', async () => {
    const keys = [await generateKeyPair('Ed25519'), await generateKeyPair('Ed25519')] as const
    const listen = [[`/ip4/127.0.0.1/tcp/${await freePort()}`], [`/ip4/127.0.0.1/tcp/${await freePort()}`]] as const
    await using a = await startPeer({ key: keys[0], listen: listen[0] })
    await using b = await startPeer({ key: keys[1], listen: listen[1] })
    await using la = await startLinks(a, { bootstrap: listen[1] })
    await using lb = await startLinks(b, { bootstrap: listen[0] })
    await until('both are linked', () => la.peers().length === 1 && lb.peers().length === 1)
    const connections = (): string =>
      a.host.libp2p
        .getConnections()
        .map(({ id }) => id)
        .join()
    const before = connections()
    for (let i = 1; i <= 20; i++) {
      await a.bus.publish('commands', bytesOf(`${i}`), { signal: within() })
      await until(`message ${i} is heard`, () => b.heard.length === i)
    }
    expect(connections()).toBe(before)
  })

  test('its own address among the bootstrap addresses does no harm', async () => {
    const listen = [`/ip4/127.0.0.1/tcp/${await freePort()}`]
    await using other = await startPeer()
    await using peer = await startPeer({ listen })
    await using links = await startLinks(peer, { bootstrap: [...listen, peer.address, other.address] })
    await until('the other is linked', () => links.peers().includes(other.host.id))
    expect(links.peers()).not.toContain(peer.host.id)
    await expect(links.connect(listen[0] as string, { signal: within() })).rejects.toMatchObject({ code: 'address' })
  })
})

describe('from presence', () => {
  test('nodes that presence tells of are linked, as themselves only, and no more than the cap', async () => {
    await using peer = await startPeer({ listen: [] })
    const nodes = await Promise.all(
      [1, 2, 3].map(async () => {
        const key = await generateKeyPair('Ed25519')
        return { key, peer: await startPeer({ key }) }
      })
    )
    try {
      const table = createPresenceTable({ network: 'test-net' }, { clock: systemClock })
      await using links = await startLinks(peer, { maxLinks: 2 }, table)
      const [first, second, third] = nodes
      if (first === undefined || second === undefined || third === undefined) throw new Error('three')
      const liar = signerOf(await generateKeyPair('Ed25519'))
      table.offer(await presenceOf(liar, { addresses: [bare(first.peer.address)] }))
      table.offer(await presenceOf(signerOf(second.key), { addresses: [bare(second.peer.address)] }))
      await until('the honest one is linked', () => links.peers().includes(second.peer.host.id))
      expect(links.peers()).not.toContain(first.peer.host.id)
      table.offer(
        await presenceOf(signerOf(first.key), { addresses: ['/ip4/127.0.0.1/tcp/1', '/dns4/example.org/tcp/1', bare(first.peer.address)] })
      )
      table.offer(await presenceOf(signerOf(third.key), { addresses: [bare(third.peer.address)] }))
      await until('as many as may be are held', () => links.peers().length >= 1)
      await new Promise((resolve) => setTimeout(resolve, 500))
      expect(links.peers().length).toBeLessThanOrEqual(2)
      expect(links.peers()).toContain(second.peer.host.id)
    } finally {
      for (const node of nodes) await node.peer[Symbol.asyncDispose]()
    }
  })

  test('known nodes have their links, however many others were heard of and linked before', async () => {
    await using peer = await startPeer({ listen: [] })
    const keys = await Promise.all([1, 2].map(() => generateKeyPair('Ed25519')))
    const [stranger, known] = keys.map(signerOf) as [Signer, Signer]
    await using linked = await startPeer({ key: keys[0] as PrivateKey })
    await using late = await startPeer({ key: keys[1] as PrivateKey })
    const table = createPresenceTable({ network: 'test-net' }, { clock: systemClock })
    await using links = await startLinks(peer, { maxLinks: 2 }, table, (node) => node === late.host.id)
    table.offer(await presenceOf(stranger, { addresses: [bare(linked.address)] }))
    await until('the stranger is linked', () => links.peers().includes(linked.host.id))
    for (let i = 0; i < 20; i++) table.offer(await presenceOf(author(`sybil ${i}`), { addresses: ['/ip4/127.0.0.1/tcp/1'] }))
    table.offer(await presenceOf(known, { addresses: [bare(late.address)] }))
    await until('the known one is linked', () => links.peers().includes(late.host.id))
  })

  test('a known node is dialled where sybils that name its machine left no dials to it', async () => {
    await using peer = await startPeer({ listen: [] })
    const key = await generateKeyPair('Ed25519')
    await using late = await startPeer({ key })
    const table = createPresenceTable({ network: 'test-net' }, { clock: systemClock })
    await using links = await startLinks(peer, {}, table, (node) => node === late.host.id)
    const closed = await freePort()
    const addresses = Array.from({ length: 10 }, () => `/ip4/127.0.0.1/tcp/${closed}`)
    for (let i = 0; i < 20; i++) table.offer(await presenceOf(author(`sybil ${i}`), { addresses }))
    const dial = vi.spyOn(peer.host.libp2p, 'dial')
    await until('no more of them are dialled', () => dial.mock.calls.length >= MAX_HEARSAY_DIALS)
    table.offer(await presenceOf(signerOf(key), { addresses: [bare(late.address)] }))
    await until('the known one is linked', () => links.peers().includes(late.host.id))
  })
})

describe('errors', () => {
  test('name the address and the way out', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await using links = await startLinks(peer)
    const attempt = (address: string): Promise<unknown> => links.connect(address, { signal: within(20_000) }).catch((err: unknown) => err)

    expect(await links.connect(node.address, { signal: within() })).toMatchObject({ peer: node.host.id })
    await peer.host.libp2p.hangUp(node.host.libp2p.peerId)

    const closed = await freePort()
    expect(await attempt(`/ip4/127.0.0.1/tcp/${closed}`)).toMatchObject({
      code: 'refused',
      message: expect.stringContaining(`127.0.0.1:${closed} refused`)
    })

    const stranger = await generateKeyPair('Ed25519')
    const wrong = `${bare(node.address)}/p2p/${stranger.publicKey.toString()}`
    const peerId = await attempt(wrong)
    expect(peerId).toMatchObject({ code: 'peer-id', message: expect.stringContaining(stranger.publicKey.toString()) })
    expect(peerId).toMatchObject({ message: expect.stringContaining(node.host.id) })
    expect(links.peers()).toEqual([])

    for (const text of ['/dns4/example.org/tcp/4101', '/ip4/1.2.3.4/udp/1/quic-v1', 'nonsense']) {
      expect(await attempt(text)).toMatchObject({ code: 'address', message: expect.stringContaining(text) })
    }
  })

  test('a silent port is a timeout, a port of something else a protocol error', async () => {
    await using peer = await startPeer({ listen: [] })
    await using links = await startLinks(peer)
    const silent = createServer((socket) => socket.on('error', () => undefined))
    const http = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))
    const port = async (server: typeof silent): Promise<number> => {
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const address = server.address()
      return typeof address === 'object' && address !== null ? address.port : 0
    }
    try {
      const [a, b] = [await port(silent), await port(http)]
      const timeout = links.connect(`/ip4/127.0.0.1/tcp/${a}`, { signal: within(20_000) })
      await expect(timeout).rejects.toMatchObject({ code: 'timeout', message: `no answer from 127.0.0.1:${a} in 5 s: is TCP ${a} open?` })
      await expect(links.connect(`/ip4/127.0.0.1/tcp/${b}`, { signal: within() })).rejects.toMatchObject({ code: 'protocol' })
      const reason = new Error('enough')
      await expect(links.connect(`/ip4/127.0.0.1/tcp/${a}`, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    } finally {
      silent.close()
      http.close()
    }
  }, 20_000)

  test('a port in use is named, and the host leaves nothing open', async () => {
    await using node = await startPeer()
    const port = portOf(node.address)
    const second = await createHost({ privateKey: await generateKeyPair('Ed25519'), listen: [LOOPBACK, `/ip4/127.0.0.1/tcp/${port}`] })
    await expect(second.start()).rejects.toMatchObject({
      name: 'NetworkError',
      code: 'address-in-use',
      message: expect.stringContaining(`127.0.0.1:${port} is in use`)
    })
    expect(second.addresses()).toEqual([])
    const bad = createHost({ privateKey: await generateKeyPair('Ed25519'), listen: ['/ip4/0.0.0.0/udp/1'] })
    await expect(bad).rejects.toMatchObject({ code: 'address' })
    const foreign = await createHost({ privateKey: await generateKeyPair('Ed25519'), listen: ['/ip4/203.0.113.7/tcp/0'] })
    await expect(foreign.start()).rejects.toMatchObject({ code: 'address', message: expect.stringContaining('203.0.113.7') })
  })
})
