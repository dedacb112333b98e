/** Clocks an hour off, on a sender and on a node, either way: what becomes of commands, and that the user is told why. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { afterEach, expect, test } from 'vitest'
import type { Clock } from '../../src/protocol/clock.ts'
import type { PinOperation } from '../../src/protocol/command.ts'
import { formatPublicKey } from '../../src/protocol/ssh-key.ts'
import { clockWarning } from '../../src/sender/clock-hints.ts'
import { createSender, type Sender } from '../../src/sender/sender.ts'
import type { DoneEvent, Outcome, SendEvent, SendOptions, StatusEvent } from '../../src/sender/types.ts'
import { startPeer, until, within } from '../network/helpers.ts'
import { author, command } from '../support/author.ts'
import { createShiftedClock } from '../support/clock.ts'
import { startLiveNodes, type LiveNode } from '../support/live-nodes.ts'

const HOUR = 3_600_000
const PATIENT = { timeout: 10_000 }
const NETWORK = 'clocks'
const [alice, bob] = [author('alice'), author('bob')]
const authorize = [alice, bob].map(({ blob }) => formatPublicKey(blob, ''))

let stack = new AsyncDisposableStack()
afterEach(async () => {
  await stack.disposeAsync()
  stack = new AsyncDisposableStack()
})

/** A CID that carries its content, so that nobody has to fetch it. */
const cidOf = (text: string): string => CID.createV1(0x55, createDigest(0, createHash('sha256').update(text).digest())).toString()

const nodesWith = (...clocks: Clock[]): Promise<LiveNode[]> => startLiveNodes(stack, clocks, { network: NETWORK, authorize })

async function senderWith(
  clock: Clock,
  nodes: readonly LiveNode[],
  options: { ledger?: string; key?: typeof alice } = {}
): Promise<Sender> {
  const { key = alice, ...rest } = options
  const bootstrap = nodes.map(({ address }) => address)
  const sender = await createSender({ network: NETWORK, key, bootstrap, knownNodes: nodes.map(({ id }) => id), ...rest }, { clock })
  stack.use(sender)
  await sender.connect({ signal: within() })
  await sender.rollCall()
  return sender
}

async function follow(events: AsyncGenerator<SendEvent, Outcome>): Promise<{ outcome: Outcome; done: DoneEvent; states: string[] }> {
  const acks = new Map<string, string>()
  let done: DoneEvent | undefined
  for (;;) {
    const next = await events.next()
    if (next.done === true) return { outcome: next.value, done: done as DoneEvent, states: [...acks.values()].toSorted() }
    const event = next.value
    if (event.event === 'ack') acks.set(event.node, event.code === undefined ? event.status : `${event.status} ${event.code}`)
    if (event.event === 'done') done = event
  }
}

const pin = (sender: Sender, text: string, options: SendOptions = {}) => follow(sender.pin([cidOf(text)], options))

/** Of each node what it says of the CID now, by its place among the nodes. */
async function states(sender: Sender, nodes: readonly LiveNode[], text: string): Promise<(StatusEvent['status'] | undefined)[]> {
  const rows = await Array.fromAsync(sender.status([cidOf(text)]))
  return nodes.map(({ id }) => rows.find(({ node, source }) => node === id && source === 'live')?.status)
}

/** Whoever sees a newcomer announces itself: so all hear each other's clocks anew. */
async function stir(nodes: readonly LiveNode[]): Promise<void> {
  const sender = await createSender({ network: NETWORK, key: bob, bootstrap: nodes.map(({ address }) => address) })
  await sender.connect({ signal: within() })
  await expect.poll(() => sender.nodes().filter(({ state }) => state === 'online'), PATIENT).toHaveLength(nodes.length)
  await sender.stop()
}

async function ledgerFile(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-ledger-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  return join(dir, 'ledger.db')
}

test('a sender an hour ahead is refused for now, by every node and at once, and told why; so is what it sends once it is right', async () => {
  const clocks = [createShiftedClock(), createShiftedClock()]
  const nodes = await nodesWith(...clocks)
  const clock = createShiftedClock()
  clock.shift(HOUR)
  const ledger = await ledgerFile()
  const ahead = await senderWith(clock, nodes, { ledger })
  const refused = await pin(ahead, 'x')
  expect(refused).toMatchObject({ outcome: 'refused', states: ['refused skew', 'refused skew'], done: { replicas: 0, result: 'refused' } })
  expect(refused.done.hint).toMatch(
    /^this machine's clock is 60 min ahead of the nodes, which refuse it for now\. Set it \(timedatectl set-ntp true\); nodes take what is signed here from \d{4}-\d\d-\d\dT\d\d:\d\dZ on/
  )
  expect(clockWarning(ahead.clockOffset())).toBe(
    "this machine's clock is 60 min ahead of the nodes: they refuse commands that look as if from the future. Set it (timedatectl set-ntp true)"
  )
  clock.shift(-HOUR)
  const right = await senderWith(clock, nodes, { ledger })
  const after = await pin(right, 'y')
  expect(after).toMatchObject({ outcome: 'refused', states: ['refused skew', 'refused skew'] })
  expect(after.done.hint).toContain('a command signed here earlier, by a clock that was ahead')
  expect(clockWarning(right.clockOffset())).toBeUndefined()

  // An hour later nothing was lost: the first run offers both again.
  for (const each of [clock, ...clocks]) each.shift(HOUR)
  await stir(nodes)
  const later = await senderWith(clock, nodes, { ledger })
  expect(await pin(later, 'z')).toMatchObject({ outcome: 'reached', states: ['pinned', 'pinned'] })
  for (const text of ['x', 'y']) await expect.poll(() => states(later, nodes, text), PATIENT).toEqual(['pinned', 'pinned'])
})

test('a sender an hour behind is taken, but what was said since outranks it, and it is told why', async () => {
  const nodes = await nodesWith(createShiftedClock(), createShiftedClock())
  const right = await senderWith(createShiftedClock(), nodes, { key: bob })
  await follow(right.unpin([cidOf('x')]))

  const clock = createShiftedClock()
  clock.shift(-HOUR)
  const behind = await senderWith(clock, nodes)
  expect(await pin(behind, 'y')).toMatchObject({ outcome: 'reached', states: ['pinned', 'pinned'] })
  const outranked = await pin(behind, 'x')
  expect(outranked).toMatchObject({ outcome: 'short', states: ['superseded', 'superseded'] })
  expect(outranked.done.hint).toBe(
    "this machine's clock is 60 min behind the nodes, which is likely why: what was said in that time outranks it. Set it (timedatectl set-ntp true) and send it again"
  )
  expect(clockWarning(behind.clockOffset())).toContain("this machine's clock is 60 min behind the nodes: what was said in that time")
  clock.shift(HOUR)
  await stir(nodes)
  expect(await pin(behind, 'x')).toMatchObject({ outcome: 'reached', states: ['pinned', 'pinned'] })
})

test('a node an hour ahead says so, and lets no pin expire until its clock is right', async () => {
  const clocks = [createShiftedClock(), createShiftedClock(), createShiftedClock()] as const
  clocks[2].shift(HOUR)
  const nodes = await nodesWith(...clocks)
  const [a, , wrong] = nodes as [LiveNode, LiveNode, LiveNode]
  await stir(nodes)
  const warnings = (): string[] => wrong.log.lines.filter((line) => line.startsWith('warn') && line.includes('clock'))
  await until('it knows that its clock is off', () => warnings().length > 0)

  const clock = createShiftedClock()
  const expires = clock.now() + HOUR / 2
  const begun = clock.now()
  await using publisher = await startPeer({ listen: [], network: NETWORK })
  await publisher.host.libp2p.dial(multiaddr(a.address), { signal: within() })
  const say = async (operation: PinOperation): Promise<void> => {
    const { bytes } = await command(alice, { network: NETWORK, time: { ms: begun, counter: 0 }, operations: [operation] })
    await publisher.bus.publish('commands', bytes, { signal: within() })
  }
  await say({ op: 'pin', cid: CID.parse(cidOf('x')), expires })

  const sender = await senderWith(clock, nodes)
  await expect.poll(() => states(sender, nodes, 'x'), PATIENT).toEqual(['pinned', 'pinned', 'pinned'])
  await stir(nodes)
  await expect.poll(() => sender.nodes().find(({ node }) => node === wrong.id)?.clock_off, PATIENT).toBe(true)
  const shown = sender
    .nodes()
    .map(({ node, clock_off_ms: off, clock_off: says }) => [node === wrong.id, Math.round((off ?? 0) / HOUR), says])
  expect(shown).toHaveLength(3)
  expect(shown).toEqual(
    expect.arrayContaining([
      [false, 0, undefined],
      [true, 1, true]
    ])
  )
  expect(clockWarning(sender.clockOffset())).toBeUndefined()
  expect(warnings()).toEqual([
    "warn this machine's clock is 60 min ahead of the median of its known nodes: keys would expire too early, and no pin expires here until it is right: set the clock (timedatectl set-ntp true)"
  ])

  for (const each of [clock, ...clocks]) each.shift(HOUR / 2)
  await stir(nodes)
  // Any command is a reason to look what expired, for those whose clock is right; a new one would prove to all what time it is.
  await say({ op: 'pin', cid: CID.parse(cidOf('y')) })
  await expect.poll(() => states(sender, nodes, 'x'), PATIENT).toEqual(['unpinned', 'unpinned', 'pinned'])
  clocks[2].shift(-HOUR)
  await stir(nodes)
  await until('it knows that its clock is right', () => wrong.log.lines.some((line) => line.includes('agrees with its known nodes again')))
  await expect.poll(() => states(sender, nodes, 'x'), PATIENT).toEqual(['unpinned', 'unpinned', 'unpinned'])
})

test('a node an hour behind refuses what is sent now, and it is told of; once it is right it catches up', async () => {
  const clocks = [createShiftedClock(), createShiftedClock(), createShiftedClock()] as const
  clocks[2].shift(-HOUR)
  const nodes = await nodesWith(...clocks)
  const wrong = nodes[2] as LiveNode
  const sender = await senderWith(createShiftedClock(), nodes)
  const short = await pin(sender, 'x', { timeout: 2_000 })
  expect(short).toMatchObject({ outcome: 'short', states: ['pinned', 'pinned', 'refused skew'], done: { replicas: 2, wanted: 3 } })
  expect(short.done.hint).toBe(
    `the clock of ${wrong.id} is 60 min behind the other nodes, so that what is sent now looks to it as if from the future. Set it there (timedatectl set-ntp true)`
  )
  await until('it knows that its clock is off', () => wrong.log.lines.some((line) => line.includes('60 min behind the median')))
  expect(sender.nodes().find(({ node }) => node === wrong.id)?.clock_off_ms).toBeLessThan(-HOUR + 60_000)

  clocks[2].shift(HOUR)
  await stir(nodes)
  await expect.poll(() => states(sender, nodes, 'x'), { timeout: 20_000 }).toEqual(['pinned', 'pinned', 'pinned'])
})
