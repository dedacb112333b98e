/** What a file and admin operations come to, whatever the order in which they came. */
import { describe, expect, test } from 'vitest'
import { decideKeys, type AdminCommand, type AdminOutcome } from '../../src/protocol/admin.ts'
import { authorizeOperation, type AdminOperation } from '../../src/protocol/admin-operations.ts'
import { parseAuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import { formatPublicKey, keyBlob, type Author, authorOf, nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { fileOf, permutations } from './admin.ts'

const blob = (name: string): Uint8Array => keyBlob(new Uint8Array(32).fill(name.charCodeAt(0)))
const key = (name: string): string => formatPublicKey(blob(name), name)
const by = (name: string): Author => authorOf(blob(name))
const node = nodeIdOf(blob('n'))

let made = 0
/** Said at `ms` by a key, accepted at once. */
function said(name: string, ms: number, ...operations: AdminOperation[]): AdminCommand {
  const id = (++made).toString(16).padStart(64, '0')
  return { id, author: by(name), time: { ms, counter: 0 }, acceptedAt: ms, operations }
}

const authorize = (line: string): AdminOperation => authorizeOperation(line)
const succeed = (name: string): AdminOperation => authorizeOperation(key(name), { succeeds: true })
const revoke = (name: string): AdminOperation => ({ op: 'revoke', author: by(name) })
const close = (name: string, ...kept: AdminCommand[]): AdminOperation => ({
  op: 'close',
  author: by(name),
  keeps: kept.map(({ id }) => id)
})

/** The outcome, which must be the same in every order of arrival. */
function outcome(lines: readonly string[], commands: readonly AdminCommand[]): AdminOutcome {
  const filed = fileOf(parseAuthorizedKeys(lines.join('\n')))
  const all = permutations(commands).map((order) => decideKeys(filed, order))
  const plain = ({ keys, nodes, states }: AdminOutcome): unknown => [keys, nodes, Object.fromEntries(states)]
  for (const other of all) expect(plain(other)).toEqual(plain(all[0] as AdminOutcome))
  return all[0] as AdminOutcome
}

/** How a key stands in words. */
function stand({ keys }: AdminOutcome, name: string): string {
  const found = keys.get(by(name))
  if (found === undefined) return 'unknown'
  const { voided, closedAt } = found.standing
  return voided ? 'revoked' : closedAt !== undefined ? 'closed' : 'open'
}

const states = ({ states: all }: AdminOutcome, { id }: AdminCommand): readonly string[] =>
  (all.get(id) ?? []).map((state) => (state.status === 'refused' ? state.code : state.status))

const FILE = [`admin ${key('a')}`, `admin ${key('b')}`, key('c')]

describe('letting in', () => {
  test('an admin lets a key in, with what its line says', () => {
    const one = said('a', 1, authorize(`ops="pin",pinset="site" ${key('x')}`))
    const result = outcome(FILE, [one])
    expect(states(result, one)).toEqual(['applied'])
    expect(result.keys.get(by('x'))).toMatchObject({
      standing: { grant: { rights: ['pin'], pinsets: ['site'], admin: false, comment: 'x' }, voided: false },
      word: { says: 'authorize', by: by('a'), command: one.id, at: 1 }
    })
  })

  test('a key without admin lets nobody in', () => {
    const one = said('c', 1, authorize(key('x')), revoke('b'), { op: 'trust', node })
    const result = outcome(FILE, [one])
    expect(states(result, one)).toEqual(['operation', 'operation', 'operation'])
    expect([stand(result, 'x'), stand(result, 'b'), result.nodes.size]).toEqual(['unknown', 'open', 0])
  })

  test.each([
    ['rights', 'admin,ops="pin"', `ops="unpin" ${key('x')}`],
    ['a right that is implied', 'admin,ops="pin"', key('x')],
    ['pinsets', 'admin,pinset="site-*"', `pinset="s*" ${key('x')}`],
    ['all pinsets', 'admin,pinset="site"', key('x')],
    ['admin where it has none to give', 'ops="pin"', `admin ${key('x')}`]
  ])('nobody grants more than it has: %s', (_, options, line) => {
    const one = said('a', 1, authorize(line))
    const result = outcome([`${options} ${key('a')}`], [one])
    expect(states(result, one)).toEqual(['operation'])
    expect(stand(result, 'x')).toBe('unknown')
  })

  test.each([
    ['admin,pinset="site-*"', `admin,pinset="site-a,site-b*" ${key('x')}`],
    ['admin,expiry-time="20990101"', `expiry-time="20980101" ${key('x')}`],
    ['admin', `admin ${key('x')}`]
  ])('what it has it may grant: %s', (options, line) => {
    expect(stand(outcome([`${options} ${key('a')}`], [said('a', 1, authorize(line))]), 'x')).toBe('open')
  })

  test('the newest line counts, and the file beats all of them', () => {
    const first = said('a', 1, authorize(`pinset="one" ${key('x')}`), authorize(`pinset="one" ${key('c')}`))
    const result = outcome(FILE, [first, said('a', 2, authorize(`pinset="two" ${key('x')}`))])
    expect(result.keys.get(by('x'))?.standing.grant.pinsets).toEqual(['two'])
    expect(result.keys.get(by('c'))?.standing.grant.pinsets).toBeUndefined()
  })

  test('who was let in with admin lets others in', () => {
    const result = outcome(FILE, [said('x', 2, authorize(key('y'))), said('a', 1, authorize(`admin ${key('x')}`))])
    expect([stand(result, 'x'), stand(result, 'y')]).toEqual(['open', 'open'])
  })

  test('what a key says before its line is in force, or after its end, counts for nothing', () => {
    const file = [`admin,valid-after="20200101",expiry-time="20210101" ${key('a')}`]
    const [early, timely, late] = [Date.UTC(2019, 0), Date.UTC(2020, 5), Date.UTC(2022, 0)].map((ms, i) =>
      said('a', ms, authorize(key('xyz'[i] as string)))
    ) as [AdminCommand, AdminCommand, AdminCommand]
    const result = outcome(file, [early, timely, late])
    expect([early, timely, late].map((one) => states(result, one)[0])).toEqual(['unauthorised', 'applied', 'expired'])
  })
})

describe('taking away', () => {
  test('of two admins that revoke each other the one that stands above stays', () => {
    const up = said('b', 1, revoke('a'))
    const down = said('a', 2, revoke('b'))
    const result = outcome(FILE, [up, down])
    expect([stand(result, 'a'), stand(result, 'b')]).toEqual(['open', 'revoked'])
    expect([states(result, down), states(result, up)]).toEqual([['applied'], ['unauthorised']])
  })

  test('nobody revokes or closes upwards', () => {
    const up = said('b', 1, revoke('a'), close('a'))
    const result = outcome(FILE, [up])
    expect(stand(result, 'a')).toBe('open')
    expect(states(result, up)).toEqual(['operation', 'operation'])
  })

  test('a revoked key falls with all that it let in, whatever time it gave that', () => {
    const commands = [
      said('b', 1, authorize(`admin ${key('x')}`)),
      said('x', 1, authorize(key('y')), revoke('z')),
      said('a', 3, authorize(key('z'))),
      said('a', 2, revoke('b'))
    ]
    const result = outcome(FILE, commands)
    expect(['b', 'x', 'y', 'z'].map((name) => stand(result, name))).toEqual(['revoked', 'unknown', 'unknown', 'open'])
  })

  test('an authorize that races a revoke loses, before or after it', () => {
    for (const [authorized, revoked] of [
      [1, 2],
      [2, 1]
    ] as const) {
      const result = outcome(FILE, [said('b', authorized, authorize(key('x'))), said('a', revoked, revoke('x'))])
      expect(stand(result, 'x')).toBe('revoked')
    }
  })

  test('a key of the file is revoked by message, and stays so whatever the file says', () => {
    const result = outcome(FILE, [said('b', 1, revoke('c'))])
    expect(stand(result, 'c')).toBe('revoked')
    expect(result.keys.get(by('c'))?.word).toMatchObject({ says: 'revoke', by: by('b') })
  })

  test('a closed key may be let in again, by a later word', () => {
    const closed = said('a', 2, close('c'))
    expect(stand(outcome(FILE, [closed, said('b', 1, authorize(key('c')))]), 'c')).toBe('closed')
    const result = outcome(FILE, [closed, said('b', 3, authorize(key('c')))])
    expect(stand(result, 'c')).toBe('open')
  })

  test('a closed key stops when the command that closed it was first accepted', () => {
    const one = { ...said('a', 5, close('c')), acceptedAt: 77 }
    expect(outcome(FILE, [one]).keys.get(by('c'))?.standing).toMatchObject({ closedAt: 77, voided: false })
  })

  test('of what a closed admin said that counts which the closing command names, and nothing dated back', () => {
    const kept = said('b', 1, authorize(key('x')))
    const late = said('b', 1, authorize(key('y')))
    const result = outcome(FILE, [kept, said('a', 3, close('b', kept)), late])
    expect(['b', 'x', 'y'].map((name) => stand(result, name))).toEqual(['closed', 'open', 'unknown'])
    expect([states(result, kept), states(result, late)]).toEqual([['applied'], ['expired']])
  })

  test('keys that an admin lets in stand below it, also those dated back to before others', () => {
    // y would stand above x by its time alone.
    const lines = [`admin ${key('a')}`, `admin ${key('b')}`]
    const x = said('a', 5, authorize(`admin ${key('x')}`))
    const result = outcome(lines, [x, said('b', 1, authorize(`admin ${key('y')}`)), said('y', 2, revoke('x'))])
    expect(stand(result, 'x')).toBe('open')
  })

  test('a key does not revoke itself: who stole it would make all fall that it let in', () => {
    const one = said('b', 1, revoke('b'), authorize(key('x')))
    const result = outcome(FILE, [one])
    expect(states(result, one)).toEqual(['operation', 'applied'])
    expect([stand(result, 'b'), stand(result, 'x')]).toEqual(['open', 'open'])
  })

  test.each([
    ['no end', '', Date.UTC(2099, 0)],
    ['a later end', 'expiry-time="20990102" ', Date.UTC(2099, 0)],
    ['an earlier end', 'expiry-time="20980101" ', Date.UTC(2098, 0)]
  ])('what a key lets in ends when it ends itself, or before: %s', (_, options, end) => {
    const result = outcome([`admin,expiry-time="20990101" ${key('a')}`], [said('a', 1, authorize(`${options}${key('x')}`))])
    expect(result.keys.get(by('x'))?.standing).toMatchObject({ voided: false, grant: { expiryTime: end } })
  })
})

describe('rotation', () => {
  const let_ = said('a', 1, authorize(key('x')))
  const next = said('a', 2, succeed('s'))
  const end = said('a', 3, close('a', let_, next))

  test('the successor may what its predecessor may, and stands in its place', () => {
    const result = outcome(
      [`admin,pinset="site" ${key('a')}`, `admin ${key('b')}`],
      [
        said('a', 1, authorize(`pinset="site" ${key('x')}`)),
        said('a', 2, succeed('s')),
        said('s', 4, revoke('b')),
        said('b', 3, revoke('s'))
      ]
    )
    expect(result.keys.get(by('s'))?.standing.grant).toMatchObject({ admin: true, pinsets: ['site'], comment: 's' })
    expect(['s', 'b', 'x'].map((name) => stand(result, name))).toEqual(['open', 'revoked', 'open'])
  })

  test('the old key closes itself, and what it let in stays', () => {
    const result = outcome(FILE, [let_, next, end])
    expect(['a', 's', 'x'].map((name) => stand(result, name))).toEqual(['closed', 'open', 'open'])
    expect([let_, next, end].flatMap((one) => states(result, one))).toEqual(['applied', 'applied', 'applied'])
  })

  test('whoever finds the old key then lets nobody in', () => {
    const thief = said('a', 2, authorize(`admin ${key('t')}`), revoke('s'))
    const result = outcome(FILE, [let_, next, end, thief])
    expect(['s', 't'].map((name) => stand(result, name))).toEqual(['open', 'unknown'])
    expect(states(result, thief)).toEqual(['expired', 'expired'])
  })

  test.each([
    ['a close of itself, dated back, that keeps nothing', said('a', 1, close('a'))],
    ['a close of itself that keeps a friend', said('a', 9, authorize(`admin ${key('t')}`), close('a', let_, next))]
  ])('nor says a thief with %s more than the close that was heard first', (_, thief) => {
    const late = { ...thief, acceptedAt: 100 }
    const result = outcome(FILE, [let_, next, end, late])
    expect(['a', 's', 'x', 't'].map((name) => stand(result, name))).toEqual(['closed', 'open', 'open', 'unknown'])
  })

  test('nor does his close of a key that another had closed', () => {
    const kept = said('b', 1, authorize(key('x')))
    const evil = said('b', 8, authorize(key('t')))
    const thief = { ...said('b', 9, close('b', evil)), acceptedAt: 100 }
    const result = outcome(FILE, [kept, said('a', 3, close('b', kept)), evil, thief])
    expect(['b', 'x', 't'].map((name) => stand(result, name))).toEqual(['closed', 'open', 'unknown'])
  })

  test('rotated again and again', () => {
    const names = ['d', 'e', 'f', 'g', 'h']
    const commands = names.slice(1).flatMap((name, i) => {
      const before = names[i] as string
      const one = said(before, 2 * i + 1, succeed(name))
      return [one, said(before, 2 * i + 2, close(before, one))]
    })
    const filed = fileOf(parseAuthorizedKeys([`admin ${key('d')}`, `admin ${key('b')}`].join('\n')))
    const result = decideKeys(filed, [...commands.toReversed(), said('h', 99, revoke('b'))])
    expect(['d', 'e', 'f', 'g', 'h', 'b'].map((name) => stand(result, name))).toEqual([
      'closed',
      'closed',
      'closed',
      'closed',
      'open',
      'revoked'
    ])
  })
})

describe('the file', () => {
  test('@revoked there voids a key and all that it let in', () => {
    const result = outcome([`admin ${key('a')}`, `@revoked admin ${key('b')}`], [said('b', 1, authorize(key('x')))])
    expect(stand(result, 'x')).toBe('unknown')
    expect(stand(outcome([`admin ${key('a')}`, `@revoked ${key('x')}`], [said('a', 1, authorize(key('x')))]), 'x')).toBe('revoked')
  })

  test('a line that is gone closes its key; what that let in before stays', () => {
    const grants = parseAuthorizedKeys(FILE.join('\n')).grants
    const standings = new Map(
      [...grants].map(([author, grant]) => [author, { grant, voided: false, ...(author === by('a') ? { closedAt: 10 } : {}) }])
    )
    const filed = { order: [by('b'), by('c')], standings, revoked: new Set<Author>() }
    const [before, after] = [said('a', 10, authorize(key('x'))), said('a', 11, authorize(key('y')))]
    const result = decideKeys(filed, [before, after])
    expect(['a', 'x', 'y'].map((name) => stand(result, name))).toEqual(['closed', 'open', 'unknown'])
  })

  test('a key that a message let in stays when a line of it is gone from the file', () => {
    const standings = new Map(fileOf(parseAuthorizedKeys(FILE.join('\n'))).standings)
    standings.set(by('c'), { ...(standings.get(by('c')) as { grant: never; voided: boolean }), closedAt: 10 })
    const filed = { order: [by('a'), by('b')], standings, revoked: new Set<Author>() }
    expect(stand(decideKeys(filed, [said('a', 1, authorize(key('c')))]), 'c')).toBe('open')
    expect(stand(decideKeys(filed, []), 'c')).toBe('closed')
  })
})

describe('nodes', () => {
  test('the newest word of any admin counts', () => {
    const commands = [said('a', 1, { op: 'trust', node }), said('b', 2, { op: 'distrust', node })]
    expect(outcome(FILE, commands).nodes).toEqual(new Map([[node, false]]))
    expect(outcome(FILE, [...commands, said('a', 3, { op: 'trust', node })]).nodes).toEqual(new Map([[node, true]]))
  })
})

test('an operation of a later version is told as such', () => {
  const one = { ...said('a', 1, revoke('c')), operations: [undefined, revoke('c')] }
  expect(states(outcome(FILE, [one]), one)).toEqual(['unsupported', 'applied'])
})
