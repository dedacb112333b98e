import { connect, type Socket } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import type { Connection } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { createGate } from '../../src/network/gate.ts'
import { createHost, type Host } from '../../src/network/host.ts'
import {
  KEEP_OUT_MS,
  MAX_ADDRESS_CONNECTIONS,
  MAX_ADDRESS_DIALS,
  MAX_ADDRESS_HANDSHAKES,
  MAX_PEER_CONNECTIONS,
  MAX_STRANGER_CONNECTIONS
} from '../../src/protocol/limits.ts'
import { createTestClock, LOOPBACK, until } from './helpers.ts'

const startHost = async (
  stack: AsyncDisposableStack,
  listen: string[] = [],
  ports: Parameters<typeof createHost>[1] = {}
): Promise<Host> => {
  const host = stack.use(await createHost({ privateKey: await generateKeyPair('Ed25519'), listen }, ports))
  await host.start()
  return host
}

/** Dials anew whether there is a link or not; rejects where it is not let in. */
const dial = async (from: Host, to: Host): Promise<Connection> => {
  const connection = await from.libp2p.dial(multiaddr(to.addresses()[0] as string), { force: true, signal: AbortSignal.timeout(5_000) })
  // Whoever is turned away learns it after the handshake.
  await connection.newStream('/ipfs/ping/1.0.0', { signal: AbortSignal.timeout(5_000) })
  return connection
}

const openOn = (host: Host): number => host.libp2p.getConnections().filter(({ status }) => status === 'open').length

test('one peer has few connections, and others have theirs', async () => {
  await using stack = new AsyncDisposableStack()
  const node = await startHost(stack, [LOOPBACK])
  const [greedy, other] = [await startHost(stack), await startHost(stack)]
  for (let i = 0; i < MAX_PEER_CONNECTIONS; i++) await dial(greedy, node)
  await expect(dial(greedy, node)).rejects.toThrow()
  await dial(other, node)
  expect(openOn(node)).toBe(MAX_PEER_CONNECTIONS + 1)
  // A place that is given up is free.
  await greedy.libp2p.hangUp(node.libp2p.peerId)
  await until('the places are free', () => openOn(node) === 1)
  await dial(greedy, node)
})

test('who is shunned is hung up on and not let in again, either way, until its time is over', async () => {
  await using stack = new AsyncDisposableStack()
  const clock = createTestClock()
  const node = await startHost(stack, [LOOPBACK], { clock })
  const peer = await startHost(stack, [LOOPBACK])
  const neighbour = await startHost(stack)
  await dial(peer, node)
  await dial(neighbour, node)
  node.shun(peer.id)
  await until('it is hung up on', () => openOn(peer) === 0)
  await expect(dial(peer, node)).rejects.toThrow()
  await expect(dial(node, peer)).rejects.toThrow()
  expect(openOn(neighbour)).toBe(1)
  clock.advance(KEEP_OUT_MS)
  await dial(peer, node)
  await dial(node, peer)
})

test('dialers of a few addresses that never speak do not keep others out, and go before those that do', async () => {
  await using stack = new AsyncDisposableStack()
  const node = await startHost(stack, [LOOPBACK])
  const port = Number(/tcp\/(\d+)/.exec(node.addresses()[0] as string)?.[1])
  const open = async (localAddress: string): Promise<Socket> => {
    const socket = connect({ host: '127.0.0.1', port, localAddress })
    stack.defer(() => void socket.destroy())
    socket.on('error', () => {}).resume()
    await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve))
    return socket
  }
  const dead: Socket[] = []
  for (const address of ['127.0.0.2', '127.0.0.3', '127.0.0.4']) {
    const calls = Array.from({ length: MAX_ADDRESS_HANDSHAKES + 20 }, () => open(address))
    dead.push(...(await Promise.all(calls)))
  }
  const slow = await open('127.0.0.5')
  slow.write('\u0013/multistream/1.0.0\n')
  const closed = (): number => dead.filter((socket) => socket.closed).length
  await until('those above the bound are hung up on', () => closed() >= 3 * 20)
  const peers = await Promise.all(Array.from({ length: 40 }, () => startHost(stack)))
  await Promise.all(peers.map((peer) => dial(peer, node)))
  expect(openOn(node)).toBe(40)
  await until('the rest is, too', () => closed() === dead.length)
  expect(slow.closed).toBe(false)
})

test('dials of one address are counted, those of an IPv6 network as one', async () => {
  const clock = createTestClock()
  const { gater } = createGate({ clock, isKnown: () => false, connections: () => [] })
  /** Comes and goes. */
  const isDenied = (address: string): unknown => {
    const connection = Object.assign(new EventTarget(), { remoteAddr: multiaddr(`${address}/tcp/1`) })
    const denied = gater.denyInboundConnection?.(connection as never)
    connection.dispatchEvent(new Event('close'))
    return denied
  }
  const denied = (count: number, address: (i: number) => string): number =>
    Array.from({ length: count }, (_, i) => isDenied(address(i))).filter(Boolean).length
  expect(denied(MAX_ADDRESS_DIALS + 1, () => '/ip4/203.0.113.1')).toBe(1)
  expect(denied(MAX_ADDRESS_DIALS + 1, (i) => `/ip6/2001:db8::${i}`)).toBe(1)
  expect(denied(1, () => '/ip6/2001:db8:0:1::1')).toBe(0)
  clock.advance(1_000)
  expect(denied(MAX_ADDRESS_DIALS, () => '/ip4/203.0.113.1')).toBe(0)
})

test('strangers never take all the room, neither those of one address nor all together; known nodes get in', async () => {
  const remotePeer = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
  const strangers = (count: number, address: (i: number) => string): Connection[] =>
    Array.from({ length: count }, (_, i) => ({
      status: 'open',
      remotePeer: `stranger ${i}`,
      remoteAddr: multiaddr(`/ip4/${address(i)}/tcp/1`)
    })) as unknown as Connection[]
  let connections: Connection[] = []
  const known = new Set<string>()
  const { gater } = createGate({ clock: createTestClock(), isKnown: (peer) => known.has(peer), connections: () => connections })
  const denied = (address: string): unknown =>
    gater.denyInboundUpgradedConnection?.(remotePeer, { remoteAddr: multiaddr(`/ip4/${address}/tcp/1`) } as never)

  connections = strangers(MAX_ADDRESS_CONNECTIONS, () => '203.0.113.1')
  expect([denied('203.0.113.1'), denied('203.0.113.2')]).toEqual([true, false])
  known.add(remotePeer.toString())
  expect(denied('203.0.113.1')).toBe(false)
  known.clear()

  connections = strangers(MAX_STRANGER_CONNECTIONS, (i) => `198.51.100.${i}`)
  expect(denied('203.0.113.1')).toBe(true)
  known.add(remotePeer.toString())
  expect(denied('203.0.113.1')).toBe(false)
  known.clear()
  connections.pop()
  expect(denied('203.0.113.1')).toBe(false)
})
