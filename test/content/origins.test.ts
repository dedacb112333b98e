import { createServer, type AddressInfo } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { expect, onTestFinished, test } from 'vitest'
import { createOrigins } from '../../src/content/origins.ts'
import { MAX_HEARSAY_DIALS, MAX_ORIGINS } from '../../src/protocol/limits.ts'
import { createTestClock } from '../network/helpers.ts'
import { makeHost } from '../support/libp2p.ts'

test('origins that name a victim do not make a node a weapon, and one that answers is dialled however often it is named', async () => {
  let hits = 0
  const victim = createServer((socket) => {
    hits++
    socket.on('error', () => {}).destroy()
  })
  await new Promise<void>((resolve) => victim.listen(0, '127.0.0.2', resolve))
  const { port } = victim.address() as AddressInfo
  const [libp2p, honest] = [await makeHost({ listen: false }), await makeHost()]
  onTestFinished(async () => {
    victim.close()
    await Promise.all([libp2p.stop(), honest.stop()])
  })
  const origins = createOrigins({ libp2p, clock: createTestClock() })
  const { signal } = new AbortController()
  const named = await Promise.all(
    Array.from({ length: 2 * MAX_HEARSAY_DIALS }, async () => {
      const peer = (await generateKeyPair('Ed25519')).publicKey.toString()
      return `/ip4/127.0.0.2/tcp/${port}/p2p/${peer}`
    })
  )
  for (let i = 0; i < named.length; i += MAX_ORIGINS) await origins.dial(named.slice(i, i + MAX_ORIGINS), signal)
  expect(hits).toBe(MAX_HEARSAY_DIALS)

  const address = honest.getMultiaddrs().map(String)
  for (let i = 0; i < 2 * MAX_HEARSAY_DIALS; i++) await origins.dial(address, signal)
  await libp2p.hangUp(honest.peerId)
  await origins.dial(address, signal)
  expect(libp2p.getConnections(honest.peerId)).toHaveLength(1)
})
