import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createPresenceTable, type PresenceTable } from '../../src/network/presence-table.ts'
import { nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { createRollCall, type RollCall } from '../../src/sender/roll-call.ts'
import { NETWORK } from '../network/helpers.ts'
import { presenceOf } from '../network/presences.ts'
import { author } from '../support/author.ts'
import { createManualClock, type ManualClock } from '../support/clock.ts'

const idOf = (name: string): string => nodeIdOf(author(name).blob)

async function bench(ages: Readonly<Record<string, number>>): Promise<{ clock: ManualClock; presence: PresenceTable; roll: RollCall }> {
  const clock = createManualClock()
  const presence = createPresenceTable({ network: NETWORK }, { clock })
  for (const [name, age] of Object.entries(ages)) presence.offer(await presenceOf(author(name)), { age })
  return { clock, presence, roll: createRollCall({ presence, clock }) }
}

/** Whether it is over by now. */
async function isOver(waiting: Promise<void>): Promise<boolean> {
  await setImmediate()
  return Promise.race([waiting.then(() => true), setImmediate(false)])
}

test('is over once all that are there have answered; who is gone is not waited for', async () => {
  const { clock, roll } = await bench({ a: 0, b: 20_000, gone: 200_000 })
  const [waiting, another] = [roll.wait(undefined), roll.wait(undefined)]
  roll.answered(idOf('a'))
  expect(await isOver(waiting)).toBe(false)
  roll.answered(idOf('b'))
  await Promise.all([waiting, another])
  expect(clock.pending()).toBe(0)
  await roll.wait(undefined)
})

test('is over after a while, whoever is silent', async () => {
  const { clock, roll } = await bench({ a: 0 })
  const waiting = roll.wait(undefined)
  clock.advance(1_499)
  expect(await isOver(waiting)).toBe(false)
  clock.advance(1)
  await waiting
})

test('ends with the signal', async () => {
  const { clock, roll } = await bench({ a: 0 })
  const ended = new AbortController()
  const waiting = roll.wait(ended.signal)
  ended.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
  expect(clock.pending()).toBe(0)
})
