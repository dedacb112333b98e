import { generateKeyPair } from '@libp2p/crypto/keys'
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { createHost, type Host } from '../../src/network/host.ts'
import { LOOPBACK, until } from './helpers.ts'

const IDENTIFY = '/ipfs/id/1.0.0'
const MIB = 1024 * 1024

const startHost = async (listen: string[]): Promise<Host> => {
  const host = await createHost({ privateKey: await generateKeyPair('Ed25519'), listen })
  await host.start()
  onTestFinished(() => host.stop())
  return host
}

const isIdentify = ({ protocol }: Stream): boolean => protocol === IDENTIFY

/** Asks who the other side is, and ends nothing. */
async function ask(link: Connection): Promise<{ stream: Stream; answer: Uint8Array }> {
  // There is room for one question at a time.
  await until('libp2p has asked', () => link.streams.length === 0)
  const stream = await link.newStream(IDENTIFY)
  const chunks: Uint8Array[] = []
  stream.addEventListener('message', ({ data }) => void chunks.push(data.subarray()))
  await until('it is answered', () => stream.remoteWriteStatus === 'closed')
  expect(chunks).not.toEqual([])
  return { stream, answer: Buffer.concat(chunks) }
}

test('what a peer says behind a question of who we are is not kept', async () => {
  const [node, peer] = [await startHost([LOOPBACK]), await startHost([])]
  const { stream } = await ask(await peer.libp2p.dial(multiaddr(node.addresses()[0] as string)))
  stream.send(new Uint8Array(MIB))
  await until('it is sent', () => stream.writeBufferLength === 0)
  await peer.libp2p.services.ping.ping(node.libp2p.peerId)
  expect(node.libp2p.getConnections().flatMap(({ streams }) => streams.filter(isIdentify).map((s) => s.readBufferLength))).toEqual([0])
})

test('a peer that never ends saying who it is is not listened to', async () => {
  const [node, peer] = [await startHost([]), await startHost([LOOPBACK])]
  const address = multiaddr(peer.addresses()[0] as string)
  const { answer } = await ask(await (await startHost([])).libp2p.dial(address))
  let endless: Stream | undefined
  const babble = (stream: Stream): void => {
    endless = stream
    // The last of what is read, and more.
    for (let i = 0; i < 20; i++) stream.send(answer)
  }
  await peer.libp2p.handle(IDENTIFY, babble, { force: true })
  const link = await node.libp2p.dial(address)
  await until('the stream is ended', () => endless?.status === 'reset')
  expect(link.streams.filter(isIdentify).filter(({ direction }) => direction === 'outbound')).toEqual([])
  expect(link.status).toBe('open')
})
