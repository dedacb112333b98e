/** The streams that we open for gossip: the peer has nothing to say in them. */
import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { freshHostKey } from '../../src/identity/host-key.ts'
import { createHost } from '../../src/network/host.ts'
import { startPeer, until } from './helpers.ts'

test('what a peer writes into the stream that it is sent gossip on is kept nowhere', async () => {
  await using node = await startPeer()
  await using peer = await createHost({ privateKey: await freshHostKey(), listen: [] })
  let theirs: Stream | undefined
  let heard = 0
  await peer.start()
  await peer.libp2p.handle('/meshsub/1.2.0', (stream) => {
    theirs = stream
    stream.addEventListener('message', ({ data }) => void (heard += data.byteLength))
  })
  const link = await peer.libp2p.dial(multiaddr(node.address))
  await until('it is told what the node listens to', () => heard > 0)
  for (let i = 0; i < 20; i++) theirs?.send(new Uint8Array(64_000))
  await until('all is sent', () => theirs?.writeBufferLength === 0)
  await peer.libp2p.services.ping.ping(node.host.libp2p.peerId)
  const streams = node.host.libp2p.getConnections(peer.libp2p.peerId).flatMap((connection) => connection.streams)
  expect(streams.map(({ protocol, readBufferLength }) => [protocol, readBufferLength])).toContainEqual(['/meshsub/1.2.0', 0])
  expect([link.status, theirs?.status]).toEqual(['open', 'open'])
})
