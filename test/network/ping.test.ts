import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { createHost, type Host } from '../../src/network/host.ts'
import { LOOPBACK, until } from './helpers.ts'

const MIB = 1024 * 1024
const PING = '/ipfs/ping/1.0.0'

const startHost = async (listen: string[]): Promise<Host> => {
  const host = await createHost({ privateKey: await generateKeyPair('Ed25519'), listen })
  await host.start()
  onTestFinished(() => host.stop())
  return host
}

/** A peer that is linked to a node. */
async function link(): Promise<Connection> {
  const node = await startHost([LOOPBACK])
  return (await startHost([])).libp2p.dial(multiaddr(node.addresses()[0] as string))
}

const pingOf = (i: number): Uint8Array => new Uint8Array(32).fill(i)

/** What has come back, for as long as it is asked. */
function echoes(stream: Stream): () => Buffer {
  const chunks: Uint8Array[] = []
  stream.addEventListener('message', ({ data }) => void chunks.push(data.subarray()))
  return () => Buffer.concat(chunks)
}

test('one stream is good for many pings, one after the other, and both sides close it', async () => {
  const connection = await link()
  const stream = await connection.newStream(PING)
  const back = echoes(stream)
  for (let i = 0; i < 20; i++) {
    stream.send(pingOf(i))
    await until('it comes back', () => back().length === 32 * (i + 1))
  }
  expect(back()).toEqual(Buffer.concat(Array.from({ length: 20 }, (_, i) => pingOf(i))))
  await stream.close()
  await until('it is closed', () => stream.status === 'closed')
})

test('a ping comes back also where its stream is closed right behind it', async () => {
  const connection = await link()
  const stream = await connection.newStream(PING)
  const back = echoes(stream)
  stream.send(pingOf(1))
  await stream.close()
  await until('it is closed', () => stream.status === 'closed')
  expect(back()).toEqual(Buffer.from(pingOf(1)))
})

test('who sends pings and reads no answers has the stream ended, and little is kept until then', async () => {
  const connection = await link()
  const stream = await connection.newStream(PING)
  // A peer that gives no more window than there is at the beginning.
  Object.assign(stream, { sendWindowUpdate: () => {} })
  let sent = 0
  for (; sent < 8 * MIB && stream.status === 'open'; sent += 1024) {
    if (!stream.send(new Uint8Array(1024))) await stream.onDrain().catch(() => {})
    await new Promise(setImmediate)
  }
  expect(stream.status).toBe('reset')
  // The window at the beginning, and what was on its way.
  expect(sent).toBeLessThan(MIB)
  expect(connection.status).toBe('open')
})
