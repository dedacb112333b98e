/** Yamux frames written by hand, as a peer sends them to a host of ours. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, MessageStream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { createHost, type Host } from '../../src/network/host.ts'
import { PING, SYN } from '../../src/network/yamux-frames.ts'
import { MAX_LINK_NOISE } from '../../src/protocol/limits.ts'
import { createTestClock, LOOPBACK, until } from './helpers.ts'

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
async function link(): Promise<{ connection: Connection; raw: MessageStream; answers(): Promise<boolean> }> {
  const [node, peer] = [await startHost([LOOPBACK]), await startHost([])]
  const connection = await peer.libp2p.dial(multiaddr(node.addresses()[0] as string))
  const { muxer } = connection as unknown as { muxer: { maConn: MessageStream } }
  await until('both have said who they are', () => connection.streams.length === 0)
  return {
    connection,
    raw: muxer.maConn,
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
