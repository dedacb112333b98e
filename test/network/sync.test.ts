import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { openFrames } from '../../src/network/streams.ts'
import { createAsker } from '../../src/network/sync-asker.ts'
import { pull, type PullPorts } from '../../src/network/sync-pull.ts'
import { SYNC_PROTOCOL } from '../../src/network/sync-server.ts'
import { commandIdBytes } from '../../src/protocol/envelope.ts'
import { MAX_PAGE_BYTES, MAX_PULL_MS, MAX_SYNC_IDS, MAX_SYNC_SETS, MAX_SYNC_WANT } from '../../src/protocol/limits.ts'
import type { SetName } from '../../src/protocol/sync/digest.ts'
import { createItemSet } from '../../src/protocol/sync/item-set.ts'
import { command, cidOf } from '../support/author.ts'
import { NETWORK, startPeer, until, within } from './helpers.ts'
import { adminCommand, alice, bob, commands, createHolder, idOf, pullInto, serve, START } from './syncing.ts'

describe('equal sets', () => {
  test('take one round trip and at most 1 KiB', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const [theirs, ours] = [createHolder(), createHolder()]
    for (const holder of [theirs, ours]) {
      holder.add([await adminCommand(), ...(await commands(5)), ...(await commands(5, 'site')), ...(await commands(5, 'blog', bob))])
    }
    await using server = await serve(node, theirs.source)
    const result = await pullInto(ours, node, peer)
    expect(result).toMatchObject({ roundTrips: 1, fetched: 0, taken: 0, missing: 0, ahead: 0, unequal: [], more: false })
    expect(result.bytes).toBeLessThanOrEqual(1_024)
    expect(result.bytes).toBeGreaterThan(4 * 100)
    await until('the stream is closed in order', () =>
      peer.host.libp2p.getConnections().every(({ streams }) => streams.every((s) => s.protocol !== SYNC_PROTOCOL))
    )
    expect(server.aborted).toBe(0)
  })

  test('of whatever number, and only what differs is looked at', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const [theirs, ours] = [createHolder(), createHolder()]
    for (let i = 0; i < MAX_SYNC_SETS + 50; i++) {
      const one = await commands(1, `p${i}`)
      theirs.add(one)
      ours.add(one)
    }
    await using _server = await serve(node, theirs.source)
    expect(await pullInto(ours, node, peer)).toMatchObject({ roundTrips: 2, fetched: 0 })
    theirs.add(await commands(1, 'p7', alice, 1))
    theirs.add(await commands(1, 'p999', bob))
    expect(await pullInto(ours, node, peer)).toMatchObject({ fetched: 2, taken: 2 })
    expect(await pullInto(ours, node, peer)).toMatchObject({ roundTrips: 2, fetched: 0 })
  })
})

describe('sets that differ', () => {
  test('are made equal by a pull of each side', async () => {
    await using a = await startPeer()
    await using b = await startPeer()
    const [holderA, holderB] = [createHolder(), createHolder()]
    const all = await commands(600)
    holderA.add(all.filter((_, i) => i % 100 !== 7))
    holderB.add(all.filter((_, i) => i % 200 !== 9))
    await using _serverA = await serve(a, holderA.source)
    await using _serverB = await serve(b, holderB.source)
    expect(await pullInto(holderB, a, b)).toMatchObject({ fetched: 3, taken: 3, ahead: 6, missing: 0, unequal: [], more: false })
    expect(await pullInto(holderA, b, a)).toMatchObject({ fetched: 6, taken: 6, ahead: 0 })
    expect(holderA.source.digests()).toEqual(holderB.source.digests())
    expect(await pullInto(holderA, b, a)).toMatchObject({ roundTrips: 1, fetched: 0 })
  })

  test('a newcomer gets all there is, in pages, with the times of acceptance', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const [theirs, ours] = [createHolder(), createHolder()]
    const all = await commands(5_200)
    for (const [i, envelope] of all.entries()) theirs.add([envelope], START + i)
    await using _server = await serve(node, theirs.source)
    const result = await pullInto(ours, node, peer)
    expect(result).toMatchObject({ fetched: 5_200, taken: 5_200, missing: 0, ahead: 0, more: false })
    expect(ours.source.digests()).toEqual(theirs.source.digests())
    expect(all.map((envelope) => ours.acceptedAt(envelope))).toEqual(all.map((_, i) => START + i))
    expect(ours.pages.map(([n]) => n)).toEqual([...Array.from({ length: 5 }, () => MAX_SYNC_WANT), 200])
  })

  test('pages are filled by size', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const [theirs, ours] = [createHolder(), createHolder()]
    for (let i = 0; i < 40; i++) {
      const operations = Array.from({ length: 700 }, (_, k) => ({ op: 'pin' as const, cid: cidOf(`${i} ${k}`) }))
      theirs.add([(await command(alice, { network: NETWORK, time: { ms: START + i, counter: 0 }, operations })).bytes])
    }
    let read = 0
    await using _server = await serve(node, {
      ...theirs.source,
      commands: (ids) => {
        read += ids.length
        return theirs.source.commands(ids)
      }
    })
    expect(await pullInto(ours, node, peer)).toMatchObject({ fetched: 40, taken: 40 })
    expect(ours.pages.length).toBeGreaterThan(1)
    expect(ours.pages.every(([n]) => n > 10)).toBe(true)
    expect(read).toBeLessThan(40 + 32 * ours.pages.length)
  })

  test('a set that changes meanwhile does no harm', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const [theirs, ours] = [createHolder(), createHolder()]
    const all = await commands(2_000)
    theirs.add(all.slice(0, 1_500))
    ours.add(all.slice(0, 100))
    let first = true
    await using _server = await serve(node, {
      ...theirs.source,
      commands: (ids) => {
        const found = theirs.source.commands(ids)
        if (!first) return found
        first = false
        theirs.add(all.slice(1_500))
        ours.add(all.slice(1_400, 1_450))
        return [undefined, ...found.slice(1)]
      }
    })
    expect(await pullInto(ours, node, peer)).toMatchObject({ fetched: 1_399, taken: 1_349, missing: 1, more: false })
    expect(await pullInto(ours, node, peer)).toMatchObject({ fetched: 501, taken: 501 })
    expect(ours.source.digests()).toEqual(theirs.source.digests())
  })
})

describe('what is wanted', () => {
  test('sets without a pinset are stored before anything else is asked for', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    const [admin, other, site] = [[await adminCommand(1), await adminCommand(2)], [await adminCommand(3, bob)], await commands(20, 'a')]
    theirs.add([...site, ...admin, ...other])
    const events: string[] = []
    const ours = createHolder()
    const held = ours.ports.take
    const slow: PullPorts['take'] = async (taken, name) => {
      events.push(`takes ${name.pinset}`)
      await new Promise((resolve) => setImmediate(resolve))
      const n = await held(taken, name)
      events.push(`has ${name.pinset}`)
      return n
    }
    await using _server = await serve(node, {
      ...theirs.source,
      commands: (ids) => {
        events.push(site.some((envelope) => idOf(envelope) === ids[0]) ? 'asked for a' : 'asked for admin')
        return theirs.source.commands(ids)
      }
    })
    const ports = { ...ours.ports, host: peer.host, take: slow }
    expect(await pull(node.address, NETWORK, ports, { signal: within() })).toMatchObject({ fetched: 23, taken: 23 })
    const adminEvents = ['asked for admin', 'takes undefined', 'has undefined']
    expect(events).toEqual([...adminEvents, ...adminEvents, 'asked for a', 'takes a', 'has a'])
  })

  test('what an admin operation changes is seen by the sets behind it', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    theirs.add([await adminCommand(), ...(await commands(3, 'site', bob))])
    let authorised = false
    const base = createHolder().ports
    const ours = createHolder({
      wanted: (name) => (name.author === bob.author && !authorised ? undefined : base.wanted(name)),
      take: async (taken, name) => {
        authorised ||= name.pinset === undefined
        return taken.length
      }
    })
    await using _server = await serve(node, theirs.source)
    expect(await pullInto(ours, node, peer)).toMatchObject({ fetched: 4 })
  })

  test('a set that is not wanted, and a command that is not lacking, is not fetched', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    const all = await commands(50)
    theirs.add([...all, ...(await commands(50, 'default', bob))])
    const refused = new Set(all.slice(10).map(idOf))
    const base = createHolder()
    const ours = createHolder({
      wanted: (name) => (name.author === bob.author ? undefined : base.set(name)),
      lacks: (id) => !refused.has(id)
    })
    const asked: string[] = []
    await using _server = await serve(node, {
      ...theirs.source,
      commands: (ids) => {
        asked.push(...ids)
        return theirs.source.commands(ids)
      }
    })
    expect(await pullInto(ours, node, peer)).toMatchObject({ fetched: 10, taken: 10, unequal: [], more: false })
    expect(asked.toSorted()).toEqual(all.slice(0, 10).map(idOf).toSorted())
  })
})

test('a full list comes in pages, each behind the last', async () => {
  await using node = await startPeer()
  await using peer = await startPeer({ listen: [] })
  const set = createItemSet()
  const idAt = (i: number): Uint8Array => commandIdBytes(i.toString(16).padStart(64, '0'))
  for (let i = 0; i < MAX_SYNC_IDS + 5; i++) set.add(START, idAt(i * 2))
  await using _server = await serve(node, { ...createHolder().source, set: () => set })
  const signal = within()
  const options = { protocol: SYNC_PROTOCOL, maxFrame: MAX_PAGE_BYTES, idleMs: 5_000, clock: systemClock, signal }
  const { frames, finish } = await openFrames(peer.host, node.address, options)
  const asker = createAsker({ target: node.host.id, network: NETWORK }, { frames, clock: systemClock })
  const name = { author: alice.author, pinset: 'default' }
  const first = await asker.ids(name, undefined)
  expect([first.ids.length, first.more]).toEqual([MAX_SYNC_IDS, true])
  const rest = await asker.ids(name, first.ids.at(-1))
  expect(rest).toEqual({ ids: [0, 1, 2, 3, 4].map((i) => ({ ms: START, id: idAt((MAX_SYNC_IDS + i) * 2) })), more: false })
  expect((await asker.ids(name, { ms: START, id: idAt(2 * MAX_SYNC_IDS + 1) })).ids).toEqual(rest.ids.slice(1))
  expect(await asker.ids(name, rest.ids.at(-1))).toEqual({ ids: [], more: false })
  await asker.end()
  finish(true)
})

describe('a pull ends', () => {
  test('where the peer is of another network, with its name', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await using _server = await serve(node, createHolder().source, { network: 'other' })
    const tried = pullInto(createHolder(), node, peer)
    await expect(tried).rejects.toMatchObject({ code: 'declined', message: expect.stringContaining('"other"'), result: { taken: 0 } })
  })

  test('where the peer does not speak the protocol', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await expect(pullInto(createHolder(), node, peer)).rejects.toMatchObject({ code: 'protocol' })
  })

  test('with its signal, and what was taken stays', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    theirs.add(await commands(3_000))
    await using server = await serve(node, theirs.source)
    const ours = createHolder()
    const stop = new AbortController()
    const take: PullPorts['take'] = (taken, name) => {
      stop.abort(new Error('enough'))
      return ours.ports.take(taken, name)
    }
    await expect(pull(node.address, NETWORK, { ...ours.ports, host: peer.host, take }, { signal: stop.signal })).rejects.toThrow('enough')
    expect(ours.size).toBe(1_000)
    await until('the server let go', () => server.aborted === 1)
    expect(await pullInto(ours, node, peer)).toMatchObject({ fetched: 2_000, taken: 2_000 })
  })

  test('with what the taker throws', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    theirs.add(await commands(2_500))
    await using _server = await serve(node, theirs.source)
    const full = new Error('no space left on device')
    const ours = createHolder({ take: () => Promise.reject(full) })
    await expect(pullInto(ours, node, peer)).rejects.toBe(full)
  })

  test('in order at its limit of time, and says that there is more', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    theirs.add(await commands(2_500))
    await using server = await serve(node, theirs.source)
    let ahead = 0
    const ours = createHolder({ clock: { ...systemClock, now: () => Date.now() + ahead } })
    const take: PullPorts['take'] = async (taken, name) => {
      ahead = MAX_PULL_MS
      return ours.ports.take(taken, name)
    }
    const ports = { ...ours.ports, host: peer.host, take }
    const result = await pull(node.address, NETWORK, ports, { signal: within() })
    expect(result.more).toBe(true)
    expect(result.taken).toBeLessThan(2_500)
    expect(ours.size).toBe(result.taken)
    expect(await pullInto(ours, node, peer)).toMatchObject({ taken: 2_500 - result.taken, more: false })
    expect(server.aborted).toBe(0)
  })

  test('at a limit in the middle of a large set with what was found by then', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    theirs.add(await commands(5_200))
    let [ahead, rounds] = [0, 0]
    const source = {
      ...theirs.source,
      set: (name: SetName) => {
        if (++rounds === 2) ahead = MAX_PULL_MS
        return theirs.source.set(name)
      }
    }
    await using _server = await serve(node, source)
    const ours = createHolder({ clock: { ...systemClock, now: () => Date.now() + ahead } })
    const result = await pullInto(ours, node, peer)
    expect(result.more).toBe(true)
    expect(result.taken).toBeGreaterThanOrEqual(MAX_SYNC_WANT)
    expect(await pullInto(ours, node, peer)).toMatchObject({ taken: 5_200 - result.taken, more: false })
  })
})
