import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Admitted, Offer } from '../../src/node/admission.ts'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_AHEAD_MS } from '../../src/protocol/limits.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'

const alice = author('alice')
const bob = author('bob')
const set = { author: alice.author, pinset: 'default' } as const
const [x, y] = [cidOf('x'), cidOf('y')]
const START = 1_700_000_000_000
const at = (ms: number) => ({ ms, counter: 0 })
const pin = (ms: number, cid = x, signer = alice) => command(signer, { operations: [{ op: 'pin', cid }], time: at(ms) })

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinsub-admission-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

async function take(core: AgentCore, bytes: Uint8Array, offer: Partial<Offer> = {}, acceptedAt = START - 1_000): Promise<Admitted> {
  const [admitted] = await core.admission.take([{ acceptedAt, envelope: bytes }], { set, isVouched: true, ...offer })
  return admitted as Admitted
}

test('takes what it lacks, acts on it and says nothing of it until it is heard of by gossip', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { bytes, id } = await pin(5)
  expect(core.admission.lacks(id)).toBe(true)
  expect(await take(core, bytes)).toBe('held')
  expect(core.admission.lacks(id)).toBe(false)
  expect(await take(core, bytes)).toBe('known')
  expect(core.store.job(x.toString())).toMatchObject({ action: 'pin' })
  const seq = core.store.command(id)?.seq ?? 0
  expect(core.store.isQuiet(seq)).toBe(true)
  expect(core.hear(bytes)).toBe('ignore duplicate')
  expect(core.store.isQuiet(seq)).toBe(false)
})

test('when it was first accepted is what a known node says, never later than now; else it is now', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { bytes, id } = await pin(1)
  await take(core, bytes, {}, START - 5_000)
  expect(core.store.command(id)?.acceptedAt).toBe(START - 5_000)
  const second = await pin(2, y)
  await take(core, second.bytes, {}, START + 5_000)
  expect(core.store.command(second.id)?.acceptedAt).toBe(START)
  const third = await pin(3, cidOf('z'))
  await take(core, third.bytes, { isVouched: false }, START - 5_000)
  expect(core.store.command(third.id)?.acceptedAt).toBe(START)
})

test('what a closed key said in time counts where a known node vouches for it, and only there', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice, { expiryTime: START - 1_000 })])
  const { bytes, id } = await pin(5)
  expect(await take(core, bytes, { isVouched: false }, START - 2_000)).toBe('expired')
  expect(await take(core, bytes, {}, START - 1_000)).toBe('expired')
  expect(core.admission.lacks(id)).toBe(true)
  expect(await take(core, bytes, {}, START - 1_001)).toBe('held')
  expect(core.states(id)).toEqual([{ status: 'queued' }])
})

test('what a stranger or a revoked key said is not kept, and is taken once the file says so', async () => {
  using core = createAgentCore()
  const { bytes } = await pin(5)
  expect(await take(core, bytes)).toBe('unauthorised')
  await core.authorise([grantOf(alice)], [alice.author])
  expect(await take(core, bytes)).toBe('unauthorised')
  await core.authorise([grantOf(alice, { pinsets: ['site'] })])
  expect(await take(core, bytes)).toBe('pinset')
  await core.authorise([grantOf(alice)])
  expect(await take(core, bytes)).toBe('held')
})

test('what is too far ahead is left for later', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { bytes, id } = await pin(START + MAX_AHEAD_MS + 1)
  expect(await take(core, bytes)).toBe('skew')
  expect(core.admission.lacks(id)).toBe(true)
  core.clock.advance(1)
  expect(await take(core, bytes)).toBe('held')
})

test('what holds no register is not stored and not fetched again', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const [old, fresh] = [await pin(1), await pin(2)]
  await take(core, fresh.bytes)
  expect(await take(core, old.bytes)).toBe('passed')
  expect(core.store.command(old.id)).toBeUndefined()
  expect(core.admission.lacks(old.id)).toBe(false)
  expect(core.states(fresh.id)).toEqual([{ status: 'queued' }])
})

test.each<[string, (core: AgentCore) => Promise<unknown>]>([
  ['garbage', (core) => take(core, new Uint8Array([1, 2, 3]))],
  ['a forged signature', async (core) => take(core, forged((await pin(1)).bytes))],
  ['another author', async (core) => take(core, (await pin(1, x, bob)).bytes)],
  [
    'another pinset',
    async (core) => take(core, (await command(alice, { operations: [{ op: 'pin', cid: x }], time: at(1), pinset: 'site' })).bytes)
  ],
  [
    'another network',
    async (core) => take(core, (await command(alice, { operations: [{ op: 'pin', cid: x }], time: at(1), network: 'other' })).bytes)
  ]
])('no honest node keeps %s', async (_, offer) => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice), grantOf(bob)])
  await expect(offer(core)).rejects.toThrow(InvalidMessageError)
  expect([...core.store.setMembers()]).toEqual([])
})

test('many come in pieces, and a bad one loses none that came before it', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const good = await Promise.all(Array.from({ length: 600 }, (_, i) => pin(i, cidOf(String(i)))))
  const offered = good.map(({ bytes }) => ({ acceptedAt: START, envelope: bytes }))
  const bad = [...offered.slice(0, 550), { acceptedAt: START, envelope: new Uint8Array(3) }, ...offered.slice(550)]
  await expect(core.admission.take(bad, { set, isVouched: true })).rejects.toThrow(InvalidMessageError)
  expect([...core.store.setMembers()]).toHaveLength(500)
  expect(new Set(await core.admission.take(offered, { set, isVouched: true }))).toEqual(new Set(['known', 'held']))
  expect(core.sets.get(set)?.size).toBe(600)
})

test('an author beyond its share may only unpin, and not for ever; the sets say so, also after a new start', async () => {
  const file = join(dir, 'state.db')
  const { bytes } = await pin(1)
  const limits = { maxBytes: 2 * bytes.byteLength, maxUnpinBytes: bytes.byteLength + 10 }
  using core = createAgentCore({ file, limits })
  await core.authorise([grantOf(alice), grantOf(bob)])
  expect(core.hear(bytes)).toBe('accept')
  expect(core.sets.digests()[0]?.capped).toBeUndefined()
  expect(core.hear((await pin(2, y)).bytes)).toBe('accept')
  expect(core.sets.digests()[0]?.capped).toBe(true)
  const third = await pin(3, cidOf('z'))
  expect(core.hear(third.bytes)).toBe('ignore quota')
  expect(core.answers.at(-1)).toEqual({ id: third.id, states: [{ status: 'refused', code: 'quota' }] })
  expect(await take(core, third.bytes)).toBe('quota')
  expect(core.hear((await pin(4, y, bob)).bytes)).toBe('accept')

  using again = createAgentCore({ file, limits })
  await again.authorise([grantOf(alice)])
  expect(again.hear(third.bytes)).toBe('ignore quota')
  const unpin = (ms: number, cid = x) => command(alice, { operations: [{ op: 'unpin', cid }], time: at(ms) })
  expect(again.hear((await unpin(5)).bytes)).toBe('accept')
  expect(again.hear((await unpin(6, y)).bytes)).toBe('accept')
  expect(again.hear((await unpin(7, cidOf('z'))).bytes)).toBe('ignore quota')
})

test('what passes makes room', async () => {
  const { bytes } = await pin(1)
  using core = createAgentCore({ limits: { maxBytes: bytes.byteLength + 1 } })
  await core.authorise([grantOf(alice)])
  expect(core.hear(bytes)).toBe('accept')
  expect(core.hear((await pin(2)).bytes)).toBe('accept')
  expect(core.hear((await pin(3, y)).bytes)).toBe('accept')
  expect(core.hear((await pin(4, cidOf('z'))).bytes)).toBe('ignore quota')
})

function forged(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  copy[copy.length - 1] = (copy.at(-1) ?? 0) ^ 1
  return copy
}
