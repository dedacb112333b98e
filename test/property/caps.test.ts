/** Whatever a capped key says, and in whatever order things are done: it takes no more than its share, and costs nobody what they have. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { noChanges } from '../../src/node/settle.ts'
import type { PinsetOperation } from '../../src/protocol/command.ts'
import type { Grant } from '../../src/protocol/grants.ts'
import type { StoredRegister } from '../../src/protocol/records.ts'
import { decide, wanting } from '../../src/protocol/wish.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'
import { RUNS } from './arbitrary.ts'

const greedy = author('greedy')
const other = author('other')
const CIDS = ['a', 'b', 'c', 'd', 'e'].map(cidOf)
const KEYS = CIDS.map(String)
const PINSETS = ['p', 'q']
/** What each CID comes to. */
const SIZES = [10, 30, 50, 50, 120]
const CAPS = { maxPins: 2, maxBytes: 100 } as const

const at = fc.nat({ max: CIDS.length - 1 })
const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('say' as const),
      isGreedy: fc.constantFrom(true, true, true, false),
      pinset: fc.constantFrom(...PINSETS),
      op: fc.constantFrom('pin' as const, 'pin' as const, 'update' as const, 'update' as const, 'unpin' as const),
      at,
      to: at,
      /** How much lower than by now it ranks. */
      back: fc.constantFrom(0, 0, 0, 5),
      lasts: fc.option(fc.integer({ min: 1, max: 20 }), { nil: undefined })
    })
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fetch' as const), at, part: fc.constantFrom(0.3, 0.7, 1) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('work' as const), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('lose' as const), at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 10 }) }) }
)
const line = fc.record({
  kind: fc.constant('line' as const),
  caps: fc.constantFrom<Partial<Grant>>({ maxPins: 1, maxBytes: 20 }, { maxPins: 1 }, { maxBytes: 60 }, {}, CAPS)
})
type Step = ReturnType<typeof step.generate>['value'] | ReturnType<typeof line.generate>['value']

const grants = (caps: Partial<Grant>): Grant[] => [grantOf(greedy, caps), grantOf(other)]

async function play(core: AgentCore, one: Step, isPlayed = true): Promise<void> {
  const { store, settler, clock } = core
  clock.advance(1)
  const settle = (cids: readonly string[]): void =>
    store.transaction(() => cids.forEach((cid) => settler.settle(cid, clock.now(), noChanges())))
  switch (one.kind) {
    case 'say': {
      const [from, to] = [CIDS[one.at], CIDS[one.to]] as [(typeof CIDS)[0], (typeof CIDS)[0]]
      if (one.op === 'update' && from === to) return
      const expires = one.lasts === undefined ? {} : { expires: clock.now() + one.lasts }
      const operation: PinsetOperation =
        one.op === 'update'
          ? { op: 'update', from, to }
          : one.op === 'pin'
            ? { op: 'pin', cid: from, ...expires }
            : { op: 'unpin', cid: from }
      const time = { ms: clock.now() - one.back, counter: clock.now() % 1_000_000 }
      const { bytes } = await command(one.isGreedy ? greedy : other, { operations: [operation], time, pinset: one.pinset })
      if (isPlayed) expect(core.hear(bytes)).toBe('accept')
      return
    }
    case 'fetch':
      if (store.job(KEYS[one.at] as string)?.action === 'pin') {
        core.fetched(KEYS[one.at] as string, (SIZES[one.at] as number) * one.part)
      }
      return
    case 'work':
      if (store.job(KEYS[one.at] as string) !== undefined) core.done(KEYS[one.at] as string, SIZES[one.at])
      return
    case 'lose':
      if (store.pin(KEYS[one.at] as string) === undefined || store.job(KEYS[one.at] as string) !== undefined) return
      store.removePin(KEYS[one.at] as string)
      settle([KEYS[one.at] as string])
      return
    case 'wait':
      clock.advance(one.ms)
      settle(KEYS)
      return
    case 'line':
      await core.authorise(grants(one.caps))
  }
}

const registersIn = ({ store }: AgentCore, cid: string, pinset: string): StoredRegister[] =>
  store.registers(cid).filter((register) => register.pinset === pinset)

/** Pins of the greedy key that count, and by what is known what they come to. */
function taken(core: AgentCore): { pins: number; bytes: number } {
  let [pins, bytes] = [0, 0]
  for (const cid of KEYS) {
    for (const pinset of PINSETS) {
      const wanted = wanting(registersIn(core, cid, pinset), pinset, core.standings.get, core.clock.now())
      for (const pin of wanted.filter(({ author: by }) => by === greedy.author)) {
        pins++
        bytes += pin.charge?.bytes ?? 0
      }
    }
  }
  return { pins, bytes }
}

function charged({ store }: AgentCore): { pins: number; bytes: number } {
  const charges = KEYS.flatMap((cid) => store.registers(cid)).flatMap(({ author: by, charge }) =>
    by === greedy.author && charge !== undefined ? [charge.bytes ?? 0] : []
  )
  return { pins: charges.length, bytes: charges.reduce((a, b) => a + b, 0) }
}

/** What is pinned, by pinset. */
const pinned = ({ store }: AgentCore): { cid: string; pinset: string }[] =>
  store.held(undefined, undefined, 99).filter(({ cid }) => store.pin(cid) !== undefined && store.job(cid) === undefined)

/** A register as if no cap had refused it. */
function takenOn(register: StoredRegister): StoredRegister {
  const { refused, ...rest } = register
  return refused === undefined ? register : rest
}

/** Pins of the greedy key that were here, and are wanted still if no cap forbids it. */
const paid = (core: AgentCore): StoredRegister[] =>
  KEYS.flatMap((cid) => PINSETS.map((pinset) => ({ cid, pinset }))).flatMap(({ cid, pinset }) => {
    const registers = registersIn(core, cid, pinset).map(takenOn)
    return wanting(registers, pinset, core.standings.get, core.clock.now()).filter(
      ({ author: by, charge }) => by === greedy.author && charge?.bytes !== undefined
    )
  })

async function check(core: AgentCore, one: Step): Promise<void> {
  const before = pinned(core)
  const mine = paid(core)
  await play(core, one)
  expect(core.store.usage(greedy.author)).toEqual(charged(core))
  // Bytes go on evidence alone, and no cap is any.
  for (const { cid, pinset } of before) {
    const isKept = core.store.holds(cid).includes(pinset) && core.store.job(cid)?.action !== 'unpin'
    const isLost = one.kind === 'lose' && KEYS[one.at] === cid
    const { want } = decide(registersIn(core, cid, pinset), pinset, core.standings.get, core.clock.now())
    if (!isKept && !isLost) expect(want, `${one.kind}: ${cid} in ${pinset}`).toBe('unpin')
  }
  for (const { cid, pinset, command: said } of mine) {
    const now = registersIn(core, cid, pinset).find(({ kind, author: by }) => kind === 'pin' && by === greedy.author)
    if (now?.command === said) expect(now.refused).toBeUndefined()
  }
}

/** Does all jobs. */
function finish(core: AgentCore): void {
  for (let i = 0; core.store.jobCount() > 0; i++) {
    expect(i).toBeLessThan(100)
    for (const [n, cid] of KEYS.entries()) if (core.store.job(cid) !== undefined) core.done(cid, SIZES[n])
  }
}

test('a key takes no more than its caps while its line stays, and nothing is let go of for one', { timeout: 60_000 }, () =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 30 }), async (steps) => {
      using core = createAgentCore()
      await core.authorise(grants(CAPS))
      for (const one of steps) {
        await check(core, one)
        const { pins, bytes } = taken(core)
        expect(pins).toBeLessThanOrEqual(CAPS.maxPins)
        expect(bytes).toBeLessThanOrEqual(CAPS.maxBytes)
      }
      finish(core)
      const { pins, bytes } = core.store.usage(greedy.author)
      expect(pins).toBeLessThanOrEqual(CAPS.maxPins)
      expect(bytes).toBeLessThanOrEqual(CAPS.maxBytes)
    }),
    { ...RUNS, numRuns: 300 }
  )
)

test('a line that changes lets go of nothing, whatever its caps are then', { timeout: 60_000 }, () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof({ weight: 8, arbitrary: step }, { weight: 1, arbitrary: line }), { maxLength: 30 }),
      async (steps) => {
        using core = createAgentCore()
        await core.authorise(grants(CAPS))
        for (const one of steps) await check(core, one)
      }
    ),
    { ...RUNS, numRuns: 300 }
  )
)

test('what others want is wanted as without a capped key that may not unpin', { timeout: 60_000 }, () =>
  fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
      using core = createAgentCore()
      using without = createAgentCore()
      for (const each of [core, without]) await each.authorise([grantOf(greedy, { ...CAPS, rights: ['pin'] }), grantOf(other)])
      for (const one of steps) {
        await play(core, one)
        await play(without, one, one.kind !== 'say' || !one.isGreedy)
        const [now, theirs] = [core.clock.now(), without.clock.now()]
        for (const cid of KEYS) {
          const wants = core.settler.view(cid, now).flatMap(({ pinset, want }) => (want === 'pin' ? [pinset] : []))
          for (const { pinset, want } of without.settler.view(cid, theirs)) if (want === 'pin') expect(wants).toContain(pinset)
        }
        expect(
          KEYS.flatMap((cid) => core.store.registers(cid)).filter(({ author: by, refused }) => by !== greedy.author && refused)
        ).toEqual([])
      }
    }),
    RUNS
  )
)
