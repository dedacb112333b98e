/** Keys with `max-pins` and `max-size`: what they may have a node take on, and what becomes of the rest. */
import { describe, expect, test } from 'vitest'
import { noChanges } from '../../src/node/settle.ts'
import type { PinOperation, UnpinOperation, UpdateOperation } from '../../src/protocol/command.ts'
import type { Grant } from '../../src/protocol/grants.ts'
import type { Signer } from '../../src/protocol/signature.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'

const alice = author('alice')
const bob = author('bob')
const [a, b, c, d] = [cidOf('a'), cidOf('b'), cidOf('c'), cidOf('d')]
const QUOTA = [{ status: 'refused', code: 'quota' }]
const SIZE = [{ status: 'refused', code: 'size' }]
const QUEUED = [{ status: 'queued' }]

let counter = 0
async function say(
  core: AgentCore,
  who: Signer,
  operation: PinOperation | UnpinOperation | UpdateOperation,
  pinset = 'default'
): Promise<string> {
  const { bytes, id } = await command(who, { operations: [operation], time: { ms: core.clock.now() + counter++, counter: 0 }, pinset })
  expect(core.hear(bytes)).toBe('accept')
  return id
}

const pin = (cid = a): PinOperation => ({ op: 'pin', cid })
const unpin = (cid = a): UnpinOperation => ({ op: 'unpin', cid })
const update = (from = a, to = b): UpdateOperation => ({ op: 'update', from, to })
const held = (core: AgentCore): string[] => core.store.held(undefined, undefined, 99).map(({ cid }) => cid)
const keys = (...cids: { toString(): string }[]): string[] => cids.map(String).toSorted()
const usage = ({ store }: AgentCore, who = alice) => store.usage(who.author)

/** An agent on which alice is capped and bob is not. */
async function capped(caps: Partial<Grant>): Promise<AgentCore> {
  const core = createAgentCore()
  await core.authorise([grantOf(alice, caps), grantOf(bob)])
  return core
}

/** Pins, and fetches at once. */
async function pinned(core: AgentCore, who: Signer, cid: typeof a, bytes = 10, pinset = 'default'): Promise<string> {
  const id = await say(core, who, pin(cid), pinset)
  core.done(String(cid), bytes)
  return id
}

describe('max-pins', () => {
  test('a pin beyond it is refused and leaves nothing to do; after an unpin there is room, for what is said then', async () => {
    using core = await capped({ maxPins: 2 })
    await pinned(core, alice, a)
    await say(core, alice, pin(b))
    const third = await say(core, alice, pin(c))
    expect(core.states(third)).toEqual(QUOTA)
    expect(core.store.job(String(c))).toBeUndefined()
    expect([held(core).toSorted(), usage(core)]).toEqual([keys(a, b), { pins: 2, bytes: 10 }])

    await say(core, alice, unpin(a))
    expect(usage(core)).toEqual({ pins: 1, bytes: 0 })
    expect(core.states(third)).toEqual(QUOTA)
    expect(core.states(await say(core, alice, pin(c)))).toEqual(QUEUED)
    expect(core.states(third)).toMatchObject([{ status: 'superseded' }])
  })

  test('a CID counts once a pinset, and not again when it is said again', async () => {
    using core = await capped({ maxPins: 2 })
    await pinned(core, alice, a, 10, 'site')
    await say(core, alice, pin(a), 'site')
    expect(usage(core)).toEqual({ pins: 1, bytes: 10 })
    expect(core.states(await say(core, alice, pin(a), 'backup'))).toEqual([{ status: 'pinned', bytes: 10 }])
    expect(usage(core)).toEqual({ pins: 2, bytes: 20 })
    expect(core.states(await say(core, alice, pin(a), 'other'))).toEqual(QUOTA)
  })

  test('of one command the first pins are taken', async () => {
    using core = await capped({ maxPins: 2 })
    const { bytes, id } = await command(alice, { operations: [a, b, c].map(pin), time: { ms: core.clock.now(), counter: 0 } })
    core.hear(bytes)
    expect(core.states(id).map(({ status }) => status)).toEqual(['queued', 'queued', 'refused'])
  })

  test('pins of others are charged to them; what is refused does not expire, narrow or take over theirs', async () => {
    using core = await capped({ maxPins: 1 })
    const theirs = await pinned(core, bob, b)
    await pinned(core, alice, a)
    const refused = await say(core, alice, { op: 'pin', cid: b, expires: core.clock.now() + 1 })
    expect(core.states(refused)).toEqual(QUOTA)
    expect(core.states(await say(core, alice, update(b, c)))).toEqual(QUOTA)
    core.clock.advance(1_000)
    await core.authorise([grantOf(alice, { maxPins: 1 }), grantOf(bob, { comment: 'settled anew' })])
    expect(core.states(theirs)).toEqual([{ status: 'pinned', bytes: 10 }])
    expect(core.store.job(String(b))).toBeUndefined()
    expect([usage(core), usage(core, bob)]).toEqual([
      { pins: 1, bytes: 10 },
      { pins: 1, bytes: 10 }
    ])
  })

  test('both pay for what both want; when one lets go the other is not asked for room', async () => {
    using core = createAgentCore()
    await core.authorise([grantOf(alice, { maxPins: 1 }), grantOf(bob, { rights: ['pin'], maxPins: 1 })])
    const first = await pinned(core, alice, a)
    const { bytes } = await command(bob, {
      operations: [{ op: 'pin', cid: a, expires: core.clock.now() + 500 }],
      time: { ms: core.clock.now() + counter++, counter: 0 }
    })
    core.hear(bytes)
    expect(core.states(await say(core, bob, pin(c)))).toEqual(QUOTA)
    expect(core.states(await say(core, alice, pin(b)))).toEqual(QUOTA)
    core.clock.advance(1_000)
    const next = await say(core, bob, pin(c))
    core.store.transaction(() => core.settler.settle(String(a), core.clock.now(), noChanges()))
    expect([core.states(first), held(core)]).toEqual([[{ status: 'pinned', bytes: 10 }], [String(a)]])
    expect(core.states(next)).toEqual(QUOTA)
    expect(core.states(await say(core, bob, pin(d)))).toEqual(QUEUED)
  })
})

describe('max-size', () => {
  test('a pin that turns out too large is stopped as it comes, and nothing of it stays', async () => {
    using core = await capped({ maxBytes: 100 })
    const first = await pinned(core, alice, a, 60)
    const second = await say(core, alice, pin(b))
    core.fetched(String(b), 40)
    expect(core.states(second)).toEqual(QUEUED)
    core.fetched(String(b), 41)
    expect(core.states(second)).toEqual(SIZE)
    expect(core.store.job(String(b))?.action).toBe('unpin')
    core.done(String(b))
    expect([core.store.jobCount(), held(core), usage(core)]).toEqual([0, [String(a)], { pins: 1, bytes: 60 }])
    expect(core.states(first)).toEqual([{ status: 'pinned', bytes: 60 }])
  })

  test('also when its size is known only at the end', async () => {
    using core = await capped({ maxBytes: 100 })
    const id = await say(core, alice, pin(a))
    core.done(String(a), 101)
    expect([core.states(id), core.store.pin(String(a)), core.store.job(String(a))?.action]).toEqual([SIZE, undefined, 'unpin'])
    const fits = await pinned(core, alice, b, 100)
    expect(core.states(fits)).toEqual([{ status: 'pinned', bytes: 100 }])
  })

  test('pins that run at a time share it: the one that crosses the line is refused', async () => {
    using core = await capped({ maxBytes: 100 })
    const [one, two] = [await say(core, alice, pin(a)), await say(core, alice, pin(b))]
    core.fetched(String(a), 60)
    core.fetched(String(b), 40)
    expect([core.states(one), core.states(two)]).toEqual([QUEUED, QUEUED])
    core.fetched(String(a), 61)
    expect([core.states(one), core.states(two)]).toEqual([SIZE, QUEUED])
    core.done(String(b), 90)
    expect(core.states(two)).toEqual([{ status: 'pinned', bytes: 90 }])
  })

  test('what others have here is refused at once where it does not fit', async () => {
    using core = await capped({ maxBytes: 100 })
    await pinned(core, bob, a, 101)
    expect(core.states(await say(core, alice, pin(a)))).toEqual(SIZE)
    await pinned(core, bob, b, 100)
    expect(core.states(await say(core, alice, pin(b)))).toEqual([{ status: 'pinned', bytes: 100 }])
  })

  test('in two pinsets it counts twice', async () => {
    using core = await capped({ maxBytes: 100 })
    const [one, two] = [await say(core, alice, pin(a), 'site'), await say(core, alice, pin(a), 'backup')]
    core.fetched(String(a), 50)
    expect(usage(core).pins).toBe(2)
    core.done(String(a), 51)
    expect(new Set([one, two].flatMap((id) => core.states(id)).map(({ status }) => status))).toEqual(new Set(['pinned', 'refused']))
    expect(usage(core)).toEqual({ pins: 1, bytes: 51 })
  })

  test('a pin that somebody else wants too goes on for him', async () => {
    using core = await capped({ maxBytes: 100 })
    const [mine, theirs] = [await say(core, alice, pin(a)), await say(core, bob, pin(a))]
    core.fetched(String(a), 101)
    expect([core.states(mine), core.states(theirs)]).toEqual([SIZE, QUEUED])
    core.done(String(a), 200)
    expect([core.states(mine), core.states(theirs)]).toEqual([SIZE, [{ status: 'pinned', bytes: 200 }]])
  })

  test('what was pinned and is lost is fetched again, whatever came in between', async () => {
    using core = await capped({ maxBytes: 100 })
    const id = await pinned(core, alice, a, 60)
    core.store.transaction(() => {
      core.store.removePin(String(a))
      core.settler.settle(String(a), core.clock.now(), noChanges())
    })
    const other = await say(core, alice, pin(b))
    core.done(String(b), 41)
    expect(core.states(other)).toEqual(SIZE)
    await core.authorise([grantOf(alice, { maxBytes: 10 }), grantOf(bob)])
    core.done(String(a), 60)
    expect(core.states(id)).toEqual([{ status: 'pinned', bytes: 60 }])
  })
})

describe('an update', () => {
  test('needs no room for what it replaces, and then makes none', async () => {
    using core = await capped({ maxPins: 1, maxBytes: 100 })
    await pinned(core, alice, a, 90)
    const id = await say(core, alice, update(a, b))
    expect([core.states(id), held(core).toSorted()]).toEqual([QUEUED, keys(a, b)])
    core.done(String(b), 95)
    expect([core.states(id), usage(core)]).toEqual([[{ status: 'pinned', bytes: 95 }], { pins: 1, bytes: 95 }])
    expect(core.store.job(String(a))?.action).toBe('unpin')
    expect(core.states(await say(core, alice, pin(c)))).toEqual(QUOTA)
  })

  test('that is refused leaves what it would have replaced, and every byte of it', async () => {
    using core = await capped({ maxBytes: 100 })
    const first = await pinned(core, alice, a, 60)
    const id = await say(core, alice, update(a, b))
    core.fetched(String(b), 100)
    expect([core.states(id), core.states(first)]).toMatchObject([QUEUED, [{ status: 'superseded' }]])
    // The room of what is replaced is nobody else's meanwhile.
    const other = await say(core, alice, pin(c))
    expect(core.states(other)).toEqual(SIZE)
    core.fetched(String(b), 101)
    expect([core.states(id), core.states(first)]).toEqual([SIZE, [{ status: 'pinned', bytes: 60 }]])
    core.done(String(b))
    expect([held(core), core.store.jobCount(), usage(core)]).toEqual([[String(a)], 0, { pins: 1, bytes: 60 }])
    // It is let go of as ever.
    await say(core, alice, unpin(a))
    expect(core.store.job(String(a))?.action).toBe('unpin')
  })

  test.each([
    ['after', true],
    ['before', false]
  ])('that is refused to what others have here lets go of nothing, whether that is settled %s it', async (_order, isFirst) => {
    using core = await capped({ maxPins: 2, maxBytes: 100 })
    const ordered = [a, b].toSorted((one, other) => (String(one) < String(other) ? -1 : 1))
    const [from, to] = (isFirst ? ordered : ordered.toReversed()) as [typeof a, typeof a]
    await pinned(core, bob, to, 200, 'theirs')
    const old = await pinned(core, alice, from, 60)
    expect(core.states(await say(core, alice, update(from, to)))).toEqual(SIZE)
    for (const comment of ['settled', 'settled anew']) {
      expect([core.states(old), core.store.job(String(from))]).toEqual([[{ status: 'pinned', bytes: 60 }], undefined])
      await core.authorise([grantOf(alice, { maxPins: 2, maxBytes: 100, comment }), grantOf(bob)])
    }
  })

  test('that came before the pin of what it replaces, and is refused: that is fetched then', async () => {
    using core = await capped({ maxBytes: 100 })
    await say(core, alice, update(a, b))
    const { bytes, id } = await command(alice, { operations: [pin(a)], time: { ms: core.clock.now() - 10, counter: 0 } })
    core.hear(bytes)
    expect([core.states(id), held(core)]).toMatchObject([[{ status: 'superseded' }], [String(b)]])
    core.fetched(String(b), 101)
    expect([core.states(id), held(core)]).toEqual([QUEUED, [String(a)]])
  })

  test('of an update: all of the row makes room for its end', async () => {
    using core = await capped({ maxPins: 1 })
    await pinned(core, alice, a)
    const second = await say(core, alice, update(a, b))
    const third = await say(core, alice, update(b, c))
    expect([core.states(second), core.states(third)]).toMatchObject([[{ status: 'superseded' }], QUEUED])
    core.done(String(c))
    core.done(String(b))
    core.done(String(a))
    expect([held(core), usage(core)]).toEqual([[String(c)], { pins: 1, bytes: 10 }])
  })

  test('one place makes room once: neither said again nor replaced again does it twice', async () => {
    using core = await capped({ maxPins: 1 })
    await pinned(core, alice, a)
    const first = await say(core, alice, update(a, b))
    expect(core.states(await say(core, alice, update(a, c)))).toEqual(QUEUED)
    expect(core.states(first)).toEqual(QUOTA)
    const back = await say(core, alice, pin(a))
    expect([core.states(back), usage(core)]).toEqual([[{ status: 'pinned', bytes: 10 }], { pins: 1, bytes: 10 }])
    expect(held(core)).toEqual([String(a)])

    await say(core, alice, update(a, b))
    await say(core, alice, update(b, d))
    await say(core, alice, pin(a))
    expect(usage(core)).toEqual({ pins: 1, bytes: 10 })
  })
})

describe('a line that changes', () => {
  test('a cap that is lowered releases nothing, and refuses what is not here yet', async () => {
    using core = await capped({})
    const [one, two] = [await pinned(core, alice, a, 60), await pinned(core, alice, b, 60)]
    const waiting = await say(core, alice, pin(c))
    await core.authorise([grantOf(alice, { maxPins: 1, maxBytes: 10 }), grantOf(bob)])
    expect([core.states(one), core.states(two)]).toEqual([[{ status: 'pinned', bytes: 60 }], [{ status: 'pinned', bytes: 60 }]])
    expect(core.states(waiting)).toEqual(QUOTA)
    expect(core.states(await say(core, alice, update(a, d)))).toEqual(QUOTA)
    expect(held(core).toSorted()).toEqual(keys(a, b))
    expect(core.states(await say(core, alice, pin(a)))).toEqual([{ status: 'pinned', bytes: 60 }])
  })

  test('one that is raised takes on what was refused, as far as there is room', async () => {
    using core = await capped({ maxPins: 1 })
    await pinned(core, alice, a)
    const refused = [await say(core, alice, pin(b)), await say(core, alice, pin(c))]
    expect(refused.map((id) => core.states(id))).toEqual([QUOTA, QUOTA])
    await core.authorise([grantOf(alice, { maxPins: 2 }), grantOf(bob)])
    expect(
      refused
        .flatMap((id) => core.states(id))
        .map(({ status }) => status)
        .toSorted()
    ).toEqual(['queued', 'refused'])
    await core.authorise([grantOf(alice), grantOf(bob)])
    expect(refused.map((id) => core.states(id))).toEqual([QUEUED, QUEUED])
  })

  test('a key that is voided pays for nothing, and what it pinned stays', async () => {
    using core = await capped({ maxPins: 1 })
    await pinned(core, alice, a)
    await core.authorise([grantOf(bob)], [alice.author])
    expect([usage(core), held(core), core.store.jobCount()]).toEqual([{ pins: 0, bytes: 0 }, [String(a)], 0])
    await core.authorise([grantOf(alice, { maxPins: 1 }), grantOf(bob)])
    expect(usage(core)).toEqual({ pins: 1, bytes: 10 })
  })
})

test('what a cap refuses is kept and passed on as ever', async () => {
  using core = await capped({ maxPins: 1 })
  using free = await capped({})
  for (const operation of [pin(a), pin(b), update(a, c)]) {
    const { bytes } = await command(alice, { operations: [operation], time: { ms: core.clock.now() + counter++, counter: 0 } })
    for (const each of [core, free]) expect(each.hear(bytes)).toBe('accept')
  }
  expect(core.sets.digests()).toEqual(free.sets.digests())
})
