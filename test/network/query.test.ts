import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createQueryServer, query, QUERY_PROTOCOL, type QueryHandler, type QueryServerOptions } from '../../src/network/query.ts'
import type { StreamServer } from '../../src/network/streams.ts'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_PAGES, STRANGER_QUERY_MS } from '../../src/protocol/limits.ts'
import { encodeQueryPage, encodeQueryRequest, type QueryPage, type StatusRow } from '../../src/protocol/query.ts'
import { bytesOf, createTestClock, NETWORK, startPeer, until, within, type Peer } from './helpers.ts'

const cid = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
const row = (at: number): StatusRow => ({ cid, pinset: 'default', status: 'pinned', bytes: 5, at })
const pageOf = (at: number, rows: number): QueryPage => ({ page: 'status', rows: Array.from({ length: rows }, () => row(at)) })
const ask = { want: 'status', network: NETWORK } as const

async function serve(
  node: Peer,
  handler: QueryHandler,
  options: Partial<QueryServerOptions> = {},
  isKnown: (peer: string) => boolean = () => true
): Promise<StreamServer & AsyncDisposable> {
  const server = createQueryServer({ network: NETWORK, ...options }, { host: node.host, handler, clock: systemClock, isKnown })
  await server.start()
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() })
}

async function collect(pages: AsyncIterable<QueryPage>): Promise<QueryPage[]> {
  const all: QueryPage[] = []
  for await (const page of pages) all.push(page)
  return all
}

const frame = (bytes: Uint8Array): Uint8Array => {
  const all = new Uint8Array(4 + bytes.byteLength)
  new DataView(all.buffer).setUint32(0, bytes.byteLength)
  all.set(bytes, 4)
  return all
}

/** A stream of the query protocol that says whatever the test wants. */
async function rawStream(from: Peer, to: Peer): Promise<Stream> {
  return from.host.libp2p.dialProtocol(multiaddr(to.address), QUERY_PROTOCOL)
}

describe('an honest question', () => {
  test('is answered page by page, by address and by peer id', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const asked: unknown[] = []
    await using _server = await serve(node, function* (request, from) {
      asked.push([request, from === peer.host.id])
      for (let i = 0; i < 40; i++) yield pageOf(i, 3_000)
    })
    await expect(collect(query(peer.host, node.host.id, ask, { signal: within() }))).rejects.toMatchObject({ code: 'unreachable' })
    const pages = await collect(query(peer.host, node.address, { ...ask, pinset: 'site' }, { signal: within(20_000) }))
    expect(pages).toHaveLength(40)
    expect(pages[39]).toEqual(pageOf(39, 3_000))
    expect(await collect(query(peer.host, node.host.id, ask, { signal: within(20_000) }))).toHaveLength(40)
    expect(asked).toEqual([
      [{ ...ask, pinset: 'site' }, true],
      [ask, true]
    ])
  }, 30_000)

  test('may have no answer at all, and that is a whole one', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await using _server = await serve(node, () => [])
    expect(await collect(query(peer.host, node.address, ask, { signal: within() }))).toEqual([])
  })

  test('has at most so many pages, but for the empty ones by which a check says that it goes on', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    let rows = 0
    await using _server = await serve(node, function* () {
      for (let i = 0; i <= MAX_PAGES; i++) yield pageOf(i, rows)
    })
    const check = { ...ask, check: true } as const
    expect(await collect(query(peer.host, node.address, check, { signal: within() }))).toHaveLength(MAX_PAGES + 1)
    await expect(collect(query(peer.host, node.address, ask, { signal: within() }))).rejects.toMatchObject({ code: 'size' })
    rows = 1
    await expect(collect(query(peer.host, node.address, check, { signal: within() }))).rejects.toMatchObject({ code: 'size' })
  })

  test('of another network is declined by its name, before the handler', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    let calls = 0
    await using _server = await serve(node, () => {
      calls++
      return []
    })
    const tried = collect(query(peer.host, node.address, { ...ask, network: 'other' }, { signal: within() }))
    await expect(tried).rejects.toMatchObject({ code: 'declined', message: expect.stringContaining(`"${NETWORK}"`) })
    expect(calls).toBe(0)
  })

  test('to a host that is no node says so', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await expect(collect(query(peer.host, node.address, ask, { signal: within() }))).rejects.toMatchObject({ code: 'protocol' })
  })

  test('ends with its signal, and with the loop', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    let ended = 0
    await using server = await serve(node, async function* () {
      try {
        for (let i = 0; ; i++) yield pageOf(i, 1_000)
      } finally {
        ended++
      }
    })
    const stop = new AbortController()
    const reason = new Error('enough')
    const tried = (async () => {
      for await (const _page of query(peer.host, node.address, ask, { signal: stop.signal })) stop.abort(reason)
    })()
    await expect(tried).rejects.toBe(reason)
    for await (const _page of query(peer.host, node.address, ask, { signal: within() })) break
    await until('the server let go of both', () => ended === 2 && server.aborted === 2)
  })
})

describe('a broken answer', () => {
  /** A peer that answers each question with these bytes and then closes. */
  async function answering(node: Peer, bytes: readonly Uint8Array[], ending: 'close' | 'abort' | 'nothing' = 'close'): Promise<void> {
    await node.host.libp2p.handle(QUERY_PROTOCOL, async (stream) => {
      await new Promise<void>((resolve) => stream.addEventListener('message', () => resolve(), { once: true }))
      for (const part of bytes) stream.send(part)
      if (ending === 'close') await stream.close()
      if (ending === 'abort') stream.abort(new Error('on purpose'))
    })
  }
  const page = frame(encodeQueryPage(pageOf(1, 2)))

  test.each([
    ['cut after a page', [page], 'close', { code: 'cut' }],
    ['cut within a page', [page.subarray(0, 20)], 'close', { code: 'cut' }],
    ['cut within a length', [page, page.subarray(0, 2)], 'close', { code: 'cut' }],
    ['reset', [page], 'abort', { code: 'cut' }],
    ['garbage', [frame(bytesOf('garbage'))], 'close', { name: 'InvalidMessageError', code: 'encoding' }],
    ['too long', [new Uint8Array([0x7f, 0xff, 0xff, 0xff])], 'nothing', { name: 'InvalidMessageError', code: 'size' }]
  ] as const)('%s is no whole one', async (_name, bytes, ending, error) => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await answering(node, bytes, ending)
    await expect(collect(query(peer.host, node.address, ask, { signal: within() }))).rejects.toMatchObject(error)
  })

  test('a whole one with its end mark is one', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await answering(node, [page, frame(new Uint8Array(0))])
    expect(await collect(query(peer.host, node.address, ask, { signal: within() }))).toEqual([pageOf(1, 2)])
  })
})

describe('a hostile asker', () => {
  test('with garbage, too much or nothing to say is dropped and counted', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await using server = await serve(node, () => [], { idleMs: 200 })
    const sent = [frame(bytesOf('garbage')), new Uint8Array([0, 0x7f, 0xff, 0xff]), frame(new Uint8Array(0)), new Uint8Array([0])]
    for (const [i, bytes] of sent.entries()) {
      const stream = await rawStream(peer, node)
      stream.send(bytes)
      await until(`stream ${i} is dropped`, () => server.aborted === i + 1)
      await until('and closed', () => stream.status !== 'open')
    }
    expect(await collect(query(peer.host, node.address, ask, { signal: within() }))).toEqual([])
  })

  test('that does not read costs a few pages and is dropped', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    let made = 0
    await using server = await serve(
      node,
      function* () {
        for (; made < 10_000; made++) yield pageOf(made, 5_000)
      },
      { idleMs: 500 }
    )
    const stream = await rawStream(peer, node)
    stream.pause()
    stream.send(frame(encodeQueryRequest(ask)))
    await until('it is dropped', () => server.aborted === 1)
    expect(made).toBeLessThan(40)
  })

  test('gets no more streams than its share, and strangers together no more than theirs', async () => {
    await using node = await startPeer()
    await using a = await startPeer({ listen: [] })
    await using b = await startPeer({ listen: [] })
    await using friend = await startPeer({ listen: [] })
    const { promise: held, resolve: release } = Promise.withResolvers<void>()
    let running = 0
    await using server = await serve(
      node,
      async function* () {
        running++
        await held
        yield pageOf(1, 1)
      },
      { maxStreamsPerPeer: 3, maxStrangerStreams: 4 },
      (peer) => peer === friend.host.id
    )
    const asking = (peer: Peer, times: number): Promise<PromiseSettledResult<QueryPage[]>[]> =>
      Promise.allSettled(Array.from({ length: times }, () => collect(query(peer.host, node.address, ask, { signal: within(10_000) }))))
    const fromA = asking(a, 5)
    await until('a has its share', () => running === 3 && server.aborted === 2)
    const fromB = asking(b, 3)
    await until('strangers have theirs', () => running === 4 && server.aborted === 4)
    const fromFriend = asking(friend, 2)
    await until('who is known is served', () => running === 6)
    release()
    const count = async (all: Promise<PromiseSettledResult<QueryPage[]>[]>): Promise<number> =>
      (await all).filter(({ status }) => status === 'fulfilled').length
    expect([await count(fromA), await count(fromB), await count(fromFriend)]).toEqual([3, 1, 2])
  }, 20_000)

  test('that takes its time makes room for another stranger, and not at once', async () => {
    await using node = await startPeer()
    await using slow = await startPeer({ listen: [] })
    await using other = await startPeer({ listen: [] })
    const clock = createTestClock()
    const handler: QueryHandler = async function* (_, from) {
      if (from === slow.host.id) await new Promise(() => {})
      yield pageOf(1, 1)
    }
    const options = { network: NETWORK, maxStreamsPerPeer: 2, maxStrangerStreams: 2 }
    const server = createQueryServer(options, { host: node.host, handler, clock })
    await server.start()
    const asked = (): Promise<QueryPage[]> => collect(query(other.host, node.address, ask, { signal: within() }))
    const slowly = [1, 2].map(() => collect(query(slow.host, node.address, ask, { signal: within() })).catch((err: unknown) => err))
    await expect.poll(async () => asked().catch((err: { code: string }) => err.code)).toBe('cut')
    clock.advance(STRANGER_QUERY_MS)
    expect(await asked()).toHaveLength(1)
    // One of the two made room, and that is enough.
    expect(await Promise.race(slowly)).toMatchObject({ code: 'cut' })
    expect(await asked()).toHaveLength(1)
    await server.stop()
    await Promise.all(slowly)
  })

  test('makes a handler that throws harmless', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await using server = await serve(node, () => {
      throw new InvalidMessageError('shape', 'on purpose')
    })
    await expect(collect(query(peer.host, node.address, ask, { signal: within() }))).rejects.toMatchObject({ code: 'cut' })
    expect(server.aborted).toBe(1)
  })
})
