import { createServer, type AddressInfo, type Socket } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { expect, onTestFinished, test, vi } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createLinks } from '../../src/network/links.ts'
import { createPresenceTable } from '../../src/network/presence-table.ts'
import { createRedialer, type LinkTarget } from '../../src/network/redialer.ts'
import { MAX_ADDRESSES } from '../../src/protocol/limits.ts'
import { author } from '../support/author.ts'
import { NETWORK, startPeer, until, type Peer } from './helpers.ts'
import { presenceOf } from './presences.ts'

/** Dials at once of those who were only heard of. */
const PLACES = 8
const SLOW = { dial: 60_000, redialFirst: 50, redialMost: 100 }

/** Takes connections on every address of 127/8 and says nothing on them, until they are let go of. */
async function startHole(): Promise<{ readonly port: number; readonly sockets: Set<Socket> }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '0.0.0.0', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as AddressInfo).port, sockets }
}

function startRedialer(peer: Peer): ReturnType<typeof createRedialer> {
  const redialer = createRedialer({ timing: SLOW, isSilent: () => false, isKnown: () => false }, { host: peer.host, clock: systemClock })
  redialer.start()
  onTestFinished(() => redialer.stop())
  return redialer
}

/** Somebody who was only heard of, at addresses of this machine that are nobody else's. */
async function heardOf(number: number, addresses: number, port: number): Promise<[key: string, target: LinkTarget]> {
  const peer = (await generateKeyPair('Ed25519')).publicKey.toString()
  const texts = Array.from({ length: addresses }, (_, i) => `/ip4/127.9.${number}.${i + 1}/tcp/${port}/p2p/${peer}`)
  return [peer, { peer, addresses: texts, held: false }]
}

/** The addresses of all dials, in order. */
function dialsOf(peer: Peer): () => string[] {
  const dial = vi.spyOn(peer.host.libp2p, 'dial')
  return () => dial.mock.calls.map(([target]) => /ip4.([^/]+)/.exec(String(target))?.[1] ?? '')
}

test('a bootstrap that comes up is dialled while the addresses of strangers hang, whatever they announce', async () => {
  const hole = await startHole()
  await using late = await startPeer()
  await using peer = await startPeer({ listen: [] })
  const presence = createPresenceTable({ network: NETWORK, self: peer.host.id }, { clock: systemClock })
  const links = createLinks({ bootstrap: [], timing: SLOW }, { host: peer.host, bus: peer.bus, clock: systemClock, presence })
  await links.start()
  onTestFinished(() => links.stop())
  for (let i = 0; i < 40; i++) {
    const addresses = Array.from({ length: MAX_ADDRESSES }, (_, j) => `/ip4/127.8.${i}.${j + 1}/tcp/${hole.port}`)
    presence.offer(await presenceOf(author(`sybil ${i}`), { addresses }))
  }
  await until('their places are taken', () => hole.sockets.size >= PLACES)
  links.hold(late.address)
  await until('the bootstrap is linked', () => links.peers().includes(late.host.id))
})

test('who is no target any more is not dialled, also where he waited for his turn', async () => {
  const hole = await startHole()
  await using peer = await startPeer({ listen: [] })
  const dials = dialsOf(peer)
  const redialer = startRedialer(peer)
  const heard = await Promise.all(Array.from({ length: 3 * PLACES }, (_, i) => heardOf(i, 2, hole.port)))
  for (const target of heard) redialer.add(...target)
  await until('all places are taken', () => hole.sockets.size === PLACES)
  for (const [key] of heard) redialer.remove(key)
  const [key, late] = await heardOf(99, 1, hole.port)
  redialer.add(key, late)
  for (const socket of hole.sockets) socket.destroy()
  await until('the one that is left has his turn', () => dials().includes('127.9.99.1'))
  expect(dials()).toHaveLength(PLACES + 1)
})

test('each of those that wait has one address tried before anybody has a second one tried', async () => {
  const hole = await startHole()
  await using peer = await startPeer({ listen: [] })
  const dials = dialsOf(peer)
  const redialer = startRedialer(peer)
  const heard = await Promise.all(Array.from({ length: PLACES + 4 }, (_, i) => heardOf(i, 2, hole.port)))
  for (const target of heard) redialer.add(...target)
  await until('all places are taken', () => hole.sockets.size === PLACES)
  for (const socket of hole.sockets) socket.destroy()
  await until('others have their turn', () => dials().length > heard.length)
  expect(
    dials()
      .slice(0, heard.length)
      .every((ip) => ip.endsWith('.1'))
  ).toBe(true)
})

test('a node that was heard of is dialled until it answers', async () => {
  await using peer = await startPeer({ listen: [] })
  const presence = createPresenceTable({ network: NETWORK, self: peer.host.id }, { clock: systemClock })
  const links = createLinks({ bootstrap: [], timing: SLOW }, { host: peer.host, bus: peer.bus, clock: systemClock, presence })
  await links.start()
  onTestFinished(() => links.stop())
  const dials = dialsOf(peer)
  presence.offer(await presenceOf(author('down'), { addresses: ['/ip4/127.7.7.7/tcp/1'] }))
  await until('it is dialled again and again', () => dials().length >= 3)
})
