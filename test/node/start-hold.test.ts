/** After a start gossip waits until admin operations are up to date. */
import { expect, test } from 'vitest'
import { createStartHold } from '../../src/node/start-hold.ts'
import { createAgentCore } from '../support/agent-core.ts'
import { adminCommand, author, cidOf, command, grantOf } from '../support/author.ts'
import { createManualClock } from '../support/clock.ts'

const bench = (options: { isNeeded?: boolean; isAsking?: () => boolean } = {}) => {
  const clock = createManualClock()
  let released = 0
  const hold = createStartHold({
    clock,
    isNeeded: () => options.isNeeded ?? true,
    isAsking: options.isAsking ?? (() => false),
    onRelease: () => released++
  })
  return { clock, hold, released: () => released }
}

test('held from the beginning, until a peer was asked; released once', () => {
  const { hold, released } = bench()
  expect(hold.isHeld).toBe(true)
  hold.start()
  expect(hold.isHeld).toBe(true)
  hold.release()
  hold.release()
  expect([hold.isHeld, released()]).toEqual([false, 1])
})

test('where nothing can have been missed there is no wait', () => {
  const { hold, released } = bench({ isNeeded: false })
  hold.start()
  expect([hold.isHeld, released()]).toEqual([false, 1])
})

test('five seconds without a peer are enough', () => {
  const { clock, hold } = bench()
  hold.start()
  clock.advance(4_999)
  expect(hold.isHeld).toBe(true)
  clock.advance(1)
  expect(hold.isHeld).toBe(false)
})

test('a peer that is being asked is waited for, but one that stalls does not silence the node', () => {
  const { clock, hold } = bench({ isAsking: () => true })
  hold.start()
  clock.advance(14_999)
  expect(hold.isHeld).toBe(true)
  clock.advance(1)
  expect(hold.isHeld).toBe(false)
})

test('stopped, it releases nothing', () => {
  const { clock, hold, released } = bench()
  hold.start()
  hold.stop()
  clock.advance(60_000)
  expect(released()).toBe(0)
})

test('what came meanwhile is judged by what was learned meanwhile', async () => {
  const [ann, eve] = [author('ann'), author('eve')]
  let isHeld = true
  using core = createAgentCore({ isHeld: () => isHeld })
  await core.authorise([grantOf(ann, { admin: true }), grantOf(eve)])
  const pin = (signer: typeof ann) => command(signer, { operations: [{ op: 'pin', cid: cidOf('x') }], time: { ms: 1, counter: 0 } })
  const [hers, thief] = [await pin(ann), await pin(eve)]
  expect([core.hear(hers.bytes), core.hear(thief.bytes)]).toEqual(['ignore starting', 'ignore starting'])
  expect(core.hear(new Uint8Array([1, 2, 3]))).toBe('reject encoding')
  expect(core.intake.knows(hers.id)).toBe(false)

  const { bytes } = await adminCommand(ann, 2, { op: 'revoke', author: eve.author })
  await core.admission.take([{ acceptedAt: 1_700_000_000_000, envelope: bytes }], { isVouched: false })
  isHeld = false
  core.intake.release()
  core.clock.advance(0)
  expect([core.intake.knows(hers.id), core.intake.knows(thief.id)]).toEqual([true, false])
  expect(core.refusals).toMatchObject([{ command: thief.id, code: 'unauthorised' }])
})
