import { expect, test } from 'vitest'
import type { PinOperation, UnpinOperation, UpdateOperation } from '../../src/protocol/command.ts'
import type { Signer } from '../../src/protocol/signature.ts'
import { noChanges } from '../../src/node/settle.ts'
import { openStandings } from '../../src/node/standings.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'

const alice = author('alice')
const bob = author('bob')
const x = cidOf('x')
const y = cidOf('y')
const [keyX, keyY] = [x.toString(), y.toString()]

let counter = 0
async function say(
  core: AgentCore,
  who: Signer,
  operation: PinOperation | UnpinOperation | UpdateOperation,
  at = core.clock.now() + counter++,
  pinset = 'default'
): Promise<string> {
  const { bytes, id } = await command(who, { operations: [operation], time: { ms: at, counter: 0 }, pinset })
  expect(core.hear(bytes)).toBe('accept')
  return id
}

const pin = (cid = x): PinOperation => ({ op: 'pin', cid })
const unpin = (cid = x): UnpinOperation => ({ op: 'unpin', cid })

test('a pin is queued, then pinned; an unpin lets it go', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const pinned = await say(core, alice, pin())
  expect(core.states(pinned)).toEqual([{ status: 'queued' }])
  core.done(keyX, 42)
  expect(core.states(pinned)).toEqual([{ status: 'pinned', bytes: 42 }])

  const gone = await say(core, alice, unpin())
  expect(core.states(gone)).toEqual([{ status: 'queued' }])
  expect(core.states(pinned)).toEqual([{ status: 'superseded', by: gone }])
  core.done(keyX)
  expect(core.states(gone)).toEqual([{ status: 'unpinned', heldBy: [] }])
  expect(core.store.pin(keyX)).toBeUndefined()
  expect(core.store.holds(keyX)).toEqual([])
})

test('what waits for the backend is queued however often it was tried; what cannot be had has failed', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const id = await say(core, alice, pin())
  const failing = (code: 'unavailable' | 'no-space' | 'timeout') => {
    core.store.transaction(() => {
      core.store.retryJob(core.store.job(keyX)?.id as number, 3, code, 99)
      core.settler.settle(keyX, core.clock.now(), noChanges())
    })
    return core.states(id)
  }
  expect(failing('timeout')).toEqual([{ status: 'failed', code: 'timeout', attempt: 3, next: 99 }])
  expect(failing('no-space')).toEqual([{ status: 'queued' }])
  expect(failing('timeout')).toMatchObject([{ status: 'failed' }])
  expect(failing('unavailable')).toEqual([{ status: 'queued' }])
})

test('the rank decides, not the order of arrival', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const now = core.clock.now()
  const gone = await say(core, alice, unpin(), now + 10)
  const late = await say(core, alice, pin(), now + 5)
  expect(core.states(gone)).toEqual([{ status: 'unpinned', heldBy: [] }])
  expect(core.states(late)).toEqual([{ status: 'superseded', by: gone }])
  expect(core.store.job(keyX)).toBeUndefined()
})

test('a CID stays while another pinset wants it', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  await say(core, alice, pin(), undefined, 'site')
  await say(core, alice, pin(), undefined, 'backup')
  core.done(keyX)
  const gone = await say(core, alice, unpin(), undefined, 'site')
  expect(core.states(gone)).toEqual([{ status: 'unpinned', heldBy: ['backup'] }])
  expect(core.store.job(keyX)).toBeUndefined()
  expect(core.store.pin(keyX)).toBeDefined()
})

test('a pin that overtakes a waiting unpin is done anew, as the unpin may have run', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  await say(core, alice, pin())
  core.done(keyX)
  await say(core, alice, unpin())
  const again = await say(core, alice, pin())
  expect(core.store.job(keyX)?.action).toBe('pin')
  expect(core.states(again)).toEqual([{ status: 'queued' }])
})

test('a key without unpin cannot free, and its own pin stays when others let go of theirs', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice), grantOf(bob, { rights: ['pin'] })])
  await say(core, alice, pin())
  const refused = await say(core, bob, unpin())
  expect(core.states(refused)).toEqual([{ status: 'refused', code: 'operation' }])
  core.done(keyX)
  expect(core.store.pin(keyX)).toBeDefined()
})

test('a closed key keeps what it said; a voided one leaves its pins unowned, and its unpins fall', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice), grantOf(bob)])
  await say(core, alice, pin(x))
  await say(core, bob, pin(y))
  core.done(keyX)
  core.done(keyY)
  core.clock.advance(10)
  await core.authorise([grantOf(bob)])
  expect(core.settler.view(keyX, core.clock.now())).toMatchObject([{ want: 'pin', state: { status: 'pinned' } }])

  await say(core, bob, unpin(x))
  expect(core.store.job(keyX)?.action).toBe('unpin')
  await core.authorise([], [bob.author])
  // Bob's unpin fell, so alice's pin counts again; the running unpin is answered by a pin.
  expect(core.store.job(keyX)?.action).toBe('pin')
  // Nobody who counts wants y, and nobody let it go: it is kept.
  expect(core.settler.view(keyY, core.clock.now())).toEqual([])
  expect(core.store.job(keyY)).toBeUndefined()
  expect(core.store.holds(keyY)).toEqual(['default'])
  expect(core.store.pin(keyY)).toBeDefined()
})

test('an empty file costs nobody their data', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  await say(core, alice, pin())
  core.done(keyX)
  await core.authorise([])
  expect(core.store.job(keyX)).toBeUndefined()
  expect(core.settler.view(keyX, core.clock.now())).toMatchObject([{ want: 'pin', state: { status: 'pinned' } }])
})

test('a voided key whose pin was not fetched yet leaves nothing to do and nothing to keep', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  await say(core, alice, pin())
  await core.authorise([], [alice.author])
  expect(core.store.job(keyX)?.action).toBe('unpin')
  core.done(keyX)
  expect(core.store.holds(keyX)).toEqual([])
  expect(core.store.job(keyX)).toBeUndefined()
})

test('an expired pin counts as an unpin when its time has come', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const expires = core.clock.now() + 1_000
  const id = await say(core, alice, { ...pin(), expires })
  core.done(keyX)
  expect(core.settler.view(keyX, expires - 1)).toMatchObject([{ want: 'pin' }])
  expect(core.settler.view(keyX, expires)).toMatchObject([{ want: 'unpin', by: { rank: { command: id } } }])
})

test("an expiring pin of a key without unpin does not narrow another's", async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice), grantOf(bob, { rights: ['pin'] })])
  await say(core, alice, pin())
  await say(core, bob, { ...pin(), expires: core.clock.now() + 5 })
  core.done(keyX)
  expect(core.settler.view(keyX, core.clock.now() + 10)).toMatchObject([{ want: 'pin', by: { author: alice.author } }])
})

test('an update holds the old CID until the new one is held', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  await say(core, alice, pin(x))
  core.done(keyX)
  const id = await say(core, alice, { op: 'update', from: x, to: y })
  expect(core.store.job(keyX)).toBeUndefined()
  expect(core.store.holds(keyX)).toEqual(['default'])
  expect(core.states(id)).toEqual([{ status: 'queued' }])
  core.done(keyY, 7)
  expect(core.states(id)).toEqual([{ status: 'pinned', bytes: 7 }])
  expect(core.store.job(keyX)?.action).toBe('unpin')
})

test('an update that is taken back before the new CID came lets both go', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  await say(core, alice, pin(x))
  core.done(keyX)
  await say(core, alice, { op: 'update', from: x, to: y })
  await say(core, alice, unpin(y))
  expect(core.store.job(keyX)?.action).toBe('unpin')
  expect(core.store.job(keyY)?.action).toBe('unpin')
})

test('two updates that point at each other end', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  await say(core, alice, { op: 'update', from: x, to: y })
  await say(core, alice, { op: 'update', from: y, to: x })
  core.done(keyX)
  expect(core.store.pin(keyX)).toBeDefined()
  expect(core.store.holds(keyY)).toEqual([])
})

test('a void outlasts its @revoked line and a restart, until the key is granted again', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  await say(core, alice, pin())
  core.done(keyX)
  await core.authorise([], [alice.author])
  await core.authorise([])
  expect(core.settler.view(keyX, core.clock.now())).toEqual([])
  expect(openStandings(core.store, { network: 'net' }).get(alice.author)).toMatchObject({ voided: true })
  await core.authorise([grantOf(alice)])
  expect(core.settler.view(keyX, core.clock.now())).toMatchObject([{ want: 'pin', state: { status: 'pinned' } }])
})
