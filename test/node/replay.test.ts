/** Genuine bytes, said again by whoever recorded them: nothing changes, and little is said. gossipsub forgets what it saw after 120 s. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { noChanges } from '../../src/node/settle.ts'
import { MAX_PASSED, PASSED_MS, REPEAT_ACK_MS } from '../../src/protocol/limits.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'

const alice = author('alice')
const x = cidOf('x')
const START = 1_700_000_000_000
/** Longer than gossipsub remembers a message. */
const FORGOTTEN_MS = 121_000

const say = (op: 'pin' | 'unpin', ms: number, rest: { readonly network?: string; readonly expires?: number } = {}) => {
  const { network, ...more } = rest
  return command(alice, { operations: [{ op, cid: x, ...more }], time: { ms, counter: 0 }, ...(network === undefined ? {} : { network }) })
}

/** What is wanted, held and to be done. */
const state = ({ store }: AgentCore) => ({
  pin: store.pin(x.toString())?.bytes,
  job: store.job(x.toString())?.action,
  registers: store.registers(x.toString()).map(({ kind, rank }) => [kind, rank.command])
})

describe('a pin that was taken back', () => {
  test.each([
    ['after the seen-cache time', false],
    ['after a restart', true]
  ])('is not pinned again by a replay %s', async (_, restarts) => {
    const dir = await mkdtemp(join(tmpdir(), 'pinsub-replay-'))
    onTestFinished(() => rm(dir, { recursive: true, force: true }))
    const file = join(dir, 'state.db')
    const [pin, unpin] = [await say('pin', START), await say('unpin', START + 1)]
    const first = createAgentCore({ file })
    await first.authorise([grantOf(alice)])
    expect(first.hear(pin.bytes)).toBe('accept')
    first.done(x.toString())
    expect(first.hear(unpin.bytes)).toBe('accept')
    first.done(x.toString())
    const before = state(first)
    expect(before.pin).toBeUndefined()
    if (restarts) first.store.close()
    using core = restarts ? createAgentCore({ file }) : first
    if (restarts) await core.authorise([grantOf(alice)])
    core.clock.advance(FORGOTTEN_MS)
    for (const { bytes } of [pin, unpin, pin]) {
      expect(core.hear(bytes)).toBe('ignore duplicate')
      expect(state(core)).toEqual(before)
    }
    expect(core.states(pin.id)).toEqual([{ status: 'superseded', by: unpin.id }])
  })

  test('nor when the node has forgotten the command itself', async () => {
    using core = createAgentCore()
    await core.authorise([grantOf(alice)])
    const [old, pin, unpin] = [await say('pin', START - 1), await say('pin', START), await say('unpin', START + 1)]
    for (const { bytes } of [old, pin, unpin]) core.hear(bytes)
    core.done(x.toString())
    core.clock.advance(PASSED_MS + 1)
    core.store.transaction(() => core.store.forgetPassed(core.clock.now() - PASSED_MS, MAX_PASSED, 100))
    expect(core.intake.knows(old.id)).toBe(false)
    const before = state(core)
    expect(core.hear(old.bytes)).toBe('accept')
    expect(state(core)).toEqual(before)
    expect(core.states(old.id)[0]).toMatchObject({ status: 'superseded' })
  })
})

test('a pin that has expired stays so', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { bytes } = await say('pin', START, { expires: START + 1_000 })
  core.hear(bytes)
  core.clock.advance(FORGOTTEN_MS)
  core.store.transaction(() => core.settler.settle(x.toString(), core.clock.now(), noChanges()))
  const before = state(core)
  expect(core.hear(bytes)).toBe('ignore duplicate')
  expect(state(core)).toEqual(before)
})

test('a command of another network is rejected, whoever signed it', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  expect(core.hear((await say('pin', START, { network: 'other' })).bytes)).toBe('reject network')
  expect(state(core)).toEqual({ pin: undefined, job: undefined, registers: [] })
})

describe('who finds an old key dates commands back', () => {
  test.each([
    ['closed by its line gone', [], [], 'unauthorised'],
    ['closed by its expiry-time', [grantOf(alice, { expiryTime: START + 1 })], [], 'expired'],
    ['revoked', [], [alice.author], 'unauthorised']
  ] as const)('a key that is %s says nothing new', async (_, grants, revoked, reason) => {
    using core = createAgentCore()
    await core.authorise([grantOf(alice)])
    expect(core.hear((await say('pin', START)).bytes)).toBe('accept')
    core.done(x.toString())
    core.clock.advance(1)
    await core.authorise(grants, revoked)
    const before = state(core)
    for (const ms of [1, START - 1, START]) {
      const { bytes, id } = await command(alice, { operations: [{ op: 'unpin', cid: x }], time: { ms, counter: 7 } })
      expect(core.hear(bytes)).toBe(`ignore ${reason}`)
      expect(core.intake.knows(id)).toBe(false)
    }
    expect(state(core)).toEqual(before)
  })
})

test('a hundred old commands, said again fifty times in a minute, are acknowledged six times each at most', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const old = await Promise.all(
    Array.from({ length: 100 }, (_, i) =>
      command(alice, { operations: [{ op: 'pin', cid: cidOf(`${i}`) }], time: { ms: START + i, counter: 0 } })
    )
  )
  for (const { bytes } of old) core.hear(bytes)
  core.clock.advance(FORGOTTEN_MS)
  core.changes.length = 0
  for (let round = 0; round < 50; round++) {
    for (const { bytes } of old) expect(core.hear(bytes)).toBe('ignore duplicate')
    core.clock.advance(60_000 / 50)
  }
  const told = core.changes.reduce((sum, { commands }) => sum + commands.size, 0)
  expect(told).toBeLessThanOrEqual(100 * (60_000 / REPEAT_ACK_MS))
  expect(told).toBeGreaterThan(0)
  expect(core.refusals).toEqual([])
})
