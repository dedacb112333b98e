import { createHash } from 'node:crypto'
import { chmodSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { addKnownNodes } from '../../src/identity/known-nodes-file.ts'
import { openStateExport } from '../../src/node/state-export.ts'
import { openStateFile, StateFileError, type NumberedLine, type RefusedLine, type StateFile } from '../../src/node/state-file.ts'
import { MAX_STATE_LINE_BYTES } from '../../src/protocol/limits.ts'
import { formatPublicKey, nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { formatStateLine } from '../../src/protocol/state-lines.ts'
import { author, cidOf, command } from '../support/author.ts'
import { createManualClock } from '../support/clock.ts'
import { heldBytes } from '../support/memory.ts'
import { createHomes, exportText, objects, openAgent, pieces, putKeys, START, writeKeys, type TestHomes } from './states.ts'

const [ann, bob, ci, eve] = [author('ann'), author('bob'), author('ci'), author('eve')]
const line = (signer = ann, comment = 'ann@laptop'): string => formatPublicKey(signer.blob, comment)
const pin = (ms: number, text = 'x', signer = ann) =>
  command(signer, { operations: [{ op: 'pin', cid: cidOf(text) }], time: { ms, counter: 0 } })
const iso = (ms: number): string => new Date(ms).toISOString()

let homes: TestHomes
beforeEach(() => {
  homes = createHomes()
})
afterEach(() => homes[Symbol.dispose]())

describe('an export', () => {
  test('has, in this order, head, keys, closed keys, known nodes, the commands that hold a register, and an end', async () => {
    const home = homes.home()
    const before = [line(), `ops="pin",pinset="site" ${line(ci, 'ci')}`, line(bob, 'bob'), line(eve, 'eve')].join('\n')
    using core = await openAgent(home, before)
    const said = [await pin(1), await pin(2, 'y', bob), await pin(3)]
    for (const { bytes } of said) {
      expect(core.hear(bytes)).toBe('accept')
      core.clock.advance(10)
    }
    const after = [
      '# who may command',
      '',
      `  ${line()}\t`,
      'max-pins="5" ssh-ed25519 AAAA broken',
      'ssh-rsa AAAA skipped',
      line(ann, 'again'),
      `@revoked ${line(eve, 'eve')}`
    ].join('\n')
    writeKeys(home, after)
    await putKeys(core, after)
    await addKnownNodes(home.files.knownNodes, new Map([[nodeIdOf(bob.blob), 'trusted']]))

    const text = await exportText(home, { at: 1_000 })
    const lines = objects(text)
    const closed = { options: '', closed: iso(START + 30) }
    expect(lines.slice(0, -3)).toEqual([
      { pinsub: 'state', version: 1, network: 'net', exported: iso(START + 1_000) },
      { authorized_key: line() },
      { authorized_key: `@revoked ${line(eve, 'eve')}` },
      ...[
        { closed_key: bob.author, ...closed, comment: 'bob', revoked: false },
        { closed_key: ci.author, ...closed, options: 'ops="pin",pinset="site"', comment: 'ci', revoked: false },
        { closed_key: eve.author, ...closed, comment: 'eve', revoked: true }
      ].toSorted((a, b) => (a.closed_key < b.closed_key ? -1 : 1)),
      { known_node: `${nodeIdOf(bob.blob)} trusted` }
    ])
    // The first of the three commands was outranked by the last.
    expect(lines.slice(-3, -1)).toEqual(
      [said[1], said[2]].map((one, i) => ({
        command: one?.id,
        author: [bob, ann][i]?.author,
        accepted: iso(START + 10 * (i + 1)),
        envelope: Buffer.from(one?.bytes ?? []).toString('base64')
      }))
    )
    const body = text.slice(0, text.lastIndexOf('\n', text.length - 2) + 1)
    expect(lines.at(-1)).toEqual({ end: true, commands: 2, sha256: createHash('sha256').update(body).digest('hex') })

    using state = await openStateExport({ network: 'net', files: home.files, authorize: [] }, { clock: createManualClock() })
    expect(state.problems.map((problem) => problem.line)).toEqual([4, 6])
  })

  test('counts the key lines of the settings as lines of the file', async () => {
    const home = homes.home()
    using core = await openAgent(home, `${line()}\n@revoked ${line(eve)}\n`)
    await putKeys(core, [line(), line(bob)].join('\n'))
    const extra = [line(bob, 'bob'), line(ann, 'again'), line(eve, 'in vain')]
    const keys = objects(await exportText(home, { authorize: extra })).flatMap((one) => one['authorized_key'] ?? [])
    expect(keys).toEqual([line(), `@revoked ${line(eve)}`, line(bob, 'bob')])
    expect(await exportText(home, { authorize: extra })).not.toContain('closed_key')
  })

  test('goes by the file where the agent has not read it yet', async () => {
    const home = homes.home()
    using core = await openAgent(home, `${line()}\n${line(bob)}`)
    expect(core.standings.count()).toBe(2)
    writeKeys(home, `@revoked ${line()}`)
    const closed = objects(await exportText(home, { at: 9 })).filter((one) => 'closed_key' in one)
    expect(new Map(closed.map((one) => [one['closed_key'], one['revoked']]))).toEqual(
      new Map([
        [ann.author, true],
        [bob.author, false]
      ])
    )
    expect(new Set(closed.map((one) => one['closed']))).toEqual(new Set([iso(START + 9)]))
  })

  test('of a home whose file is gone closes every key; one that others may write is no file to go by', async () => {
    const home = homes.home()
    using core = await openAgent(home, line())
    expect(core.hear((await pin(1)).bytes)).toBe('accept')
    writeKeys(home, '')
    const lines = objects(await exportText(home, { at: 500 }))
    expect(lines[1]).toMatchObject({ closed_key: ann.author, closed: iso(START + 500), revoked: false })
    expect(lines).toHaveLength(4)
    chmodSync(home.files.authorizedKeys, 0o666)
    await expect(exportText(home)).rejects.toMatchObject({ name: 'IdentityError', code: 'permissions' })
  })

  test('reads the store while it is taken, not before', async () => {
    const home = homes.home()
    using core = await openAgent(home, line())
    core.store.transaction(() => {
      for (let n = 0; n < 2_000; n++) {
        const id = String(n).padStart(64, '0')
        const rest = { author: ann.author, pinset: 'p', time: { ms: n, counter: 0 }, acceptedAt: n, envelope: new Uint8Array(100) }
        core.store.addCommand({ id, ...rest })
      }
    })
    using state = await openStateExport({ network: 'net', files: home.files, authorize: [] }, { clock: createManualClock() })
    const sizes: number[] = []
    const counted: number[] = []
    for (const piece of state.text) {
      sizes.push(piece.length)
      counted.push(state.counts().commands)
      expect(piece.endsWith('\n')).toBe(true)
    }
    expect(counted[0]).toBeLessThan(300)
    expect(Math.max(...sizes)).toBeLessThan(64 * 1024 + 500)
    expect(state.counts()).toEqual({ keys: 1, nodes: 0, commands: 2_000 })
  })
})

describe('reading', () => {
  const HEAD = formatStateLine({ kind: 'head', network: 'net', exportedAt: START })
  const KEY = formatStateLine({ kind: 'key', line: line(), author: ann.author, isRevoked: false })
  let COMMAND: string
  beforeEach(async () => {
    const { bytes, id } = await pin(1)
    COMMAND = formatStateLine({ kind: 'command', id, author: ann.author, acceptedAt: START, envelope: bytes })
  })
  const end = (...lines: string[]): string => {
    const text = lines.map((one) => `${one}\n`).join('')
    const commands = lines.filter((one) => one.includes('"command"')).length
    return `${text}${formatStateLine({ kind: 'end', commands, hash: createHash('sha256').update(text).digest('hex') })}\n`
  }
  const open = (text: string | Uint8Array, size?: number): Promise<StateFile> => openStateFile(pieces(Buffer.from(text), size))
  const rest = (file: StateFile): Promise<(NumberedLine | RefusedLine)[]> => Array.fromAsync(file.lines)
  const short = (each: NumberedLine | RefusedLine): string =>
    `${each.number} ${each.kind === 'line' ? each.line.kind : `${each.code}: ${each.message}`}`
  const WHOLE = { isEnded: true, isUnchanged: true }

  test.each([1, 7, 1_000, 1_000_000])('in pieces of %d bytes', async (size) => {
    const file = await open(end(HEAD, KEY, COMMAND), size)
    expect(file.head).toMatchObject({ network: 'net', exportedAt: START })
    expect((await rest(file)).map(short)).toEqual(['2 key', '3 command'])
    expect(file.ending()).toEqual({ ...WHOLE, commands: 1, expected: 1 })
  })

  test('line ends of any kind, blank lines, and none at the end', async () => {
    const text = end(HEAD, KEY, COMMAND)
    for (const same of [text.replaceAll('\n', '\r\n'), text.replaceAll('\n', '\n\n'), text.trimEnd()]) {
      const file = await open(same)
      expect((await rest(file)).map(short)).toHaveLength(2)
      expect(file.ending()).toMatchObject(WHOLE)
    }
  })

  test.each<[string, () => string | Uint8Array, RegExp]>([
    ['nothing', () => '', /empty/],
    ['another file', () => '{"event":"pin"}\n', /not a state file: line 1/],
    ['one that lacks its beginning', () => `${KEY}\n${COMMAND}\n`, /without its beginning/],
    ['a later version', () => HEAD.replace('"version":1', '"version":2'), /version 2 .*update pinsub/],
    ['a compressed one', () => Uint8Array.of(0x1f, 0x8b, 8, 0, 10, 0), /compressed: gunzip -c FILE/],
    ['a binary one', () => new Uint8Array(3_000_000), /line 1: longer than 131072 bytes/]
  ])('%s is no state file', async (_, text, message) => {
    await expect(open(text())).rejects.toThrow(StateFileError)
    await expect(open(text())).rejects.toThrow(message)
  })

  test('what stands in the wrong place is refused, the others are taken', async () => {
    const file = await open(end(HEAD, HEAD, KEY, COMMAND, KEY) + [COMMAND, HEAD, end().trimEnd(), 'x'].join('\n'))
    expect((await rest(file)).map(short)).toEqual([
      '2 shape: a second head',
      '3 key',
      '4 command',
      '5 shape: stands behind the first command',
      '7 shape: stands behind the end',
      '8 shape: stands behind the end',
      '9 shape: stands behind the end',
      '10 encoding: not JSON'
    ])
    expect(file.ending()).toEqual({ ...WHOLE, commands: 1, expected: 1 })
  })

  test('a file that is cut shows it, wherever', async () => {
    const text = end(HEAD, KEY, COMMAND)
    for (let at = HEAD.length + 1; at < text.length - 1; at += 7) {
      const file = await open(text.slice(0, at))
      await rest(file)
      expect(file.ending().isEnded).toBe(false)
    }
  })

  test('a line that is gone, or came to be, shows at the end', async () => {
    for (const lines of [[COMMAND], [KEY, KEY, COMMAND], [KEY, COMMAND, COMMAND]]) {
      const text = end(HEAD, KEY, COMMAND)
      const file = await open([HEAD, ...lines, text.trimEnd().split('\n').at(-1)].join('\n'))
      await rest(file)
      expect(file.ending()).toMatchObject({ isEnded: true, isUnchanged: false })
    }
  })

  test('a line without end costs no memory and is one refusal', async () => {
    let held = 0
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`${HEAD}\n`)
      for (let i = 0; i < 2_000; i++) {
        yield new Uint8Array(100_000).fill(0x61)
        if (i === 1_999) held = heldBytes()
      }
      yield Buffer.from(`\n${COMMAND}\n`)
    }
    const before = heldBytes()
    const file = await openStateFile(endless())
    expect((await rest(file)).map(short)).toEqual([`2 size: longer than ${MAX_STATE_LINE_BYTES} bytes`, '3 command'])
    // 200 MB had gone by.
    expect(held - before).toBeLessThan(100_000_000)
  })
})
