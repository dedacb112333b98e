import { expect, test } from 'vitest'
import { createExpiry } from '../../src/node/expiry.ts'
import { createAgentCore } from '../support/agent-core.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'

const alice = author('alice')

test('lets pins go when their time is up, also those whose time came while the agent was off', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const now = core.clock.now()
  const say = async (text: string, expires: number): Promise<string> => {
    const cid = cidOf(text)
    const { bytes } = await command(alice, { operations: [{ op: 'pin', cid, expires }], time: { ms: now, counter: expires % 1_000 } })
    core.hear(bytes)
    core.done(cid.toString())
    return cid.toString()
  }
  const early = await say('early', now + 1_000)
  core.clock.advance(2_000)
  const log = { debug() {}, info() {}, warn() {} }
  const expiry = createExpiry({ store: core.store, settler: core.settler, clock: core.clock, log, mayExpire: () => true, onChanges() {} })
  expiry.start()
  expect(core.store.job(early)?.action).toBe('unpin')

  const late = await say('late', now + 86_400_000 * 40)
  expiry.changed()
  core.clock.advance(86_400_000 * 40 - 2_001)
  expect(core.store.job(late)).toBeUndefined()
  core.clock.advance(1)
  expect(core.store.job(late)?.action).toBe('unpin')
  expiry.stop()
  expect(core.clock.pending()).toBe(0)
})

test('an expiry that cannot be written is looked at again', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const expires = core.clock.now() + 1_000
  const { bytes } = await command(alice, { operations: [{ op: 'pin', cid: cidOf('x'), expires }], time: { ms: 5, counter: 0 } })
  core.hear(bytes)
  core.done(cidOf('x').toString())
  const warnings: string[] = []
  const log = { debug() {}, info() {}, warn: (message: string) => void warnings.push(message) }
  const expiry = createExpiry({ store: core.store, settler: core.settler, clock: core.clock, log, mayExpire: () => true, onChanges() {} })
  expiry.start()
  const { transaction } = core.store
  Object.assign(core.store, {
    transaction() {
      Object.assign(core.store, { transaction })
      throw new Error('database or disk is full')
    }
  })
  core.clock.advance(1_000)
  expect(warnings).toEqual([expect.stringContaining('disk is full')])
  expect(core.store.job(cidOf('x').toString())).toBeUndefined()
  core.clock.advance(60_000)
  expect(core.store.job(cidOf('x').toString())?.action).toBe('unpin')
  expiry.stop()
})

test('while the clock is not believed nothing expires, and what is due then expires once it is', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const cid = cidOf('x')
  const expires = core.clock.now() + 1_000
  const { bytes } = await command(alice, { operations: [{ op: 'pin', cid, expires }], time: { ms: core.clock.now(), counter: 0 } })
  core.hear(bytes)
  core.done(cid.toString())
  let isRight = false
  let looks = 0
  const mayExpire = (): boolean => {
    looks++
    return isRight
  }
  const log = { debug() {}, info() {}, warn() {} }
  const expiry = createExpiry({ store: core.store, settler: core.settler, clock: core.clock, log, mayExpire, onChanges() {} })
  expiry.start()
  core.clock.advance(86_400_000)
  expect(core.store.job(cid.toString())).toBeUndefined()
  // It looks now and then, not without end.
  expect(looks).toBeLessThan(30)
  isRight = true
  expiry.changed()
  core.clock.advance(0)
  expect(core.store.job(cid.toString())?.action).toBe('unpin')
  expiry.stop()
  expect(core.clock.pending()).toBe(0)
})
