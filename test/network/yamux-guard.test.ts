/** Yamux frames written by hand, as a peer sends them to a host of ours. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, MessageStream, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { createHost, type Host } from '../../src/network/host.ts'
import { DATA, PING, RST, SYN, WINDOW_UPDATE } from '../../src/network/yamux-frames.ts'
import { MAX_FRAME_PIECES, MAX_LINK_NOISE, MAX_WINDOW_BYTES } from '../../src/protocol/limits.ts'
import { bytesOf, createTestClock, LOOPBACK, until } from './helpers.ts'

const FIN = 4

const frame = (type: number, flags: number, stream: number, length: number): Uint8Array => {
  const bytes = Buffer.alloc(12)
  bytes[1] = type
  bytes.writeUInt16BE(flags, 2)
  bytes.writeUInt32BE(stream, 4)
  bytes.writeUInt32BE(length, 8)
  return bytes
}

const repeat = (times: number, of: (i: number) => Uint8Array): Uint8Array => Buffer.concat(Array.from({ length: times }, (_, i) => of(i)))

const startHost = async (listen: string[]): Promise<Host> => {
  // Nothing runs out of any count.
  const host = await createHost({ privateKey: await generateKeyPair('Ed25519'), listen }, { clock: createTestClock() })
  await host.start()
  onTestFinished(() => host.stop())
  return host
}

/** A link of a peer to a node, what lies below its muxer, and whether the node answers. */
async function link(): Promise<{ connection: Connection; raw: MessageStream; node: Host; answers(): Promise<boolean> }> {
  const [node, peer] = [await startHost([LOOPBACK]), await startHost([])]
  const connection = await peer.libp2p.dial(multiaddr(node.addresses()[0] as string))
  const { muxer } = connection as unknown as { muxer: { maConn: MessageStream } }
  await until('both have said who they are', () => connection.streams.length === 0)
  return {
    connection,
    raw: muxer.maConn,
    node,
    answers: () =>
      peer.libp2p.services.ping.ping(node.libp2p.peerId).then(
        () => true,
        () => false
      )
  }
}

const ping = (i: number): Uint8Array => frame(PING, SYN, 0, i)

test('a peer that pings without end is hung up on, before it is answered; as many as anybody needs are', async () => {
  const { connection, raw, answers } = await link()
  // One was sent as the link came up.
  const reached = (connection as unknown as { muxer: { handlePingResponse(id: number): void } }).muxer
  let pongs = 0
  reached.handlePingResponse = () => pongs++
  raw.send(repeat(MAX_LINK_NOISE - 1, ping))
  await until('they are answered', () => pongs === MAX_LINK_NOISE - 1)
  expect(await answers()).toBe(true)
  raw.send(ping(0))
  await until('it is hung up on', () => connection.status !== 'open')
  expect(pongs).toBe(MAX_LINK_NOISE - 1)
})

/** Of the peer, above those that libp2p opened. */
const STREAM = 1_001

test.each<[what: string, stream: (id: number) => Uint8Array]>([
  ['opened and reset at once', (id) => repeat(2, (i) => frame(WINDOW_UPDATE, i === 0 ? SYN : RST, id, 0))],
  ['opened and closed without a word, which we reset', (id) => repeat(2, (i) => frame(WINDOW_UPDATE, i === 0 ? SYN : FIN, id, 0))]
])('streams without end that are %s: the peer is hung up on', async (_, stream) => {
  const { connection, raw, answers } = await link()
  raw.send(repeat(100, (i) => stream(STREAM + 2 * i)))
  expect(await answers()).toBe(true)
  raw.send(repeat(MAX_LINK_NOISE, (i) => stream(STREAM + 2 * (100 + i))))
  await until('it is hung up on', () => connection.status !== 'open')
})

test('streams that come to something are not counted, however many they are', async () => {
  const { connection, raw, node } = await link()
  let served = 0
  const serve = (stream: Stream): void => {
    served++
    void stream.close()
  }
  await node.libp2p.handle('/x', serve, { maxInboundStreams: 200 })
  const words = Buffer.concat(['/multistream/1.0.0', '/x'].map((text) => bytesOf(`${String.fromCharCode(text.length + 1)}${text}\n`)))
  for (let k = 0; k <= MAX_LINK_NOISE; k += 100) {
    const stream = (id: number): Uint8Array => Buffer.concat([frame(DATA, SYN, id, words.length), words, frame(WINDOW_UPDATE, FIN, id, 0)])
    raw.send(repeat(100, (i) => stream(STREAM + 2 * (k + i))))
    await until('they are served', () => served === k + 100)
  }
  expect(connection.status).toBe('open')
})

test('a frame above the largest window is refused by its header; one as large is not', async () => {
  const { connection, raw, answers } = await link()
  raw.send(Buffer.concat([frame(DATA, 0, STREAM, MAX_WINDOW_BYTES), new Uint8Array(MAX_WINDOW_BYTES)]))
  expect(await answers()).toBe(true)
  raw.send(frame(DATA, 0, STREAM, MAX_WINDOW_BYTES + 1))
  await until('it is hung up on', () => connection.status !== 'open')
})

test('a frame in very many pieces is refused; in few, wherever they are cut, it is not', async () => {
  const { connection, raw, answers } = await link()
  const send = (bytes: Uint8Array): void => bytes.forEach((_, i) => void raw.send(bytes.subarray(i, i + 1)))
  // None of these ends where a frame does.
  const small = Buffer.concat([frame(DATA, 0, STREAM, 7), new Uint8Array(7)])
  raw.send(small.subarray(0, 13))
  for (let i = 0; i <= MAX_FRAME_PIECES; i++) raw.send(Buffer.concat([small.subarray(13), small.subarray(0, 13)]))
  raw.send(small.subarray(13))
  send(Buffer.concat([frame(DATA, 0, STREAM, MAX_FRAME_PIECES - 1), new Uint8Array(MAX_FRAME_PIECES - 1)]))
  expect(await answers()).toBe(true)
  send(Buffer.concat([frame(DATA, 0, STREAM, 2 * MAX_FRAME_PIECES), new Uint8Array(MAX_FRAME_PIECES)]))
  await until('it is hung up on', () => connection.status !== 'open')
})
