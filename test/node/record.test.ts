import * as dagCbor from '@ipld/dag-cbor'
import { expect, test } from 'vitest'
import { commandId, sealEnvelope } from '../../src/protocol/envelope.ts'
import { keyHash } from '../../src/protocol/ssh-key.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'

const alice = author('alice')
const bob = author('bob')
const [x, y] = [cidOf('x'), cidOf('y')]
const at = (ms: number) => ({ ms, counter: 0 })
const pin = (ms: number, ...cids: (typeof x)[]) => command(alice, { operations: cids.map((cid) => ({ op: 'pin', cid })), time: at(ms) })
const unpin = (ms: number, cid = x) => command(alice, { operations: [{ op: 'unpin', cid }], time: at(ms) })

/** A command of a version to come. */
async function toCome(ms: number, ops: unknown[]): Promise<{ bytes: Uint8Array; id: string }> {
  const payload = { v: 1, network: 'net', signer: keyHash(alice.blob), pinset: 'default', time: [ms, 0], ops }
  const envelope = await sealEnvelope('command', new Uint8Array(dagCbor.encode(payload)), alice)
  return { bytes: envelope.bytes, id: commandId(envelope.payload) }
}

async function agent(): Promise<AgentCore> {
  const core = createAgentCore()
  await core.authorise([grantOf(alice), grantOf(bob)])
  return core
}

const members = (core: AgentCore): string[] => [...core.store.setMembers()].map(({ id }) => id)
const sizes = (core: AgentCore): number => core.sets.digests().reduce((sum, { count }) => sum + count, 0)

test('a set holds the commands that hold a register of their author, whatever came first', async () => {
  using core = await agent()
  using other = await agent()
  const [one, two, three, four] = await Promise.all([pin(1, x), pin(2, x, y), unpin(3), pin(4, y)])
  for (const { bytes } of [one, two, three, four]) core.hear(bytes)
  for (const { bytes } of [four, three, two, one]) other.hear(bytes)
  expect(members(core).toSorted()).toEqual([two.id, three.id, four.id].toSorted())
  expect(members(other).toSorted()).toEqual(members(core).toSorted())
  expect(core.sets.digests()).toEqual(other.sets.digests())
  expect(sizes(core)).toBe(3)
})

test('what another author says pushes nothing out', async () => {
  using core = await agent()
  const mine = await pin(1, x)
  const his = await command(bob, { operations: [{ op: 'unpin', cid: x }], time: at(2) })
  core.hear(mine.bytes)
  core.hear(his.bytes)
  expect(members(core)).toEqual([mine.id, his.id])
})

test('a command that comes late and holds nothing is answered, and is in no set', async () => {
  using core = await agent()
  const [old, fresh] = [await pin(1, x), await pin(2, x)]
  core.hear(fresh.bytes)
  expect(core.hear(old.bytes)).toBe('accept')
  expect(core.states(old.id)).toEqual([{ status: 'superseded', by: fresh.id }])
  expect(members(core)).toEqual([fresh.id])
  expect(sizes(core)).toBe(1)
})

test('an operation of a kind to come has a place of its own, and one without a CID is kept for ever', async () => {
  using core = await agent()
  const pinned = await pin(1, x)
  const first = await toCome(2, [{ op: 'move', cid: x }, { op: 'sweep' }])
  const second = await toCome(3, [{ op: 'move', cid: x }, { op: 'sweep' }])
  const third = await toCome(4, [{ op: 'move', cid: x }])
  for (const { bytes } of [pinned, first, second, third]) core.hear(bytes)
  expect(members(core)).toEqual([pinned.id, first.id, second.id, third.id])
  expect(core.states(second.id)).toEqual([
    { status: 'superseded', by: third.id },
    { status: 'refused', code: 'unsupported' }
  ])
  expect(core.states(third.id)).toEqual([{ status: 'refused', code: 'unsupported' }])
  expect(core.states(pinned.id)).toEqual([{ status: 'queued' }])
})

test('updates in a circle, closed by what this version cannot read, end', async () => {
  using core = await agent()
  const update = (who: typeof alice, ms: number, from = x, to = y) =>
    command(who, { operations: [{ op: 'update', from, to }], time: at(ms) })
  core.hear((await pin(1, x)).bytes)
  core.done(x.toString())
  core.hear((await update(bob, 2)).bytes)
  core.hear((await update(alice, 3, y, x)).bytes)
  core.hear((await toCome(4, [{ op: 'pin', cid: x, colour: 'red' }])).bytes)
  expect(core.store.job(x.toString())).toMatchObject({ action: 'unpin' })
  core.done(x.toString())
  expect([core.store.holds(x.toString()), core.store.holds(y.toString())]).toEqual([[], []])
})

test('a pin with a field to come takes the place of an older pin, decides nothing, and costs no byte', async () => {
  using core = await agent()
  const old = await pin(1, x)
  core.hear(old.bytes)
  core.done(x.toString())
  const fresh = await toCome(2, [{ op: 'pin', cid: x, colour: 'red' }])
  core.hear(fresh.bytes)
  expect(members(core)).toEqual([fresh.id])
  expect(core.states(old.id)).toEqual([{ status: 'superseded', by: fresh.id }])
  expect(core.states(fresh.id)).toEqual([{ status: 'refused', code: 'unsupported' }])
  expect(core.store.holds(x.toString())).toEqual(['default'])
  expect(core.store.job(x.toString())).toBeUndefined()
})
