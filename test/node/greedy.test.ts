/** A key that may do little and says much: it fills no disk, and is told why. */
import { expect, test } from 'vitest'
import { createAgentCore } from '../support/agent-core.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'

const alice = author('alice')
const greedy = author('greedy')
const say = (op: 'pin' | 'unpin', n: number, pinset = 'default', by = greedy) =>
  command(by, { operations: [{ op, cid: cidOf(`${n}`) }], time: { ms: 1_000 + n, counter: 0 }, pinset })

test('envelopes in a pinset that it may not use are not stored at all', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(greedy, { pinsets: ['site'] })])
  for (let n = 0; n < 50; n++) {
    const { bytes, id } = await say('pin', n)
    expect(core.hear(bytes)).toBe('ignore pinset')
    expect(core.intake.knows(id)).toBe(false)
  }
  expect(core.sets.digests()).toEqual([])
})

test('what it may not do is kept with the rest, within its share, and beyond that refused by name; others are not touched', async () => {
  const size = (await say('pin', 0)).bytes.byteLength
  using core = createAgentCore({ limits: { maxBytes: 10 * size, maxUnpinBytes: 5 * size } })
  await core.authorise([grantOf(alice), grantOf(greedy, { rights: ['pin'] })])
  const theirs = await say('pin', 999, 'default', alice)
  expect(core.hear(theirs.bytes)).toBe('accept')
  core.done(cidOf('999').toString())
  const heard: string[] = []
  for (let n = 0; n < 40; n++) heard.push(core.hear((await say('unpin', n === 0 ? 999 : n)).bytes))
  expect(heard[0]).toBe('accept')
  expect(heard.at(-1)).toBe('ignore quota')
  expect(heard.filter((verdict) => verdict === 'accept').length).toBeLessThanOrEqual(16)
  expect(core.answers.at(-1)?.states).toEqual([{ status: 'refused', code: 'quota' }])
  expect(core.store.pin(cidOf('999').toString())).toBeDefined()
  expect(core.states(theirs.id)[0]).toMatchObject({ status: 'pinned' })
  expect(core.hear((await say('pin', 1_000, 'default', alice)).bytes)).toBe('accept')
})

test('with a cap on its pins it has the node do no more, however much it says, and others are not asked for room', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice), grantOf(greedy, { maxPins: 3 })])
  const heard = await Promise.all(Array.from({ length: 100 }, (_, n) => say('pin', n, n % 2 === 0 ? 'site' : 'default')))
  for (const { bytes } of heard) expect(core.hear(bytes)).toBe('accept')
  expect([core.store.jobCount(), core.store.usage(greedy.author)]).toEqual([3, { pins: 3, bytes: 0 }])
  expect(heard.slice(3).map(({ id }) => core.states(id))).toEqual(heard.slice(3).map(() => [{ status: 'refused', code: 'quota' }]))
  const theirs = await say('pin', 50, 'default', alice)
  core.hear(theirs.bytes)
  expect(core.states(theirs.id)).toEqual([{ status: 'queued' }])
})
