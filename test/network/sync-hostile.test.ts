/** Peers that lie, stall, flood or loop: each ends with a named error, and then an honest one gives all there is. */
import type { Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createFrameStream, type FrameStream } from '../../src/network/frames.ts'
import { pull, type PullPorts } from '../../src/network/sync-pull.ts'
import { SYNC_PROTOCOL } from '../../src/network/sync-server.ts'
import { commandIdBytes } from '../../src/protocol/envelope.ts'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import {
  MAX_PAGE_BYTES,
  MAX_PULL_SETS,
  MAX_SYNC_ASKS,
  MAX_SYNC_EMPTY_ROUNDS,
  MAX_SYNC_MISSING,
  MAX_SYNC_ROUNDS,
  MAX_SYNC_SETS,
  MAX_SYNC_STREAM_MS,
  MAX_SYNC_UNPROVEN,
  SYNC_ANSWER_MS
} from '../../src/protocol/limits.ts'
import type { SetDigest } from '../../src/protocol/sync/digest.ts'
import { createItemSet } from '../../src/protocol/sync/item-set.ts'
import { decodeSyncAnswer, encodeSyncAsk, type SyncAnswer, type SyncAsk } from '../../src/protocol/sync/messages.ts'
import { respond } from '../../src/protocol/sync/negentropy.ts'
import * as wire from '../../src/protocol/wire.ts'
import { bytesOf, createTestClock, NETWORK, startPeer, until, within, type Peer } from './helpers.ts'
import { alice, bob, commands, createHolder, idOf, pullInto, script, serve, START, type Holder, type Reply } from './syncing.ts'

const SET = { author: alice.author, pinset: 'default' }
const announced = (count = 10, pinset = 'default'): SetDigest => ({
  author: alice.author,
  pinset,
  count,
  root: new Uint8Array(32).fill(9),
  newest: START
})
const setsOf = (...sets: SetDigest[]): SyncAnswer => ({ answer: 'sets', sets, more: false })

/** Answers like the holder where the script says nothing else. */
function honest({ source }: Holder, ask: SyncAsk): SyncAnswer {
  const set = 'set' in ask ? (source.set(ask.set) ?? createItemSet()) : createItemSet()
  switch (ask.ask) {
    case 'sets':
      return setsOf(...source.digests())
    case 'reconcile':
      return { answer: 'reconcile', message: respond(set, ask.message) }
    case 'ids':
      return { answer: 'ids', ids: [...set.items(0, set.size)], more: false }
    case 'commands':
      return { answer: 'commands', commands: source.commands(ask.ids).filter((one) => one !== undefined), upTo: ask.ids.length }
  }
}

describe('a hostile peer that answers', () => {
  const all = commands(300)
  const bobs = commands(1, 'default', bob)

  /** What it says to one kind of ask, and honest answers to the others. */
  const lies = (kind: SyncAsk['ask'], reply: (ask: SyncAsk, holder: Holder) => Reply) => ({ kind, reply })
  const raw = (bytes: Uint8Array) => async (frames: FrameStream) => frames.write(bytes)
  const page = (ask: SyncAsk, holder: Holder): Extract<SyncAnswer, { answer: 'commands' }> => honest(holder, ask) as never

  test.each([
    ['nothing but the end mark', lies('sets', () => (frames) => frames.end()), { code: 'cut' }],
    ['by closing the stream', lies('sets', () => (frames) => frames.abort(new Error('on purpose'))), { code: 'cut' }],
    ['by closing after it has named commands', lies('commands', () => (frames) => frames.abort(new Error('x'))), { code: 'cut' }],
    ['another kind', lies('sets', () => ({ answer: 'reconcile', message: new Uint8Array(1) })), { code: 'dishonest' }],
    ['another kind, later', lies('commands', () => setsOf()), { code: 'dishonest' }],
    ['garbage', lies('reconcile', () => bytesOf('garbage')), { code: 'dishonest' }],
    ['a broken shape', lies('sets', () => wire.encode({ answer: 'sets', sets: [1], more: false })), { code: 'dishonest' }],
    ['a frame above the bound', lies('commands', () => raw(new Uint8Array(MAX_PAGE_BYTES + 1))), { code: 'dishonest' }],
    ['that it has no time', lies('reconcile', () => ({ answer: 'error', error: 'busy' })), { code: 'declined' }],
    ['that it does not know the ask', lies('reconcile', () => ({ answer: 'error', error: 'unsupported' })), { code: 'declined' }],
    ['sets out of order', lies('sets', () => setsOf(announced(1, 'b'), announced(1, 'a'))), { code: 'dishonest' }],
    ['one set twice', lies('sets', () => setsOf(announced(), announced())), { code: 'dishonest' }],
    ['more sets without one', lies('sets', () => ({ answer: 'sets', sets: [], more: true })), { code: 'dishonest' }],
    [
      'sets that are not there',
      lies('sets', () => setsOf(...Array.from({ length: MAX_SYNC_UNPROVEN + 1 }, (_, i) => announced(1, `p${1_000 + i}`)))),
      { code: 'dishonest' }
    ],
    [
      'what is no reconciliation',
      lies('reconcile', () => ({ answer: 'reconcile', message: Uint8Array.of(0x61, 1, 2, 3) })),
      { code: 'dishonest' }
    ],
    ['nothing as reconciliation', lies('reconcile', () => ({ answer: 'reconcile', message: new Uint8Array(0) })), { code: 'dishonest' }],
    ['commands that were not asked for', lies('commands', (ask, holder) => ({ ...page(ask, holder), upTo: 1 })), { code: 'dishonest' }],
    [
      'commands in another order',
      lies('commands', (ask, holder) => ({ ...page(ask, holder), commands: page(ask, holder).commands.toReversed() })),
      { code: 'dishonest' }
    ],
    [
      'a command twice',
      lies('commands', (ask, holder) => {
        const {
          commands: [first, ...rest],
          ...answer
        } = page(ask, holder)
        return { ...answer, commands: [first as never, first as never, ...rest] }
      }),
      { code: 'dishonest' }
    ],
    [
      'envelopes that are none',
      lies('commands', (ask, holder) => ({ ...page(ask, holder), commands: [{ acceptedAt: 1, envelope: bytesOf('envelope') }] })),
      { code: 'dishonest' }
    ],
    ['no progress', lies('commands', () => ({ answer: 'commands', commands: [], upTo: 0 })), { code: 'dishonest' }],
    ['more progress than was asked for', lies('commands', () => ({ answer: 'commands', commands: [], upTo: 1_000 })), { code: 'dishonest' }]
  ] as const)('%s', async (_name, { kind, reply }, error) => {
    await using liar = await startPeer()
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    theirs.add(await all)
    await using _server = await serve(node, theirs.source)
    await script(liar, (ask) => (ask.ask === kind ? reply(ask, theirs) : honest(theirs, ask)))
    const ours = createHolder()
    ours.add((await all).slice(0, 100))
    await expect(pullInto(ours, liar, peer)).rejects.toMatchObject({ name: 'NetworkError', ...error, result: { taken: 0 } })
    await until('the stream is gone', () => openStreams(peer) === 0)
    expect(await pullInto(ours, node, peer)).toMatchObject({ fetched: 200, taken: 200, more: false })
  })

  test('a command of another author than the set it was named in', async () => {
    await using liar = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    theirs.add(await bobs)
    const foreign = createItemSet()
    foreign.add(START, commandIdBytes(idOf((await bobs)[0] as Uint8Array)))
    await script(liar, (ask) => {
      if (ask.ask === 'sets') return setsOf(announced())
      return ask.ask === 'reconcile' ? { answer: 'reconcile', message: respond(foreign, ask.message) } : honest(theirs, ask)
    })
    const tried = pullInto(createHolder(), liar, peer)
    await expect(tried).rejects.toMatchObject({ code: 'dishonest', message: expect.stringContaining('another author') })
  })

  test('a command that the taker finds to be a lie, and what came before it stays', async () => {
    await using liar = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    theirs.add(await commands(2_500))
    await script(liar, (ask) => {
      const answer = honest(theirs, ask)
      if (answer.answer !== 'commands') return answer
      return { ...answer, commands: answer.commands.map((one) => ({ ...one, envelope: withBrokenSignature(one.envelope) })) }
    })
    const ours = createHolder()
    const tried = pullInto(ours, liar, peer)
    await expect(tried).rejects.toMatchObject({
      code: 'dishonest',
      message: expect.stringContaining('signature'),
      cause: expect.anything()
    })
    expect(ours.size).toBe(0)
    let pages = 0
    const take: PullPorts['take'] = async (taken, name) => {
      if (++pages === 2) throw new InvalidMessageError('shape', 'on purpose')
      return createHolder().ports.take(taken, name)
    }
    await using node = await startPeer()
    await using _server = await serve(node, theirs.source)
    const second = pull(node.address, NETWORK, { ...ours.ports, host: peer.host, take }, { signal: within() })
    await expect(second).rejects.toMatchObject({ code: 'dishonest', result: { taken: 1_000 } })
  })

  test('fingerprints without end', async () => {
    await using liar = await startPeer()
    await using peer = await startPeer({ listen: [] })
    let rounds = 0
    await script(liar, (ask) => {
      if (ask.ask === 'sets') return setsOf(announced())
      rounds++
      // Version, no upper bound, a fingerprint: "all that you have differs".
      return { answer: 'reconcile', message: Uint8Array.of(0x61, 0, 0, 1, ...new Uint8Array(16).fill(rounds)) }
    })
    const ours = createHolder()
    ours.add(await all)
    await expect(pullInto(ours, liar, peer)).rejects.toMatchObject({ code: 'dishonest' })
    expect(rounds).toBeLessThanOrEqual(MAX_SYNC_EMPTY_ROUNDS + 1)
    expect(ours.size).toBe(300)
  })

  test('the same list without end', async () => {
    await using liar = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const ids = Array.from({ length: 40 }, (_, i) => new Uint8Array(32).fill(i + 1))
    let rounds = 0
    await script(liar, (ask) => {
      if (ask.ask === 'sets') return setsOf(announced())
      if (ask.ask !== 'reconcile') return { answer: 'commands', commands: [], upTo: 40 }
      rounds++
      // A list up to the time 1, and a fingerprint of all behind it, so that it goes on.
      const list = [0x61, 2, 0, 2, 40, ...ids.flatMap((id) => [...id])]
      return { answer: 'reconcile', message: Uint8Array.of(...list, 0, 0, 1, ...new Uint8Array(16).fill(rounds)) }
    })
    const ours = createHolder()
    ours.add(await all)
    await expect(pullInto(ours, liar, peer)).rejects.toMatchObject({ code: 'dishonest' })
    expect(ours.size).toBe(300)
  })

  test('one more id in each round', async () => {
    await using liar = await startPeer()
    await using peer = await startPeer({ listen: [] })
    let rounds = 0
    await script(liar, (ask) => {
      if (ask.ask !== 'reconcile') return setsOf(announced())
      const id = new Uint8Array(32)
      new DataView(id.buffer).setUint32(0, ++rounds)
      // Nothing up to the time `rounds - 1`, a list up to the next, and a fingerprint of all behind it, so that it goes on.
      const skip = [...(rounds < 128 ? [rounds] : [0x80 | (rounds >> 7), rounds & 0x7f]), 0, 0]
      return { answer: 'reconcile', message: Uint8Array.of(0x61, ...skip, 2, 0, 2, 1, ...id, 0, 0, 1, ...new Uint8Array(16)) }
    })
    const ours = createHolder({ lacks: () => false })
    ours.add(await all)
    expect(await pullInto(ours, liar, peer)).toMatchObject({ fetched: 0, more: true })
    expect(rounds).toBe(MAX_SYNC_ROUNDS)
  })

  test.each([
    ['a few', MAX_SYNC_MISSING, undefined],
    ['many', MAX_SYNC_MISSING + 1, 'dishonest']
  ])('%s commands that it does not have', async (_name, n, code) => {
    await using liar = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const fake = createItemSet()
    for (let i = 0; i < n; i++) fake.add(START + i, commandIdBytes(i.toString(16).padStart(64, '0')))
    await script(liar, (ask) => {
      if (ask.ask === 'sets') return setsOf(announced())
      if (ask.ask === 'reconcile') return { answer: 'reconcile', message: respond(fake, ask.message) }
      return { answer: 'commands', commands: [], upTo: 'ids' in ask ? ask.ids.length : 0 }
    })
    const tried = pullInto(createHolder(), liar, peer)
    if (code === undefined) expect(await tried).toMatchObject({ missing: n, fetched: 0, taken: 0, more: false })
    else await expect(tried).rejects.toMatchObject({ code, result: { missing: n } })
  })

  test('sets without end', async () => {
    await using liar = await startPeer()
    await using peer = await startPeer({ listen: [] })
    let asks = 0
    await script(liar, (ask) => {
      if (ask.ask !== 'sets') return undefined
      const first = MAX_SYNC_SETS * asks++
      const sets = Array.from({ length: MAX_SYNC_SETS }, (_, i) => announced(1, `p${String(first + i).padStart(9, '0')}`))
      return { answer: 'sets', sets, more: true }
    })
    const ours = createHolder({ wanted: () => undefined })
    expect(await pullInto(ours, liar, peer)).toMatchObject({ fetched: 0, more: true })
    expect(asks).toBe(MAX_PULL_SETS / MAX_SYNC_SETS)
  })

  test('nothing', async () => {
    await using liar = await startPeer()
    await using peer = await startPeer({ listen: [] })
    let asks = 0
    await script(liar, () => void asks++)
    const clock = createTestClock()
    const tried = pullInto(createHolder({ clock }), liar, peer)
    await until('it is asked', () => asks === 1)
    clock.advance(10_000)
    await expect(tried).rejects.toMatchObject({ code: 'timeout' })
  })

  test('a byte now and then', async () => {
    await using liar = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const streams: Stream[] = []
    await liar.host.libp2p.handle(SYNC_PROTOCOL, (stream) => {
      stream.addEventListener('message', () => void streams.push(stream), { once: true })
    })
    const clock = createTestClock()
    const tried = pullInto(createHolder({ clock }), liar, peer)
    const ended = expect(tried).rejects.toMatchObject({ code: 'timeout', message: expect.stringContaining('did not finish') })
    await until('it is asked', () => streams.length === 1)
    let came = 0
    for (const stream of syncStreams(peer)) stream.addEventListener('message', ({ data }) => (came += data.byteLength))
    streams[0]?.send(Uint8Array.of(0, 0, 1, 0))
    for (let bytes = 4, at = 0; at < SYNC_ANSWER_MS; at += 9_000, bytes++) {
      await until('it came', () => came === bytes)
      clock.advance(9_000)
      streams[0]?.send(Uint8Array.of(0))
    }
    await ended
  })
})

describe('sums that collide', () => {
  /** Reconciles as if both held the same; the ids and commands are its own. */
  async function colliding(node: Peer, theirs: Holder, ours: Holder, asked: string[] = []): Promise<void> {
    await script(node, (ask) => {
      asked.push(ask.ask)
      return ask.ask === 'reconcile' ? { answer: 'reconcile', message: respond(ours.set(ask.set), ask.message) } : honest(theirs, ask)
    })
  }

  test('are found by the root, and the full list brings what was hidden', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const all = await commands(200)
    let listed = 0
    const theirs = createHolder()
    const ours = createHolder({ mayListAll: () => ++listed > 0 })
    theirs.add(all.slice(0, 190))
    ours.add(all.slice(20))
    const asked: string[] = []
    await colliding(node, theirs, ours, asked)
    const result = await pullInto(ours, node, peer)
    expect(result).toMatchObject({ fetched: 20, taken: 20, ahead: 10, unequal: [], more: false })
    expect(listed).toBe(1)
    expect(asked).toEqual(['sets', 'reconcile', 'sets', 'reconcile', 'ids', 'commands'])
  })

  test('are reported where no list may be asked for, and all other sets are pulled', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    const ours = createHolder()
    theirs.add(await commands(10))
    ours.add((await commands(12)).slice(2))
    await colliding(node, theirs, ours)
    expect(await pullInto(ours, node, peer)).toMatchObject({ fetched: 0, unequal: [SET], more: false })
    expect(ours.size).toBe(10)
  })

  test('are reported where the list shows no difference either', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    const ours = createHolder({ mayListAll: () => true })
    for (const holder of [theirs, ours]) holder.add(await commands(10))
    await script(node, (ask) => (ask.ask === 'sets' ? setsOf(announced()) : honest(theirs, ask)))
    expect(await pullInto(ours, node, peer)).toMatchObject({ fetched: 0, ahead: 0, unequal: [SET] })
  })

  test('are no matter where the sets have become equal in the meantime', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    const ours = createHolder()
    for (const holder of [theirs, ours]) holder.add(await commands(10))
    let asks = 0
    await script(node, (ask) => (ask.ask === 'sets' ? setsOf(...(asks++ === 0 ? [announced()] : [])) : honest(theirs, ask)))
    expect(await pullInto(ours, node, peer)).toMatchObject({ unequal: [], more: false })
    expect(asks).toBe(2)
  })

  test.each([
    ['out of order', (n: number) => ({ ids: [item(START + 5), item(START)], more: n < 0 })],
    ['the same page again and again', () => ({ ids: [item(START + 5)], more: true })],
    ['more without anything', () => ({ ids: [], more: true })]
  ])('a full list: %s', async (_name, list) => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    const ours = createHolder({ mayListAll: () => true })
    for (const holder of [theirs, ours]) holder.add(await commands(10))
    await script(node, (ask, n) => {
      if (ask.ask === 'sets') return setsOf(announced())
      return ask.ask === 'ids' ? { answer: 'ids', ...list(n) } : honest(theirs, ask)
    })
    await expect(pullInto(ours, node, peer)).rejects.toMatchObject({ code: 'dishonest' })
  })

  const item = (ms: number): { ms: number; id: Uint8Array } => ({ ms, id: new Uint8Array(32) })
})

describe('a hostile asker', () => {
  async function dial(from: Peer, to: Peer): Promise<FrameStream> {
    const stream = await from.host.libp2p.dialProtocol(multiaddr(to.address), SYNC_PROTOCOL)
    return createFrameStream(stream, { maxFrame: MAX_PAGE_BYTES, idleMs: 20_000 }, { clock: systemClock })
  }
  const ids = (after?: { ms: number; id: Uint8Array }): Uint8Array =>
    encodeSyncAsk({ ask: 'ids', network: NETWORK, set: SET, ...(after === undefined ? {} : { after }) })

  test('with garbage, too much or nothing to say is dropped and counted', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const theirs = createHolder()
    theirs.add(await commands(10))
    await using server = await serve(node, theirs.source, { idleMs: 200 })
    const sent = [
      bytesOf('garbage'),
      new Uint8Array(MAX_PAGE_BYTES),
      encodeSyncAsk({ ask: 'reconcile', network: NETWORK, set: SET, message: Uint8Array.of(0x61, 1, 2, 3) }),
      encodeSyncAsk({ ask: 'reconcile', network: NETWORK, set: SET, message: new Uint8Array(0) }),
      undefined
    ]
    for (const [i, bytes] of sent.entries()) {
      const frames = await dial(peer, node)
      if (bytes !== undefined) await frames.write(bytes).catch(() => undefined)
      await expect(frames.read()).rejects.toMatchObject({ code: 'cut' })
      await until('it is counted', () => server.aborted === i + 1)
    }
    const polite = await dial(peer, node)
    await polite.end()
    await polite.close()
    expect(server.aborted).toBe(sent.length)
    expect(await pullInto(createHolder(), node, peer)).toMatchObject({ fetched: 10 })
  })

  test('is told what is not known, and then the stream ends', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await using server = await serve(node, createHolder().source)
    for (const [ask, error] of [
      [{ v: 1, network: NETWORK, ask: 'dance' }, 'unsupported'],
      [{ v: 2, network: NETWORK, ask: 'sets' }, 'unsupported'],
      [{ v: 1, network: 'other', ask: 'dance' }, 'network']
    ] as const) {
      const frames = await dial(peer, node)
      await frames.write(wire.encode(ask))
      expect(decodeSyncAnswer((await frames.read()) as Uint8Array)).toMatchObject({ answer: 'error', error })
      await expect(frames.read()).rejects.toMatchObject({ code: 'cut' })
      await frames.close()
    }
    expect(server.aborted).toBe(0)
  })

  test('that asks on and on is told to stop', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    await using server = await serve(node, createHolder().source)
    const frames = await dial(peer, node)
    const last = async (): Promise<SyncAnswer> => {
      await frames.write(ids())
      return decodeSyncAnswer((await frames.read()) as Uint8Array)
    }
    for (let i = 0; i < MAX_SYNC_ASKS; i++) expect(await last()).toMatchObject({ answer: 'ids' })
    expect(await last()).toEqual({ answer: 'error', error: 'busy' })
    await frames.close()
    expect(server.aborted).toBe(0)
  })

  test('that does not read costs a few pages and is dropped', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    let read = 0
    const source = {
      ...createHolder().source,
      commands: (asked: readonly string[]) => {
        read += asked.length
        return asked.map(() => ({ acceptedAt: 1, envelope: new Uint8Array(60_000) }))
      }
    }
    await using server = await serve(node, source, { idleMs: 500 })
    const stream = await peer.host.libp2p.dialProtocol(multiaddr(node.address), SYNC_PROTOCOL)
    stream.pause()
    const frames = createFrameStream(stream, { maxFrame: MAX_PAGE_BYTES, idleMs: 20_000 }, { clock: systemClock })
    const ask = encodeSyncAsk({
      ask: 'commands',
      network: NETWORK,
      ids: Array.from({ length: 1_000 }, (_, i) => i.toString(16).padStart(64, '0'))
    })
    for (let i = 0; i < 40 && stream.status === 'open'; i++) await frames.write(ask).catch(() => undefined)
    await until('it is dropped', () => server.aborted === 1)
    expect(read).toBeLessThan(40 * 32)
  })

  test('that trickles loses its place at the limit', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const clock = createTestClock()
    const theirs = createHolder()
    await using server = await serve(node, theirs.source, { clock })
    const frames = await dial(peer, node)
    for (let at = 0; at + 9_000 < MAX_SYNC_STREAM_MS; at += 9_000) {
      clock.advance(9_000)
      await frames.write(ids())
      await frames.read()
    }
    expect(server.aborted).toBe(0)
    clock.advance(9_000)
    await expect(frames.read()).rejects.toMatchObject({ code: 'cut' })
    expect(server.aborted).toBe(1)
  })

  test('gets no more streams than its share, and strangers together no more than theirs', async () => {
    await using node = await startPeer()
    const peers = await Promise.all(Array.from({ length: 5 }, () => startPeer({ listen: [] })))
    try {
      const [friend, ...strangers] = peers as [Peer, ...Peer[]]
      const theirs = createHolder()
      theirs.add(await commands(10))
      await using server = await serve(node, theirs.source, { isKnown: (peer) => peer === friend.host.id })
      const opened: FrameStream[] = []
      const served: number[] = []
      for (const stranger of strangers) {
        const before = opened.length
        for (let i = 0; i < 4; i++) {
          const frames = await dial(stranger, node)
          await frames.write(ids()).catch(() => undefined)
          await frames.read().then(
            () => opened.push(frames),
            () => undefined
          )
        }
        served.push(opened.length - before)
      }
      expect(served).toEqual([2, 2, 2, 0])
      expect(server.aborted).toBe(10)
      await expect(pullInto(createHolder(), node, strangers[3] as Peer)).rejects.toMatchObject({ name: 'NetworkError' })
      expect(await pullInto(createHolder(), node, friend)).toMatchObject({ fetched: 10 })
      for (const frames of opened) frames.abort(new Error('enough'))
      await until('there is room again', () => server.aborted === 17)
      expect(await pullInto(createHolder(), node, strangers[3] as Peer)).toMatchObject({ fetched: 10 })
    } finally {
      for (const peer of peers) await peer[Symbol.asyncDispose]()
    }
  })

  test('that is no known node waits for its turn, and who is known does not wait for it', async () => {
    await using node = await startPeer()
    await using a = await startPeer({ listen: [] })
    await using b = await startPeer({ listen: [] })
    await using friend = await startPeer({ listen: [] })
    const clock = createTestClock()
    const { source } = createHolder()
    const slow = {
      ...source,
      set: () => {
        clock.advance(50)
        return undefined
      }
    }
    let onAsked = (_peer: string): void => {}
    const isKnown = (peer: string): boolean => {
      onAsked(peer)
      return peer === friend.host.id
    }
    await using _server = await serve(node, slow, { clock, isKnown })
    const [first, second, known] = [await dial(a, node), await dial(b, node), await dial(friend, node)]
    const round = async (frames: FrameStream): Promise<unknown> => {
      await frames.write(ids())
      return frames.read()
    }
    await round(second)
    clock.advance(50)
    await round(first)
    let [answered, heard] = [false, false]
    onAsked = (peer) => (heard ||= peer === b.host.id)
    const answer = round(second).then(() => {
      answered = true
    })
    await until('it is heard', () => heard)
    await known.write(encodeSyncAsk({ ask: 'commands', network: NETWORK, ids: [] }))
    await known.read()
    expect(answered).toBe(false)
    clock.advance(50)
    await answer
  })

  test('does not outlive the server', async () => {
    await using node = await startPeer()
    await using peer = await startPeer({ listen: [] })
    const server = await serve(node, createHolder().source, { clock: createTestClock() })
    const frames = await dial(peer, node)
    await frames.write(ids())
    await frames.read()
    const next = frames.read()
    await server.stop()
    await expect(next).rejects.toMatchObject({ code: 'cut' })
  })
})

function syncStreams(peer: Peer): Stream[] {
  return peer.host.libp2p.getConnections().flatMap(({ streams }) => streams.filter(({ protocol }) => protocol === SYNC_PROTOCOL))
}

function openStreams(peer: Peer): number {
  return syncStreams(peer).length
}

function withBrokenSignature(envelope: Uint8Array): Uint8Array {
  const map = wire.fields(wire.decode(envelope), 'envelope')
  return wire.encode({ ...map, signature: new Uint8Array(64) })
}
