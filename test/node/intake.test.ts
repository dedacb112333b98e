import { expect, test } from 'vitest'
import { MAX_AHEAD_MS, MAX_PENDING_COMMANDS, REPEAT_ACK_MS } from '../../src/protocol/limits.ts'
import { noChanges } from '../../src/node/settle.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'
import { createAgentCore } from '../support/agent-core.ts'

const alice = author('alice')
const stranger = author('stranger')
const x = cidOf('x')
const operations = [{ op: 'pin', cid: x } as const]

test('stores what an authorised key signed, before anything is done', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { bytes, id } = await command(alice, { operations, time: { ms: 5, counter: 0 } })
  expect(core.hear(bytes)).toBe('accept')
  expect(core.store.command(id)).toMatchObject({ author: alice.author, pinset: 'default', time: { ms: 5, counter: 0 } })
  expect(Buffer.from(core.store.command(id)?.envelope ?? [])).toEqual(Buffer.from(bytes))
  expect(core.store.job(x.toString())).toMatchObject({ action: 'pin', attempt: 0 })
})

test('refuses a stranger over a stream and stores nothing', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { bytes, id } = await command(stranger, { operations, time: { ms: 5, counter: 0 } })
  expect(core.hear(bytes)).toBe('ignore unauthorised')
  expect(core.refusals).toEqual([{ peer: 'peer', command: id, code: 'unauthorised' }])
  expect(core.intake.knows(id)).toBe(false)
  expect(core.answers).toEqual([])
})

test('rejects a forged signature, and forgets it: the true command is accepted later', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { bytes } = await command(alice, { operations, time: { ms: 5, counter: 0 } })
  const forged = bytes.slice()
  // The signature stands last in canonical order of the keys (payload, signer, signature sort by length).
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
  expect(core.hear(forged)).toBe('reject signature')
  expect(core.hear(bytes)).toBe('accept')
})

test.each([
  ['garbage', new Uint8Array([1, 2, 3]), 'reject encoding'],
  ['too much', new Uint8Array(61 * 1024), 'reject size'],
  ['nothing', new Uint8Array(), 'reject encoding']
])('rejects %s', (_, bytes, verdict) => {
  using core = createAgentCore()
  expect(core.hear(bytes)).toBe(verdict)
})

test('rejects a command of another network', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { bytes } = await command(alice, { operations, time: { ms: 5, counter: 0 }, network: 'other' })
  expect(core.hear(bytes)).toBe('reject network')
})

test('refuses a clock that is ahead for now, and accepts the same command when its time has come', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const time = { ms: core.clock.now() + MAX_AHEAD_MS + 1, counter: 0 }
  const { bytes, id } = await command(alice, { operations, time })
  expect(core.hear(bytes)).toBe('ignore skew')
  expect(core.refusals).toEqual([{ peer: 'peer', command: id, code: 'skew' }])
  core.clock.advance(1)
  expect(core.hear(bytes)).toBe('accept')
})

test('a key that is expired, or not valid yet, says nothing new', async () => {
  using core = createAgentCore()
  const now = core.clock.now()
  const { bytes } = await command(alice, { operations, time: { ms: 5, counter: 0 } })
  await core.authorise([grantOf(alice, { expiryTime: now })])
  expect(core.hear(bytes)).toBe('ignore expired')
  await core.authorise([grantOf(alice, { validAfter: now + 1 })])
  expect(core.hear(bytes)).toBe('ignore unauthorised')
})

test('answers a known author that uses a pinset of others, once in a while', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice, { pinsets: ['blog-*'] })])
  const { bytes, id } = await command(alice, { operations, time: { ms: 5, counter: 0 }, pinset: 'site' })
  expect(core.hear(bytes)).toBe('ignore pinset')
  expect(core.hear(bytes)).toBe('ignore pinset')
  expect(core.answers).toEqual([{ id, states: [{ status: 'refused', code: 'pinset' }] }])
  core.clock.advance(REPEAT_ACK_MS)
  core.hear(bytes)
  expect(core.answers).toHaveLength(2)
})

test('a command that is heard again is acknowledged again, but rarely', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { bytes, id } = await command(alice, { operations, time: { ms: 5, counter: 0 } })
  core.hear(bytes)
  const seq = core.store.command(id)?.seq
  core.changes.length = 0
  expect(core.hear(bytes)).toBe('ignore duplicate')
  expect(core.changes).toEqual([])
  core.clock.advance(REPEAT_ACK_MS)
  core.hear(bytes)
  expect(core.changes).toEqual([{ ...noChanges(), commands: new Set([seq]) }])
})

test('a failed pin that is asked for again is tried at once', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { bytes } = await command(alice, { operations, time: { ms: 5, counter: 0 } })
  core.hear(bytes)
  const job = core.store.job(x.toString())
  core.store.retryJob(job?.id ?? 0, 3, 'timeout', core.clock.now() + 3_600_000)
  core.store.transaction(() => core.settler.settle(x.toString(), core.clock.now(), noChanges()))
  core.clock.advance(REPEAT_ACK_MS)
  core.hear(bytes)
  expect(core.store.job(x.toString())?.nextAt).toBe(core.clock.now())
})

test('operations of kinds to come are kept and answered as unsupported', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const later = [{ op: 'pin', cid: x }, { op: 'bless', cid: cidOf('y') } as never]
  const { bytes, id } = await command(alice, { operations: later as never, time: { ms: 5, counter: 0 } })
  expect(core.hear(bytes)).toBe('accept')
  expect(core.states(id)).toEqual([{ status: 'queued' }, { status: 'refused', code: 'unsupported' }])
})

test('what cannot be stored is not accepted, and is taken when offered again', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { bytes, id } = await command(alice, { operations, time: { ms: 5, counter: 0 } })
  const { transaction } = core.store
  Object.assign(core.store, {
    transaction() {
      throw new Error('database or disk is full')
    }
  })
  core.hear(bytes)
  expect(core.intake.knows(id)).toBe(false)
  expect(core.changes).toEqual([])
  Object.assign(core.store, { transaction })
  expect(core.hear(bytes)).toBe('accept')
  expect(core.intake.knows(id)).toBe(true)
})

test('the log is told what is refused, with what was proven of it, and nothing of what is taken or known', async () => {
  using core = createAgentCore()
  await core.authorise([grantOf(alice, { pinsets: ['site'] })])
  const foreign = await command(stranger, { operations, time: { ms: 5, counter: 0 } })
  const elsewhere = await command(alice, { operations, time: { ms: 5, counter: 0 } })
  const good = await command(alice, { operations, time: { ms: 6, counter: 0 }, pinset: 'site' })
  const forged = elsewhere.bytes.slice()
  forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1
  for (const bytes of [foreign.bytes, elsewhere.bytes, good.bytes, good.bytes, forged, new Uint8Array([1])]) core.hear(bytes)
  expect(core.noted).toEqual([
    { code: 'unauthorised', claim: { author: stranger.author, command: foreign.id }, peer: 'peer' },
    { code: 'pinset', claim: { author: alice.author, command: elsewhere.id, pinset: 'default', isProven: true }, peer: 'peer' },
    { code: 'signature', claim: { author: alice.author, command: elsewhere.id }, peer: 'peer' },
    { code: 'shape', claim: {}, peer: 'peer' }
  ])
})

test.each([
  ['to be stored', false],
  ['until the start is over', true]
])('so many commands wait %s, and those above are taken when they are offered again', async (_, isHeldAtFirst) => {
  let isHeld = isHeldAtFirst
  using core = createAgentCore({ isHeld: () => isHeld })
  await core.authorise([grantOf(alice)])
  const said = await Promise.all(
    Array.from({ length: MAX_PENDING_COMMANDS + 10 }, (_none, i) => command(alice, { operations, time: { ms: 5, counter: i } }))
  )
  const verdicts = said.map(({ bytes }) => core.intake.judge(bytes, 'peer'))
  const above = { verdict: 'ignore', reason: isHeldAtFirst ? 'starting' : 'busy' }
  expect(verdicts.slice(MAX_PENDING_COMMANDS)).toEqual(Array(10).fill(above))
  isHeld = false
  core.intake.release()
  expect(core.intake.counts()['accept']).toBe(MAX_PENDING_COMMANDS)
  expect(core.intake.counts()['ignore: busy']).toBe(isHeldAtFirst ? undefined : 10)
  core.clock.advance(0)
  expect(said.map(({ id }) => core.intake.knows(id)).filter(Boolean)).toHaveLength(MAX_PENDING_COMMANDS)
  expect(said.slice(MAX_PENDING_COMMANDS).map(({ bytes }) => core.hear(bytes))).toEqual(Array(10).fill('accept'))
})
