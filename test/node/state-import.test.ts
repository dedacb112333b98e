import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createKeyring } from '../../src/node/state-home.ts'
import { addAuthorizedLine } from '../../src/identity/authorized-keys-edit.ts'
import { addKnownNodes } from '../../src/identity/known-nodes-file.ts'
import { authorizeOperation } from '../../src/protocol/admin-operations.ts'
import { parseAuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import { openEnvelope, verifyEnvelope } from '../../src/protocol/envelope.ts'
import { MAX_AHEAD_MS, MAX_KEY_FILE_BYTES, MAX_KEY_LINES } from '../../src/protocol/limits.ts'
import { formatPublicKey, nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { formatStateLine } from '../../src/protocol/state-lines.ts'
import { lockHome } from '../../src/storage/lock.ts'
import { RUNS } from '../property/arbitrary.ts'
import { createAgentCore } from '../support/agent-core.ts'
import { adminCommand, author, cidOf, command } from '../support/author.ts'
import {
  createHomes,
  exportText,
  importText,
  objects,
  openAgent,
  putKeys,
  START,
  writeKeys,
  type TestHome,
  type TestHomes
} from './states.ts'

const [ann, bob, eve] = [author('ann'), author('bob'), author('eve')]
const line = (signer = ann, comment = 'ann@laptop'): string => formatPublicKey(signer.blob, comment)
const at = (ms: number) => ({ ms, counter: 0 })
const pin = (ms: number, text = 'x', signer = ann) => command(signer, { operations: [{ op: 'pin', cid: cidOf(text) }], time: at(ms) })
const unpin = (ms: number, text = 'x', signer = ann) => command(signer, { operations: [{ op: 'unpin', cid: cidOf(text) }], time: at(ms) })
const WHOLE = { isEnded: true, isUnchanged: true }

let homes: TestHomes
beforeEach(() => {
  homes = createHomes()
})
afterEach(() => homes[Symbol.dispose]())

/** A home in which Ann pins x and y and lets y go, Bob pins z and is closed, and Eve is revoked; and its file. */
async function usedHome(): Promise<{ home: TestHome; text: string }> {
  const home = homes.home()
  using core = await openAgent(home, [line(), line(bob, 'bob'), line(eve, 'eve')].join('\n'))
  for (const { bytes } of [await pin(1), await pin(2, 'y'), await unpin(3, 'y'), await pin(4, 'z', bob), await pin(5, 'w', eve)]) {
    expect(core.hear(bytes)).toBe('accept')
    core.clock.advance(10)
  }
  const after = [line(), `@revoked ${line(eve, 'eve')}`].join('\n')
  writeKeys(home, after)
  await putKeys(core, after)
  await addKnownNodes(home.files.knownNodes, new Map([[nodeIdOf(bob.blob), 'trusted']]))
  return { home, text: await exportText(home, { at: 1_000 }) }
}

/** What a home would export, but for the end of it. */
const stateOf = async (home: TestHome): Promise<unknown[]> => objects(await exportText(home, { at: 1_000 })).slice(0, -1)

describe('into an empty home', () => {
  test('keys that a message let in, closed or revoked stand as they did, and what they said too', async () => {
    const home = homes.home()
    using core = await openAgent(home, [`admin ${line()}`, line(eve, 'eve')].join('\n'))
    const letIn = await adminCommand(ann, 1, authorizeOperation(line(bob, 'bob')))
    const ended = await adminCommand(ann, 9, { op: 'revoke', author: eve.author })
    for (const { bytes } of [letIn, await pin(2, 'z', bob), await pin(3, 'w', eve), ended]) expect(core.hear(bytes)).toBe('accept')
    const text = await exportText(home, { at: 1_000 })
    const there = homes.home()
    expect(await importText(there, text, { at: 1_000 })).toMatchObject({ stored: 4, ending: WHOLE })
    const keys = readFileSync(there.files.authorizedKeys, 'utf8')
    expect(keys).not.toContain('bob')
    using again = createAgentCore({ file: there.files.stateDb })
    await putKeys(again, keys)
    expect(again.standings.get(bob.author)).toMatchObject({ voided: false, grant: { comment: 'bob' } })
    expect(again.standings.get(eve.author)).toMatchObject({ voided: true })
    expect(again.store.holds(cidOf('z').toString())).toEqual(['default'])
    expect(again.store.holds(cidOf('w').toString())).toEqual([])
  })

  test('comes all that counts: keys, closed keys, known nodes, commands with their times, and what follows of them', async () => {
    const { home: from, text } = await usedHome()
    const to = homes.home()
    const done = await importText(to, text, { at: 2_000 })
    expect(done).toMatchObject({ stored: 4, known: 0, superseded: 0, omitted: 1, refused: 0, trusted: 1, cids: 2, begun: 1, lines: [] })
    expect(done.granted?.map((grant) => grant.author)).toEqual([ann.author])
    expect(done.leftOut).toEqual([{ author: eve.author, code: 'revoked', commands: 1, key: 'revoked' }])
    expect(done.ending).toEqual({ ...WHOLE, commands: 5, expected: 5 })

    const same = (await stateOf(from)).filter((one) => (one as { author?: string }).author !== eve.author)
    expect(await stateOf(to)).toEqual(same)
    for (const file of [to.files.authorizedKeys, to.files.stateDb]) expect((statSync(file).mode & 0o777).toString(8)).toBe('600')
    using core = createAgentCore({ file: to.files.stateDb })
    expect(['x', 'y', 'z', 'w'].map((name) => core.store.job(cidOf(name).toString())?.action)).toEqual(['pin', 'unpin', 'pin', undefined])
    expect(core.sets.digests().map(({ count }) => count)).toEqual([1, 3])
  })

  test('comes a file of keys to which keys can be added', async () => {
    const { text } = await usedHome()
    const to = homes.home()
    await importText(to, text)
    expect(await addAuthorizedLine(to.files.authorizedKeys, line(bob))).toBe('added')
    const { grants, revoked, problems } = parseAuthorizedKeys(readFileSync(to.files.authorizedKeys, 'utf8'))
    expect([[...grants.keys()], [...revoked], problems]).toEqual([[ann.author, bob.author], [eve.author], []])
  })

  test('comes what was closed, and only what it said in its time', async () => {
    const { text } = await usedHome()
    const late = await pin(9, 'late', bob)
    const extra = formatStateLine({ kind: 'command', id: late.id, author: bob.author, acceptedAt: START + 51, envelope: late.bytes })
    const to = homes.home()
    const done = await importText(
      to,
      text.replace('{"end"', () => `${extra}\n{"end"`),
      { at: 2_000 }
    )
    expect(done).toMatchObject({ stored: 4, omitted: 2 })
    expect(done.leftOut).toContainEqual({ author: bob.author, code: 'expired', commands: 1, key: 'closed' })
    expect(done.ending.isUnchanged).toBe(false)
    using core = createAgentCore({ file: to.files.stateDb })
    await putKeys(core, line())
    core.clock.advance(3_000)
    expect(core.hear((await pin(20, 'q', bob)).bytes)).toBe('ignore unauthorised')
  })

  test('a second time nothing changes', async () => {
    const { text } = await usedHome()
    const to = homes.home()
    await importText(to, text, { at: 2_000 })
    const before = [await stateOf(to), readFileSync(to.files.authorizedKeys), readFileSync(to.files.knownNodes)]
    const again = await importText(to, text, { at: 9_000 })
    expect(again).toMatchObject({ stored: 0, known: 4, omitted: 1, refused: 0, granted: undefined, trusted: 0, cids: 2 })
    expect([await stateOf(to), readFileSync(to.files.authorizedKeys), readFileSync(to.files.knownNodes)]).toEqual(before)
  })

  test('a file without commands still brings its keys, one without keys makes no file', async () => {
    const [from, to, none] = [homes.home(), homes.home(), homes.home()]
    using core = await openAgent(from, line())
    const text = await exportText(from)
    expect(core.store.jobCount()).toBe(0)
    expect(await importText(to, text)).toMatchObject({ stored: 0, cids: 0, granted: [{ author: ann.author }] })
    expect(readFileSync(to.files.authorizedKeys, 'utf8')).toMatch(/^# made by pinsub .*\nssh-ed25519 /)
    writeKeys(from, '')
    expect(await importText(none, await exportText(from))).toMatchObject({ granted: [], begun: 1 })
    expect(existsSync(none.files.authorizedKeys)).toBe(false)
  })
})

describe('into a home that is in use', () => {
  test('its own authorized_keys is obeyed; what it lacks is named with its line, and taken once it is there', async () => {
    const { text } = await usedHome()
    const to = homes.home()
    writeKeys(to, line(bob, 'bob here'))
    await addKnownNodes(to.files.knownNodes, new Map([[nodeIdOf(ann.blob), '']]))
    const before = [readFileSync(to.files.authorizedKeys), readFileSync(to.files.knownNodes)]
    const done = await importText(to, text, { at: 2_000 })
    expect(done).toMatchObject({ stored: 1, omitted: 4, refused: 0, granted: undefined, trusted: 0, cids: 1 })
    expect(done.leftOut).toEqual([
      { author: ann.author, code: 'unauthorised', commands: 3, key: expect.objectContaining({ line: line() }) },
      { author: eve.author, code: 'unauthorised', commands: 1, key: 'revoked' }
    ])
    expect([readFileSync(to.files.authorizedKeys), readFileSync(to.files.knownNodes)]).toEqual(before)
    writeKeys(to, [line(bob), line()].join('\n'))
    expect(await importText(to, text, { at: 3_000 })).toMatchObject({ stored: 3, known: 1, omitted: 1, cids: 2 })
  })

  test('what its keys do not let them say is left out, each with its reason', async () => {
    const from = homes.home()
    using core = await openAgent(from, line())
    for (const { bytes } of [await pin(1), await pin(2, 'y')]) expect(core.hear(bytes)).toBe('accept')
    const text = await exportText(from)
    const cases = [
      ['pinset="site"', 'pinset'],
      ['valid-after="20270101"', 'not-yet'],
      ['expiry-time="20200101"', 'expired'],
      ['@revoked', 'unauthorised']
    ]
    for (const [options, code] of cases) {
      const to = homes.home()
      writeKeys(to, `${options} ${line()}`)
      const { leftOut, stored } = await importText(to, text)
      expect([stored, leftOut.map((each) => [each.code, each.commands])]).toEqual([0, [[code, 2]]])
    }
  })

  test('key lines of the settings count', async () => {
    const { text } = await usedHome()
    const to = homes.home()
    writeKeys(to, '')
    expect(await importText(to, text, { authorize: [line(bob)] })).toMatchObject({ stored: 1, omitted: 4, granted: undefined })
  })

  test('what a later command outranks is not stored', async () => {
    const { text } = await usedHome()
    const to = homes.home()
    {
      using core = await openAgent(to, line())
      expect(core.hear((await unpin(9)).bytes)).toBe('accept')
      expect(core.hear((await pin(8)).bytes)).toBe('accept')
    }
    expect(await importText(to, text)).toMatchObject({ stored: 2, superseded: 1, cids: 0 })
  })

  test('what it knows of closed keys stays', async () => {
    const to = homes.home()
    {
      using core = await openAgent(to, line(bob, 'bob here'))
      await putKeys(core, '')
    }
    rmSync(to.files.authorizedKeys)
    const { text } = await usedHome()
    const before = (await stateOf(to))[1]
    expect(before).toMatchObject({ closed_key: bob.author, comment: 'bob here', closed: new Date(START).toISOString() })
    expect(await importText(to, text, { at: 2_000 })).toMatchObject({ stored: 3, granted: [{ author: ann.author }] })
    expect((await stateOf(to)).filter((one) => (one as { closed_key?: string }).closed_key === bob.author)).toEqual([before])
  })

  test('while its agent runs nothing is done', async () => {
    const { home, text } = await usedHome()
    const to = homes.home()
    const lock = await lockHome(to.files.lock)
    await expect(importText(to, text)).rejects.toMatchObject({ name: 'LockError', code: 'held' })
    expect([existsSync(to.files.stateDb), existsSync(to.files.authorizedKeys), existsSync(to.files.knownNodes)]).toEqual([
      false,
      false,
      false
    ])
    lock.release()
    expect(await importText(to, text)).toMatchObject({ stored: 4 })
    expect(existsSync(home.files.lock)).toBe(false)
  })

  test('a file of keys that the settings name must be there', async () => {
    const { text } = await usedHome()
    const to = homes.home()
    await expect(importText(to, text, { makesKeys: false })).rejects.toMatchObject({ name: 'IdentityError', code: 'missing' })
    expect(existsSync(to.files.authorizedKeys)).toBe(false)
    const lock = await lockHome(to.files.lock)
    lock.release()
  })
})

describe('a file that is not whole', () => {
  test('cut before its first command it leaves no trace; cut later, what came counts, and a whole one completes it', async () => {
    const { home: from, text } = await usedHome()
    const to = homes.home()
    const cutAt = text.indexOf('{"command"')
    const none = await importText(to, text.slice(0, cutAt - 9))
    expect(none).toMatchObject({ stored: 0, refused: 1, granted: undefined, begun: 0, ending: { isEnded: false } })
    expect(existsSync(to.dir)).toBe(false)
    const some = await importText(to, text.slice(0, text.lastIndexOf('{"command"') + 300), { at: 2_000 })
    expect(some).toMatchObject({ refused: 1, begun: 1, ending: { isEnded: false, expected: undefined } })
    expect(some.stored).toBeGreaterThan(1)
    const rest = await importText(to, text, { at: 3_000 })
    expect([rest.stored + rest.known, rest.ending]).toEqual([4, { ...WHOLE, commands: 5, expected: 5 }])
    const same = (await stateOf(from)).filter((one) => (one as { author?: string }).author !== eve.author)
    expect(await stateOf(to)).toEqual(same)
  })

  test('of many commands just the bad ones are named, in their lines', async () => {
    const said = await Promise.all(Array.from({ length: 600 }, (_, i) => pin(i, String(i))))
    const foreign = await command(ann, { operations: [{ op: 'pin', cid: cidOf('f') }], time: at(1), network: 'other' })
    said[300] = foreign
    said[599] = { ...(said[599] as (typeof said)[0]), bytes: forged(said[599]?.bytes as Uint8Array) }
    const commands = said.map(({ id, bytes }) =>
      formatStateLine({ kind: 'command', id, author: ann.author, acceptedAt: START, envelope: bytes })
    )
    commands[17] = '{"command":"\u0000"}'
    const head = formatStateLine({ kind: 'head', network: 'net', exportedAt: START })
    const key = formatStateLine({ kind: 'key', line: line(), author: ann.author, isRevoked: false })
    const end = formatStateLine({ kind: 'end', commands: 600, hash: '0'.repeat(64) })
    const to = homes.home()
    const done = await importText(to, [head, key, ...commands, end].join('\n'))
    expect(done.lines.toSorted()).toEqual([
      '20: encoding: not JSON',
      '303: network: a command of another network',
      '602: signature: the signature does not fit the payload'
    ])
    expect(done).toMatchObject({ stored: 597, refused: 3, cids: 597, ending: { isEnded: true, isUnchanged: false } })
  })

  test('times ahead of the clock: a key closed in the future is refused, a command accepted then counts as accepted now', async () => {
    const { text } = await usedHome()
    const closed = /"closed":"[^"]*"(?=,"revoked":false)/
    const with_ = (ms: number): string => text.replace(closed, `"closed":"${new Date(START + ms).toISOString()}"`)
    const far = await importText(homes.home(), with_(1_000 + MAX_AHEAD_MS + 1), { at: 1_000 })
    expect(far.lines).toEqual([expect.stringMatching(/: shape: closed in the future$/)])
    expect(far.leftOut).toContainEqual({ author: bob.author, code: 'unauthorised', commands: 1, key: undefined })

    const near = homes.home()
    await importText(near, with_(1_000 + MAX_AHEAD_MS), { at: 1_000 })
    expect(await stateOf(near)).toContainEqual(
      expect.objectContaining({ closed_key: bob.author, closed: new Date(START + 1_000).toISOString() })
    )

    const early = homes.home()
    expect(await importText(early, text, { at: 5 })).toMatchObject({ stored: 4, refused: 0 })
    const accepted = objects(await exportText(early)).flatMap((one) => one['accepted'] ?? [])
    expect(Math.max(...accepted.map((time) => Date.parse(time as string)))).toBe(START + 5)
  })

  test('a command signed ahead of the clock is refused for now', async () => {
    const from = homes.home()
    using core = await openAgent(from, line())
    core.clock.advance(MAX_AHEAD_MS)
    expect(core.hear((await pin(START + 2 * MAX_AHEAD_MS)).bytes)).toBe('accept')
    const [text, to] = [await exportText(from), homes.home()]
    const done = await importText(to, text)
    expect(done).toMatchObject({ stored: 0, refused: 1, ending: WHOLE, lines: [expect.stringMatching(/^3: skew: .*clock/)] })
    expect(await importText(to, text, { at: MAX_AHEAD_MS })).toMatchObject({ stored: 1, refused: 0 })
  })

  test('more keys than a file of keys may have are refused, the file holds', async () => {
    const head = formatStateLine({ kind: 'head', network: 'net', exportedAt: START })
    const [first, ...others] = Array.from({ length: MAX_KEY_LINES + 1 }, (_, i) => {
      const blob = ann.blob.slice()
      new DataView(blob.buffer).setUint32(20, i)
      return `{"authorized_key":"${formatPublicKey(blob)}"}`
    })
    const end = formatStateLine({ kind: 'end', commands: 0, hash: '0'.repeat(64) })
    const to = homes.home()
    const done = await importText(to, [head, first, first, ...others, end].join('\n'))
    expect(done.lines.map((text) => text.replace(/\d+:/, ''))).toEqual([
      ' shape: this key again: the first line counts',
      ...[1, 2].map(() => ` shape: more than ${MAX_KEY_LINES - 1} of them`)
    ])
    expect(parseAuthorizedKeys(readFileSync(to.files.authorizedKeys, 'utf8'))).toMatchObject({
      grants: { size: MAX_KEY_LINES - 1 },
      problems: []
    })
  })

  test('of a key that stands with and without @revoked, the revocation holds', async () => {
    const { text } = await usedHome()
    for (const [first, second] of [
      [line(), `@revoked ${line()}`],
      [`@revoked ${line()}`, line()]
    ]) {
      const twice = [first, second].map((each) => JSON.stringify({ authorized_key: each })).join('\n')
      const done = await importText(
        homes.home(),
        text.replace(`{"authorized_key":${JSON.stringify(line())}}`, () => twice)
      )
      expect([done.stored, done.granted]).toEqual([1, []])
    }
  })
})

test('a CID that two pinsets want is one CID to hold', async () => {
  const from = homes.home()
  using core = await openAgent(from, line())
  const operations = [{ op: 'pin', cid: cidOf('x') }] as const
  for (const pinset of ['default', 'site'])
    expect(core.hear((await command(ann, { operations, pinset, time: at(1) })).bytes)).toBe('accept')
  expect(await importText(homes.home(), await exportText(from))).toMatchObject({ stored: 2, cids: 1 })
})

test('what a file says of keys is bounded', () => {
  const keyring = createKeyring(START)
  const grant = { author: ann.author, comment: '', rights: ['pin'], admin: false } as const
  const closed = { kind: 'closed', standing: { grant, closedAt: 1, voided: false } } as const
  expect([keyring.add(closed), keyring.add(closed)]).toEqual([undefined, expect.stringContaining('again')])
  const long = 'x'.repeat(16_000)
  const answers = Array.from({ length: 300 }, (_, i) =>
    keyring.add({ kind: 'key', line: `${i} ${long}`, author: `SHA256:${i}`, isRevoked: false })
  )
  expect(answers.filter((answer) => answer === undefined)).toHaveLength(262)
  expect(answers.at(-1)).toBe(`more than ${MAX_KEY_FILE_BYTES} bytes of keys`)
  expect(Buffer.byteLength(keyring.text())).toBeLessThan(MAX_KEY_FILE_BYTES)
})

test('an import that is called off keeps what it stored, and lets the home go', async () => {
  const { text } = await usedHome()
  const to = homes.home()
  await expect(importText(to, text, { signal: AbortSignal.abort() })).rejects.toThrow(/abort/i)
  expect(existsSync(to.files.stateDb)).toBe(false)
  expect(await importText(to, text)).toMatchObject({ stored: 4 })
})

describe('one byte is wrong', () => {
  /** Ids and envelopes of what a home keeps. */
  const kept = async (home: TestHome): Promise<ReadonlyMap<string, string>> =>
    new Map(
      objects(await exportText(home)).flatMap(({ command: id, envelope }) => (id === undefined ? [] : [[id as string, envelope as string]]))
    )

  test.each(['pinsub', 'authorized_key', 'closed_key', 'known_node', 'command', 'end'])('in a line of kind %s', async (kind) => {
    const { home, text } = await usedHome()
    const original = await kept(home)
    const bytes = Buffer.from(text)
    const start = bytes.indexOf(`{"${kind}"`)
    const length = bytes.indexOf('\n', start) - start
    for (let step = 0; step < 6; step++) {
      const changed = Buffer.from(bytes)
      const place = start + Math.floor((step * length) / 6)
      changed[place] = (changed[place] as number) ^ (1 << step)
      const to = homes.home()
      await check(changed, to, original)
    }
  })

  test('anywhere, in any way', { timeout: 60_000 }, async () => {
    const { home, text } = await usedHome()
    const original = await kept(home)
    const bytes = Buffer.from(text)
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: bytes.byteLength - 1 }), fc.nat({ max: 255 }), async (place, value) => {
        fc.pre(bytes[place] !== value)
        const changed = Buffer.from(bytes)
        changed[place] = value
        await check(changed, homes.home(), original)
      }),
      { ...RUNS, numRuns: 50 }
    )
  })

  /** Nothing that was signed has changed, and the damage is told. */
  async function check(changed: Uint8Array, to: TestHome, original: ReadonlyMap<string, string>): Promise<void> {
    let isTold: boolean
    try {
      const { refused, ending } = await importText(to, changed, { at: 2_000 })
      isTold = refused > 0 || !ending.isEnded || !ending.isUnchanged || ending.commands !== ending.expected
    } catch (err) {
      if (!(err instanceof Error) || err.name !== 'StateFileError') throw err
      isTold = true
      expect(existsSync(to.dir)).toBe(false)
    }
    expect(isTold).toBe(true)
    if (!existsSync(to.files.stateDb)) return
    for (const [id, envelope] of await kept(to)) {
      expect(envelope).toBe(original.get(id))
      verifyEnvelope(openEnvelope(Buffer.from(envelope, 'base64')))
    }
  }
})

function forged(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice()
  // The signature stands behind the payload, before the signer.
  const at = Buffer.from(copy).lastIndexOf('signature') + 20
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}
