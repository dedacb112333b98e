/** Keys that change by message: whatever the order in which nodes hear of it, they come to the same end. */
import { expect, test } from 'vitest'
import { authorizeOperation, type AdminOperation } from '../../src/protocol/admin-operations.ts'
import type { CommandId } from '../../src/protocol/envelope.ts'
import { formatPublicKey } from '../../src/protocol/ssh-key.ts'
import type { Signer } from '../../src/protocol/signature.ts'
import { permutations } from '../protocol/admin.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { adminCommand, author, cidOf, command, grantOf } from '../support/author.ts'

const [ann, bob, eve, kim] = ['ann', 'bob', 'eve', 'kim'].map(author) as [Signer, Signer, Signer, Signer]
const START = 1_700_000_000_000
const x = cidOf('x')

const lineOf = (signer: Signer, options = ''): string => `${options}${formatPublicKey(signer.blob)}`
const authorize = (signer: Signer, options = ''): AdminOperation => authorizeOperation(lineOf(signer, options))
const revoke = ({ author: key }: Signer): AdminOperation => ({ op: 'revoke', author: key })
const close = ({ author: key }: Signer, ...keeps: CommandId[]): AdminOperation => ({ op: 'close', author: key, keeps })
const pin = (signer: Signer, ms = 1) => command(signer, { operations: [{ op: 'pin', cid: x }], time: { ms, counter: 0 } })
const unpin = (signer: Signer, ms = 2) => command(signer, { operations: [{ op: 'unpin', cid: x }], time: { ms, counter: 0 } })

const FILE = [grantOf(ann, { admin: true }), grantOf(bob, { admin: true })]

/** A node that obeys the file of all. */
async function start(grants = FILE): Promise<AgentCore> {
  const core = createAgentCore()
  await core.authorise(grants)
  return core
}

/** Lets what follows from a change of keys be done. */
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 0))

/** All catch up from all until nothing new comes. */
async function catchUp(cores: readonly AgentCore[]): Promise<void> {
  for (let taken = 1; taken > 0;) {
    taken = 0
    for (const to of cores) {
      for (const from of cores) {
        const offered = from.store.adminCommands().filter(({ id }) => to.admission.lacks(id))
        const admitted = await to.admission.take(offered, { isVouched: true })
        taken += admitted.filter((one) => one === 'held').length
      }
    }
    await settled()
  }
}

const stand = (core: AgentCore, { author: key }: Signer): string => {
  const standing = core.standings.get(key)
  if (standing === undefined) return 'unknown'
  return standing.voided ? 'revoked' : standing.closedAt !== undefined ? 'closed' : 'open'
}

/** Nodes that hear the commands by gossip, each in another order, and then catch up; how keys stand on each. */
async function race(commands: readonly { bytes: Uint8Array }[], keys: readonly Signer[]): Promise<Set<string>> {
  const cores = await Promise.all(permutations(commands).map(() => start()))
  for (const [i, order] of permutations(commands).entries()) {
    const core = cores[i] as AgentCore
    // Clocks differ by a little.
    core.clock.advance(i * 7)
    for (const { bytes } of order) core.hear(bytes)
    await settled()
  }
  await catchUp(cores)
  const ends = new Set(cores.map((core) => keys.map((key) => stand(core, key)).join(' ')))
  cores.forEach((core) => core[Symbol.dispose]())
  return ends
}

test('two admins revoke each other: the one that stands above stays', async () => {
  expect(await race([await adminCommand(ann, 5, revoke(bob)), await adminCommand(bob, 4, revoke(ann))], [ann, bob])).toEqual(
    new Set(['open revoked'])
  )
})

test('an admin grants more than it has, and revokes upwards', async () => {
  const file = [grantOf(ann, { admin: true }), grantOf(bob, { admin: true, pinsets: ['site'] })]
  using core = await start(file)
  const { bytes, id } = await adminCommand(bob, 5, authorize(eve), revoke(ann), authorize(kim, 'pinset="site" '))
  expect(core.hear(bytes)).toBe('accept')
  await settled()
  expect(core.states(id)).toEqual([
    { status: 'refused', code: 'operation' },
    { status: 'refused', code: 'operation' },
    { status: 'applied' }
  ])
  expect([ann, eve, kim].map((key) => stand(core, key))).toEqual(['open', 'unknown', 'open'])
})

test('an authorize races a revoke: revoked', async () => {
  const commands = [await adminCommand(bob, 6, authorize(eve)), await adminCommand(ann, 5, revoke(eve))]
  expect(await race(commands, [eve])).toEqual(new Set(['revoked']))
})

test('an authorize races the revocation of who says it: what it let in falls', async () => {
  const commands = [
    await adminCommand(bob, 4, authorize(eve, 'admin ')),
    await adminCommand(eve, 3, authorize(kim)),
    await adminCommand(ann, 5, revoke(bob))
  ]
  for (const end of await race(commands, [bob, eve, kim])) expect(end).toMatch(/^revoked (revoked|unknown) (revoked|unknown)$/)
})

test('a close races what the closed key says: what the close names stays, the rest falls', async () => {
  const [seen, unseen] = [await adminCommand(bob, 3, authorize(eve)), await adminCommand(bob, 4, authorize(kim))]
  const ends = await race([seen, unseen, await adminCommand(ann, 5, close(bob, seen.id))], [bob, eve, kim])
  for (const end of ends) expect(end).toMatch(/^closed open (revoked|unknown)$/)
})

test('what a close names is taken from others, also by a node that heard the close first', async () => {
  using first = await start()
  using other = await start()
  const seen = await adminCommand(bob, 3, authorize(eve))
  other.hear((await adminCommand(ann, 5, close(bob, seen.id))).bytes)
  first.clock.advance(1_000)
  other.clock.advance(2_000)
  first.hear(seen.bytes)
  expect(await other.admission.take(first.store.adminCommands(), { isVouched: true })).toEqual(['held'])
  await settled()
  expect([bob, eve].map((key) => stand(other, key))).toEqual(['closed', 'open'])
})

test('what a key pinned before a message let it in is not known; then it pins; revoked, its pins are unowned', async () => {
  using core = await start()
  const said = await pin(eve)
  expect(core.hear(said.bytes)).toBe('ignore unauthorised')
  core.hear((await adminCommand(ann, 1, authorize(eve))).bytes)
  expect(core.hear(said.bytes)).toBe('accept')
  core.done(x.toString())
  core.hear((await adminCommand(bob, 2, revoke(eve))).bytes)
  await settled()
  expect(core.settler.view(x.toString(), core.clock.now())).toEqual([])
  expect(core.store.pin(x.toString())).toBeDefined()
  expect(core.store.holds(x.toString())).toEqual(['default'])
  expect(core.hear((await unpin(eve)).bytes)).toBe('ignore unauthorised')
})

test('the unpins of a revoked key fall', async () => {
  using core = await start([...FILE, grantOf(eve)])
  core.hear((await pin(ann)).bytes)
  core.done(x.toString())
  core.hear((await unpin(eve)).bytes)
  core.done(x.toString())
  expect(core.store.pin(x.toString())).toBeUndefined()
  core.hear((await adminCommand(ann, 3, revoke(eve))).bytes)
  await settled()
  expect(core.store.job(x.toString())).toMatchObject({ action: 'pin' })
})

test('what a closed key said stays, and nothing new counts', async () => {
  using core = await start([...FILE, grantOf(eve)])
  core.hear((await pin(eve)).bytes)
  core.done(x.toString())
  core.clock.advance(1)
  const closing = await adminCommand(ann, 3, close(eve))
  core.hear(closing.bytes)
  await settled()
  expect(core.states(closing.id)).toEqual([{ status: 'applied' }])
  expect(core.settler.view(x.toString(), core.clock.now())).toMatchObject([{ want: 'pin', state: { status: 'pinned' } }])
  expect(core.hear((await unpin(eve)).bytes)).toBe('ignore unauthorised')
})

test('a key that closes itself is told that it did, and what it let in stays', async () => {
  using core = await start()
  const let_ = await adminCommand(ann, 1, authorize(kim))
  const end = await adminCommand(ann, 2, close(ann, let_.id))
  for (const { bytes } of [let_, end]) core.hear(bytes)
  await settled()
  expect([core.states(let_.id), core.states(end.id)]).toEqual([[{ status: 'applied' }], [{ status: 'applied' }]])
  expect([ann, kim].map((key) => stand(core, key))).toEqual(['closed', 'open'])
})

test('a change of a key while the one before is being settled is settled, too', async () => {
  using core = await start([...FILE, grantOf(eve)])
  const cids = Array.from({ length: 1_050 }, (_, i) => cidOf(`many ${i}`))
  const said = await command(eve, { operations: cids.map((cid) => ({ op: 'pin', cid })), time: { ms: 1, counter: 0 } })
  core.hear(said.bytes)
  core.clock.advance(1)
  core.hear((await adminCommand(ann, 3, close(eve))).bytes)
  core.hear((await adminCommand(ann, 4, revoke(eve))).bytes)
  await expect.poll(() => core.store.unsettled()).toEqual([])
  expect(new Set(core.states(said.id).map((state) => JSON.stringify(state)))).toEqual(
    new Set(['{"status":"refused","code":"unauthorised"}'])
  )
})

test('a file that takes a key away is in force also where the disk is full, and is written later', async () => {
  using core = await start([...FILE, grantOf(eve)])
  const { transaction } = core.store
  core.store.transaction = () => {
    throw new Error('database or disk is full')
  }
  await expect(core.authorise(FILE, [eve.author])).rejects.toThrow('full')
  expect(core.standings.grant(eve.author, START)).toBe('unauthorised')
  core.store.transaction = transaction
  core.standings.hear([], { settler: core.settler, now: START, onChanges() {} })
  expect(core.reopenStandings().get(eve.author)).toMatchObject({ voided: true })
})

test('what a close names has room, whatever else the key has said', async () => {
  using core = createAgentCore({ limits: { maxAdminBytes: 600, maxAdminClosingBytes: 0 } })
  await core.authorise(FILE)
  const kept = await adminCommand(bob, 1, revoke(eve))
  for (let i = 0; i < 4; i++) core.hear((await adminCommand(bob, 10 + i, authorize(author(`junk ${i}`)))).bytes)
  core.hear((await adminCommand(ann, 3, close(bob, kept.id))).bytes)
  await settled()
  expect(await core.admission.take([{ acceptedAt: START, envelope: kept.bytes }], { isVouched: true })).toEqual(['held'])
  expect(stand(core, eve)).toBe('unknown')
  core.hear((await adminCommand(ann, 4, authorize(eve))).bytes)
  await settled()
  expect(stand(core, eve)).toBe('revoked')
})

test('a key that is no admin has little room for admin operations, and they change nothing', async () => {
  using core = await start([...FILE, grantOf(eve)])
  const verdicts = new Map<string, number>()
  for (let i = 0; i < 300; i++) {
    const { bytes } = await adminCommand(eve, i, authorize(author(`friend ${i}`)))
    const verdict = core.hear(bytes)
    verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1)
  }
  expect([...verdicts.keys()]).toEqual(['accept', 'ignore quota'])
  expect(verdicts.get('accept')).toBeLessThan(250)
  expect(core.standings.count()).toBe(3)
  expect(
    new Set(
      core.store
        .adminCommands()
        .flatMap(({ id }) => core.states(id))
        .map((state) => JSON.stringify(state))
    )
  ).toEqual(new Set(['{"status":"refused","code":"operation"}']))
})

test('an old file that is saved back changes nothing that was said by message', async () => {
  using core = await start([...FILE, grantOf(eve)])
  core.hear((await adminCommand(ann, 3, revoke(eve), authorize(kim))).bytes)
  await settled()
  await core.authorise([...FILE, grantOf(eve), grantOf(kim)])
  await core.authorise([...FILE, grantOf(eve)])
  expect([eve, kim].map((key) => stand(core, key))).toEqual(['revoked', 'open'])
})

test('where the file lets nobody in messages let nobody in either, and what was let in is back with it', async () => {
  using core = await start()
  core.hear((await adminCommand(ann, 3, authorize(kim))).bytes)
  await core.authorise([])
  expect(core.standings.grant(kim.author, START)).toBe('unauthorised')
  await core.authorise(FILE)
  expect(core.standings.grant(kim.author, START)).toMatchObject({ author: kim.author })
})

test('it is the same after a restart', async () => {
  using core = await start()
  const { id, bytes } = await adminCommand(ann, 3, authorize(kim), { op: 'revoke', author: bob.author })
  core.hear(bytes)
  await settled()
  const again = core.reopenStandings()
  expect(again.grant(kim.author, START)).toBe('unauthorised')
  const grants = new Map(FILE.map((grant) => [grant.author, grant]))
  const file = { grants, revoked: new Set<never>(), problems: [], skipped: 0, lines: new Map() }
  await again.apply(file, { settler: core.settler, now: START, onChanges() {} })
  expect([kim, bob].map((key) => again.grant(key.author, START))).toMatchObject([{ author: kim.author }, 'unauthorised'])
  expect(core.states(id)).toEqual([{ status: 'applied' }, { status: 'applied' }])
})

test('a node that is told to obey no messages keeps them, and says so', async () => {
  using core = createAgentCore({ obeysMessages: false })
  await core.authorise(FILE)
  const { bytes, id } = await adminCommand(ann, 3, revoke(bob))
  expect(core.hear(bytes)).toBe('accept')
  await settled()
  expect(core.states(id)).toEqual([{ status: 'refused', code: 'operation' }])
  expect(stand(core, bob)).toBe('open')
  expect(core.sets.get({ author: ann.author, pinset: undefined })?.size).toBe(1)
})

test('an author that fills its share of admin operations may still revoke', async () => {
  using core = createAgentCore({ limits: { maxAdminBytes: 600, maxAdminClosingBytes: 600 } })
  await core.authorise(FILE)
  const verdicts: string[] = []
  for (let i = 0; i < 6; i++) verdicts.push(core.hear((await adminCommand(ann, i, authorize(author(`more ${i}`)))).bytes))
  expect(verdicts).toContain('ignore quota')
  expect(core.hear((await adminCommand(ann, 9, revoke(bob))).bytes)).toBe('accept')
  expect(core.hear((await pin(ann)).bytes)).toBe('accept')
})
