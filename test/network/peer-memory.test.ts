import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { createHost } from '../../src/network/host.ts'
import { FORGET_PEERS_MS } from '../../src/protocol/limits.ts'
import { createTestClock, LOOPBACK, until } from './helpers.ts'

test('peers that went are forgotten, whenever something was learned of them; one that is there is not', async () => {
  const clock = createTestClock()
  await using stack = new AsyncDisposableStack()
  const start = async (listen: string[]) => {
    const host = stack.use(await createHost({ privateKey: await generateKeyPair('Ed25519'), listen }, { clock }))
    await host.start()
    return host
  }
  const node = await start([LOOPBACK])
  const learned = async (): Promise<string[]> => (await node.libp2p.peerStore.all()).map(({ id }) => id.toString())
  const join = async () => {
    const peer = await start([])
    await peer.libp2p.dial(multiaddr(node.addresses()[0] as string))
    await expect.poll(learned).toContain(peer.id)
    return peer
  }
  const stays = await join()
  for (let round = 0; round < 3; round++) {
    const goes = await join()
    await goes.stop()
    await until('it is gone', () => node.libp2p.getPeers().length === 1)
    // As where a peer goes in the middle of telling who it is.
    await node.libp2p.peerStore.merge(goes.libp2p.peerId, { protocols: ['/late/1'] })
    clock.advance(FORGET_PEERS_MS)
    await expect.poll(learned).not.toContain(goes.id)
    expect(await learned()).toContain(stays.id)
  }
})
