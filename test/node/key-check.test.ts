import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openKeyCheck, type KeyCheck } from '../../src/node/key-check.ts'
import { authorizeOperation } from '../../src/protocol/admin-operations.ts'
import type { PinOperation, UnpinOperation } from '../../src/protocol/command.ts'
import type { Signer } from '../../src/protocol/signature.ts'
import { formatPublicKey } from '../../src/protocol/ssh-key.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { adminCommand, author, cidOf, command, grantOf } from '../support/author.ts'

const [alice, bob, carol] = ['alice', 'bob', 'carol'].map(author) as [Signer, Signer, Signer]
const line = ({ blob }: Signer): string => formatPublicKey(blob, 'c')
const [x, y] = [cidOf('x'), cidOf('y')]

let dir: string
let core: AgentCore
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinsub-check-'))
  core = createAgentCore({ file: join(dir, 'state.db') })
})
afterEach(() => {
  core[Symbol.dispose]()
  rmSync(dir, { recursive: true })
})

let counter = 0
async function say(who: Signer, operations: readonly (PinOperation | UnpinOperation)[], pinset = 'default'): Promise<void> {
  const { bytes } = await command(who, { operations, time: { ms: core.clock.now() + counter++, counter: 0 }, pinset })
  expect(core.hear(bytes)).toBe('accept')
}

/** Beside the open store, as beside a running agent. */
async function check(text: string, authorize: readonly string[] = []): Promise<KeyCheck> {
  const file = join(dir, 'keys')
  writeFileSync(file, `${text}\n`, { mode: 0o600 })
  return openKeyCheck({ network: 'net', obeysMessages: true, file, stateDb: join(dir, 'state.db'), authorize }, { clock: core.clock })
}

const turns = ({ turned }: KeyCheck): unknown => turned.map(({ author: key, turn }) => [key, turn])

/** What really happens: who wants what in which pinset. */
function wishes(): Map<string, string> {
  const views = [x, y].flatMap((cid) => core.settler.view(cid.toString(), core.clock.now()).map((view) => [cid, view] as const))
  return new Map(views.map(([cid, { pinset, want }]) => [`${cid} ${pinset}`, want]))
}

describe('keys', () => {
  test('with an admin falls whom it let in by message, and what was said by message stays whatever the file says', async () => {
    await core.authorise([grantOf(alice, { admin: true }), grantOf(carol)])
    core.hear((await adminCommand(alice, 1, authorizeOperation(line(bob)), { op: 'close', author: carol.author, keeps: [] })).bytes)
    {
      using same = await check([`admin ${line(alice)}`, line(carol)].join('\n'))
      expect(turns(same)).toEqual([])
    }
    using found = await check([`@revoked ${line(alice)}`, line(carol)].join('\n'))
    expect(new Map(turns(found) as [string, string][])).toEqual(
      new Map([
        [alice.author, 'revoked'],
        [carol.author, 'in'],
        [bob.author, 'revoked']
      ])
    )
  })

  test('in, closed, revoked, other options, and those that stay', async () => {
    const dave = author('dave')
    await core.authorise([grantOf(alice), grantOf(bob), grantOf(carol), { ...grantOf(dave), comment: 'before' }])
    const eve = author('eve')
    using found = await check([line(eve), `@revoked ${line(bob)}`, `ops="pin" ${line(carol)}`, line(dave)].join('\n'))
    expect(turns(found)).toEqual([
      [eve.author, 'in'],
      [carol.author, 'options'],
      [alice.author, 'closed'],
      [bob.author, 'revoked']
    ])
  })

  test('a key that comes back, one that expires, one for later', async () => {
    await core.authorise([grantOf(alice), grantOf(bob)])
    await core.authorise([grantOf(bob)])
    using found = await check([line(alice), `expiry-time="20200101" ${line(bob)}`, `valid-after="20990101" ${line(carol)}`].join('\n'))
    expect(turns(found)).toEqual([
      [alice.author, 'in'],
      [bob.author, 'closed'],
      [carol.author, 'not-yet']
    ])
  })

  test('lines that count besides the file', async () => {
    await core.authorise([grantOf(alice)])
    using found = await check('# nobody', [line(alice)])
    expect(turns(found)).toEqual([])
  })

  test('without a state every key is new, and broken lines are named', async () => {
    const file = join(dir, 'keys')
    writeFileSync(file, `${line(alice)}\nops="fly" ${line(bob)}\n`, { mode: 0o600 })
    using found = await openKeyCheck(
      { network: 'net', obeysMessages: true, file, stateDb: join(dir, 'none.db'), authorize: [] },
      { clock: core.clock }
    )
    expect(found).toMatchObject({ hasState: false, keys: { problems: [{ line: 2 }] } })
    expect(turns(found)).toEqual([[alice.author, 'in']])
    expect([...found.effects]).toEqual([])
  })
})

describe('what becomes of pins, as it then comes to pass', () => {
  test.each([
    ['closed: nothing', `${line(bob)}`, []],
    ['revoked: what only it pinned is unowned', `@revoked ${line(alice)}\n${line(bob)}`, [['unowned', x, 'site', alice.author]]],
    [
      'revoked: its unpin falls, and its pin over an older unpin too',
      `@revoked ${line(bob)}\n${line(alice)}`,
      [
        ['wanted', x, 'default', alice.author],
        ['released', y, 'default', alice.author]
      ]
    ],
    ['narrowed', `pinset="default" ${line(alice)}\n${line(bob)}`, [['unowned', x, 'site', alice.author]]]
  ])('%s', async (_, text, effects) => {
    await core.authorise([grantOf(alice), grantOf(bob)])
    await say(alice, [{ op: 'pin', cid: x }], 'site')
    await say(alice, [
      { op: 'pin', cid: x },
      { op: 'unpin', cid: y }
    ])
    await say(bob, [
      { op: 'unpin', cid: x },
      { op: 'pin', cid: y }
    ])
    const before = wishes()
    const found = await check(text)
    const told = [...found.effects].map(({ effect, cid, pinset, author: key }) => [effect, cid, pinset, key])
    found[Symbol.dispose]()
    expect(told).toEqual(effects.map(([effect, cid, ...rest]) => [effect, String(cid), ...rest]))

    await core.standings.apply(found.keys, { settler: core.settler, now: core.clock.now(), onChanges() {} })
    const after = wishes()
    const expected = new Map(before)
    for (const [effect, cid, pinset] of told) {
      const key = `${cid} ${pinset}`
      if (effect === 'unowned') expected.delete(key)
      else expected.set(key, effect === 'wanted' ? 'pin' : 'unpin')
    }
    expect(after).toEqual(expected)
  })

  test('an unpin that counts again lets go of what is held as unowned, and of nothing else', async () => {
    await core.authorise([grantOf(alice), grantOf(bob)])
    await say(bob, [
      { op: 'unpin', cid: x },
      { op: 'unpin', cid: y }
    ])
    await say(alice, [{ op: 'pin', cid: x }])
    core.done(String(x))
    await core.authorise([], [alice.author, bob.author])
    using found = await check(`${line(bob)}\n@revoked ${line(alice)}`)
    expect([...found.effects]).toEqual([{ effect: 'released', cid: String(x), pinset: 'default', author: bob.author }])
  })
})
