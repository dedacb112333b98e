import { createServer, type AddressInfo } from 'node:net'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createDialBudget } from '../../src/network/dial-budget.ts'
import { createLinks } from '../../src/network/links.ts'
import { createPresenceTable } from '../../src/network/presence-table.ts'
import { HEARSAY_DIAL_MS, MAX_ADDRESSES, MAX_HEARSAY_DIALS, MAX_HEARSAY_HOSTS } from '../../src/protocol/limits.ts'
import { createTestClock, NETWORK, startPeer, until } from './helpers.ts'
import { presenceOf, signerOf } from './presences.ts'

test('a machine is dialled so often at once, and then once in a while, whatever the port and the peer', () => {
  const clock = createTestClock()
  const budget = createDialBudget({ names: false }, { clock })
  const dials = (): boolean[] => Array.from({ length: 2 * MAX_HEARSAY_DIALS }, (_, i) => budget.take(`/ip4/203.0.113.9/tcp/${i + 1}`))
  expect(dials().filter(Boolean)).toHaveLength(MAX_HEARSAY_DIALS)
  expect(budget.take('/ip4/203.0.113.10/tcp/1')).toBe(true)
  expect(budget.take('/ip6/2001:db8::1/tcp/1')).toBe(true)
  clock.advance(3 * HEARSAY_DIAL_MS)
  expect(dials().filter(Boolean)).toHaveLength(3)
  budget.giveBack('/ip4/203.0.113.9/tcp/7')
  expect(dials().filter(Boolean)).toHaveLength(1)
  clock.advance(3_600_000)
  expect(dials().filter(Boolean)).toHaveLength(MAX_HEARSAY_DIALS)
})

test('a machine has one budget, however its address is written', () => {
  const budget = createDialBudget({ names: false }, { clock: createTestClock() })
  const written = [
    '/ip4/203.0.113.9/tcp/1',
    '/ip6/::ffff:203.0.113.9/tcp/1',
    '/ip6/::FFFF:cb00:7109/tcp/2',
    '/ip6/0:0:0:0:0:ffff:cb00:7109/udp/3/quic-v1'
  ]
  for (let i = 0; i < MAX_HEARSAY_DIALS; i++) expect(budget.take(written[i % written.length] as string)).toBe(true)
  for (const address of written) expect(budget.take(address)).toBe(false)
})

test('an address with a zone is not dialled on hearsay: it means a network of whoever says it', () => {
  const budget = createDialBudget({ names: true }, { clock: createTestClock() })
  for (let i = 0; i < 3; i++) expect(budget.take(`/ip6zone/z${i}/ip6/fe80::1/tcp/1`)).toBe(false)
  expect(budget.take('/ip6zone/a/ip6zone/b/ip6/::1/tcp/1')).toBe(false)
})

test('host names are no machine, or all of them one', () => {
  const clock = createTestClock()
  const budget = createDialBudget({ names: true }, { clock })
  const taken = Array.from({ length: 2 * MAX_HEARSAY_DIALS }, (_, i) => budget.take(`/dns4/h${i}.example.org/tcp/1`))
  expect(taken.filter(Boolean)).toHaveLength(MAX_HEARSAY_DIALS)
  expect(createDialBudget({ names: false }, { clock }).take('/dns4/example.org/tcp/1')).toBe(false)
})

test('what is no address is not dialled, and memory stays bounded: the machine dialled longest ago is forgotten first', () => {
  const budget = createDialBudget({ names: false }, { clock: createTestClock() })
  for (const text of ['nonsense', '/unix/socket', '/ip4/300.1.1.1/tcp/1']) expect(budget.take(text)).toBe(false)
  const address = (n: number): string => `/ip4/10.${n >> 16}.${(n >> 8) & 255}.${n & 255}/tcp/1`
  for (let i = 0; i < MAX_HEARSAY_DIALS; i++) budget.take(address(0))
  for (let n = 1; n < MAX_HEARSAY_HOSTS; n++) budget.take(address(n))
  expect(budget.take(address(0))).toBe(false)
  budget.take(address(MAX_HEARSAY_HOSTS))
  expect(budget.take(address(0))).toBe(true)
})

test('presences of many sybils that name a victim do not make a node a weapon', { timeout: 30_000 }, async () => {
  let hits = 0
  const victim = createServer((socket) => {
    hits++
    socket.on('error', () => {})
    socket.end()
  })
  await new Promise<void>((resolve) => victim.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void victim.close())
  const { port } = victim.address() as AddressInfo
  await using peer = await startPeer({ listen: [] })
  const presence = createPresenceTable({ network: NETWORK, self: peer.host.id, isKnown: () => false }, { clock: systemClock })
  const timing = { dial: 1_000, redialFirst: 20, redialMost: 40 }
  const links = createLinks({ bootstrap: [], timing }, { host: peer.host, bus: peer.bus, clock: systemClock, presence })
  const began = Date.now()
  await links.start()
  onTestFinished(() => links.stop())
  for (let i = 0; i < 40; i++) {
    const addresses = Array.from({ length: MAX_ADDRESSES }, () => `/ip4/127.0.0.1/tcp/${port}`)
    presence.offer(await presenceOf(signerOf(await generateKeyPair('Ed25519')), { addresses }))
  }
  await until('the budget is spent', () => hits >= MAX_HEARSAY_DIALS)
  // As many rounds as would be hundreds of dials.
  await new Promise((resolve) => setTimeout(resolve, 1_000))
  expect(hits).toBeLessThanOrEqual(MAX_HEARSAY_DIALS + Math.ceil((Date.now() - began) / HEARSAY_DIAL_MS))
})
