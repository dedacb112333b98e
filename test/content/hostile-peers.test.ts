/** Bitswap peers that cost as much as they can. */
import type { Connection, Libp2p, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as Digest from 'multiformats/hashes/digest'
import { expect, onTestFinished, test, vi } from 'vitest'
import { BITSWAP, type BlockSource } from '../../src/content/bitswap.ts'
import { createExchange } from '../../src/content/exchange.ts'
import { checkHash } from '../../src/content/multihash.ts'
import { MAX_BITSWAP_CID_BYTES, MAX_BLOCK_BYTES } from '../../src/protocol/limits.ts'
import { delimited } from '../fuzz/mutate-protobuf.ts'
import { until } from '../network/helpers.ts'
import { leaf } from '../support/dags.ts'
import { makeHost } from '../support/libp2p.ts'
import { makePinPeer } from '../support/pin-peer.ts'
import { createTcpProxy } from '../support/tcp-proxy.ts'

const NOTHING: BlockSource = { size: async () => undefined, read: async () => undefined }
const { signal } = new AbortController()

const field = (number: number, bytes: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of((number << 3) | 2), delimited(bytes)])
const want = (cid: Uint8Array): Uint8Array => field(1, field(1, field(1, cid)))
const word = (cid: Uint8Array): Uint8Array => field(4, field(1, cid))
const block = (prefix: readonly number[], bytes: Uint8Array): Uint8Array =>
  field(3, Buffer.concat([field(1, Uint8Array.from(prefix)), field(2, bytes)]))

const portOf = (libp2p: Libp2p): number => Number(libp2p.getMultiaddrs()[0]?.toString().split('/')[4])

/** An exchange on a host of its own, and a way for strangers to it. */
async function startVictim(blocks: BlockSource) {
  const libp2p = await makeHost()
  const exchange = createExchange({ libp2p, blocks })
  await exchange.start()
  onTestFinished(async () => {
    await exchange.stop()
    await libp2p.stop()
  })
  /** A stranger's connection; it takes bitswap streams as `onStream` says. */
  async function stranger(onStream: (stream: Stream) => void = () => undefined, port = portOf(libp2p)): Promise<Connection> {
    const host = await makeHost({ listen: false })
    onTestFinished(() => host.stop())
    await host.handle(BITSWAP, onStream)
    const link = await host.dial(multiaddr(`/ip4/127.0.0.1/tcp/${port}`))
    await expect.poll(async () => (await libp2p.peerStore.get(host.peerId)).protocols).toContain(BITSWAP)
    return link
  }
  return { exchange, libp2p, stranger }
}

test.each([
  ['a want', want],
  ['a word', word],
  ['the prefix of a block', (bytes: Uint8Array) => block([...bytes], new Uint8Array(0))]
])('%s with a CID longer than any ends the stream', async (_, message) => {
  const { stranger } = await startVictim(NOTHING)
  const link = await stranger()
  const stream = await link.newStream(BITSWAP)
  stream.send(delimited(message(new Uint8Array(MAX_BITSWAP_CID_BYTES))))
  await expect.poll(() => stream.writeBufferLength).toBe(0)
  expect(stream.status).toBe('open')
  stream.send(delimited(message(new Uint8Array(MAX_BITSWAP_CID_BYTES + 1))))
  await until('the stream ends', () => stream.status === 'reset')
})

test('a block that is its own name is not looked at', async () => {
  const { exchange, stranger } = await startVictim(NOTHING)
  const link = await stranger()
  const content = Uint8Array.of(1, 2, 3)
  const inline = CID.createV1(raw.code, Digest.create(0, content))
  const ordinary = await leaf('ordinary')
  let isTaken = false
  const gone = new AbortController()
  const taken = exchange.fetch(inline, gone.signal).then(() => (isTaken = true))
  taken.catch(() => undefined)
  const fetched = exchange.fetch(ordinary.cid, signal)
  const stream = await link.newStream(BITSWAP)
  stream.send(delimited(Buffer.concat([block([1, raw.code, 0, 3], content), block([1, raw.code, 0x12, 32], ordinary.bytes)])))
  expect(checkHash(ordinary.cid, await fetched)).toBe(true)
  expect(isTaken).toBe(false)
  gone.abort()
})

test('a peer that takes nothing holds up no want', async () => {
  const { exchange, libp2p, stranger } = await startVictim(NOTHING)
  const proxy = await createTcpProxy(portOf(libp2p))
  const honest = await makePinPeer()
  const blocks = await Promise.all(['one', 'two', 'three'].map(leaf))
  await honest.provide(blocks)
  onTestFinished(async () => {
    await honest.stop()
    await proxy.close()
  })
  await stranger(undefined, proxy.port)
  const [mute] = libp2p.getPeers()
  await libp2p.dial(multiaddr(honest.origin))
  proxy.freeze()
  const opened = vi.spyOn(libp2p, 'dialProtocol')
  for (const { cid } of blocks) await exchange.fetch(cid, signal)
  const toMute = opened.mock.settledResults.filter((_, call) => String(opened.mock.calls[call]?.[0]) === String(mute))
  expect(toMute.map(({ type }) => type)).toEqual(['incomplete'])
})

test('of what a peer wants and does not take a turn is read, and others get theirs', async () => {
  const blocks = new Map<string, Uint8Array>()
  const wants: Uint8Array[] = []
  const cids: CID[] = []
  for (let seed = 0; seed < 40; seed++) {
    const { cid, bytes } = await leaf(new Uint8Array(256 * 1024).fill(seed))
    blocks.set(String(cid), bytes)
    cids.push(cid)
    wants.push(field(1, field(1, cid.bytes)))
  }
  let reads = 0
  const { libp2p, stranger } = await startVictim({
    size: async (cid) => blocks.get(String(cid))?.byteLength,
    async read(cid) {
      reads++
      return blocks.get(String(cid))
    }
  })
  const link = await stranger((stream) => stream.pause())
  const stream = await link.newStream(BITSWAP)
  stream.send(delimited(field(1, Buffer.concat(wants))))
  await until('something is read', () => reads > 0)
  const honest = await startVictim(NOTHING)
  await honest.libp2p.dial(libp2p.getMultiaddrs())
  await Promise.all(cids.map((cid) => honest.exchange.fetch(cid, signal)))
  // The first fits the window of the stream, more or less.
  expect(reads - cids.length).toBeLessThanOrEqual(3)
})

test('a block of the largest size is served, and a larger one ends nothing', async () => {
  const largest = await leaf(new Uint8Array(MAX_BLOCK_BYTES))
  const beyond = await leaf(new Uint8Array(MAX_BLOCK_BYTES + 64 * 1024))
  const blocks = new Map([largest, beyond].map(({ cid, bytes }) => [String(cid), bytes]))
  const { libp2p } = await startVictim({
    size: async (cid) => blocks.get(String(cid))?.byteLength,
    read: async (cid) => blocks.get(String(cid))
  })
  const honest = await startVictim(NOTHING)
  await honest.libp2p.dial(libp2p.getMultiaddrs())
  await expect(honest.exchange.fetch(beyond.cid, AbortSignal.timeout(500))).rejects.toThrow()
  expect(checkHash(largest.cid, await honest.exchange.fetch(largest.cid, signal))).toBe(true)
})
