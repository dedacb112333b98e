import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_ENVELOPE_BYTES, MAX_STATE_LINE_BYTES } from '../../src/protocol/limits.ts'
import { nodeIdOf, formatPublicKey } from '../../src/protocol/ssh-key.ts'
import { formatStateLine, parseStateLine, type StateCommand, type StateLine } from '../../src/protocol/state-lines.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'
import { RUNS } from '../property/arbitrary.ts'

const [ann, ci] = [author('ann'), author('ci')]
const utf8 = new TextEncoder()
const parse = (text: string): StateLine => parseStateLine(utf8.encode(text))

const HEAD = '{"pinsub":"state","version":1,"network":"blue-otter-7f3a","exported":"2026-11-21T09:14:00.123Z"}'
const END = `{"end":true,"commands":5200,"sha256":"${'0f'.repeat(32)}"}`
const CLOSED = `{"closed_key":"${ci.author}","options":"ops=\\"pin\\",pinset=\\"site,blog-*\\",valid-after=\\"20260101000000\\",expiry-time=\\"20271231235959\\",admin","comment":"ci@build","closed":"2026-11-01T00:00:00.000Z","revoked":true}`
const KEY = `{"authorized_key":${JSON.stringify(`pinset="site" ${formatPublicKey(ann.blob, 'ann@laptop')}`)}}`
const NODE = `{"known_node":"${nodeIdOf(ann.blob)} trusted 2026-11-21"}`

let said: StateCommand
let COMMAND: string
beforeAll(async () => {
  const { bytes, id } = await command(ann, { operations: [{ op: 'pin', cid: cidOf('x') }], time: { ms: 5, counter: 1 } })
  said = { kind: 'command', id, author: ann.author, acceptedAt: 1_700_000_000_001, envelope: bytes }
  COMMAND = formatStateLine(said)
})

/** The fault of a line that must not be taken. */
function fault(line: string | Uint8Array): InvalidMessageError {
  try {
    parseStateLine(typeof line === 'string' ? utf8.encode(line) : line)
  } catch (err) {
    if (err instanceof InvalidMessageError) return err
    throw err
  }
  throw new Error('it was taken')
}

describe('each kind is written as the format says and read as it was', () => {
  test('the head', () => {
    const head = { kind: 'head', network: 'blue-otter-7f3a', exportedAt: Date.parse('2026-11-21T09:14:00.123Z') } as const
    expect(formatStateLine(head)).toBe(HEAD)
    expect(parse(HEAD)).toEqual(head)
  })

  test('a key line, as it stands', () => {
    const line = `pinset="site" ${formatPublicKey(ann.blob, 'ann@laptop')}`
    const key = { kind: 'key', line, author: ann.author, isRevoked: false } as const
    expect(formatStateLine(key)).toBe(KEY)
    expect(parse(KEY)).toEqual(key)
    const revoked = { kind: 'key', line: `@revoked ${formatPublicKey(ci.blob)}`, author: ci.author, isRevoked: true } as const
    expect(parse(formatStateLine(revoked))).toEqual(revoked)
  })

  test('a closed key, with all its options and with none', () => {
    const grant = grantOf(ci, {
      comment: 'ci@build',
      rights: ['pin'],
      pinsets: ['site', 'blog-*'],
      validAfter: Date.parse('2026-01-01T00:00:00Z'),
      expiryTime: Date.parse('2027-12-31T23:59:59Z'),
      admin: true
    })
    const closed = { kind: 'closed', standing: { grant, closedAt: Date.parse('2026-11-01T00:00:00Z'), voided: true } } as const
    expect(formatStateLine(closed)).toBe(CLOSED)
    expect(parse(CLOSED)).toEqual(closed)
    const plain = { kind: 'closed', standing: { grant: grantOf(ci), closedAt: 0, voided: false } } as const
    expect(parse(formatStateLine(plain))).toEqual(plain)
  })

  test('a known node', () => {
    const node = { kind: 'node', node: nodeIdOf(ann.blob), comment: 'trusted 2026-11-21' } as const
    expect(formatStateLine(node)).toBe(NODE)
    expect(parse(NODE)).toEqual(node)
  })

  test('a command', () => {
    const envelope = Buffer.from(said.envelope).toString('base64')
    expect(COMMAND).toBe(`{"command":"${said.id}","author":"${ann.author}","accepted":"2023-11-14T22:13:20.001Z","envelope":"${envelope}"}`)
    expect(parse(COMMAND)).toEqual(said)
  })

  test('the end', () => {
    const end = { kind: 'end', commands: 5_200, hash: '0f'.repeat(32) } as const
    expect(formatStateLine(end)).toBe(END)
    expect(parse(END)).toEqual(end)
  })

  test('the largest envelope fits a line', async () => {
    const name = 'n'.repeat(200)
    const operations = Array.from({ length: 234 }, (_, i) => ({ op: 'pin', cid: cidOf(String(i)), name }) as const)
    const { bytes, id } = await command(ann, { operations, time: { ms: 1, counter: 0 } })
    expect(bytes.byteLength).toBeGreaterThan(MAX_ENVELOPE_BYTES - 1_000)
    const line = { ...said, id, envelope: bytes }
    expect(parse(formatStateLine(line))).toEqual(line)
  })
})

const change = (line: string, from: string | RegExp, to: string): string => {
  const changed = line.replace(from, () => to)
  expect(changed).not.toBe(line)
  return changed
}

describe('what is not taken', () => {
  test.each<[string, () => string | Uint8Array, string, RegExp]>([
    ['nothing', () => '', 'encoding', /not JSON/],
    ['half a line', () => COMMAND.slice(0, 200), 'encoding', /not JSON/],
    ['bytes that are not UTF-8', () => Uint8Array.of(0x22, 0xff, 0x22), 'encoding', /not JSON/],
    ['a byte order mark', () => `\uFEFF${HEAD}`, 'encoding', /not JSON/],
    ['a NUL byte', () => change(HEAD, 'state', 'st\0te'), 'encoding', /not JSON/],
    ['two objects', () => `${HEAD} ${HEAD}`, 'encoding', /not JSON/],
    ['a line that is too long', () => `{"known_node":"${'x'.repeat(MAX_STATE_LINE_BYTES)}"}`, 'size', /131072/],
    ['JSON that is very deep', () => '['.repeat(MAX_STATE_LINE_BYTES), 'encoding', /not JSON/],
    ['a deep list', () => '['.repeat(60_000) + ']'.repeat(60_000), 'shape', /object/],
    ['no object', () => 'null', 'shape', /object/],
    ['an object of another kind', () => '{"event":"pin"}', 'shape', /not a line of a state file/],
    ['a field too many', () => change(END, '}', ',"x":1}'), 'shape', /end, commands, sha256/],
    ['a field that is missing', () => '{"end":true,"commands":1}', 'shape', /end, commands, sha256/],
    ['a prototype', () => change(END, '"end":true', '"end":true,"__proto__":{}'), 'shape', /end, commands, sha256/],
    ['two kinds at once', () => change(NODE, '{', '{"end":true,'), 'shape', /known_node were expected/],
    ['a deep value', () => `{"known_node":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 'shape', /known_node/],

    ['another format', () => change(HEAD, '"state"', '"ledger"'), 'shape', /"state"/],
    ['a later version', () => change(HEAD, '"version":1', '"version":2,"more":[]'), 'shape', /version 2.*update pinsub/],
    ['a version that is text', () => change(HEAD, '"version":1', '"version":"1"'), 'shape', /version/],
    ['a network that is no name', () => change(HEAD, 'blue-otter', '../otter'), 'shape', /network/],
    ['a time without milliseconds', () => change(HEAD, '.123Z', 'Z'), 'shape', /exported/],
    ['a time in another zone', () => change(HEAD, '.123Z', '.123+01:00'), 'shape', /exported/],
    ['a day that is not', () => change(HEAD, '11-21', '02-31'), 'shape', /exported/],
    ['a time before 1970', () => change(HEAD, '2026-', '1969-'), 'shape', /exported/],
    ['a time that is a number', () => change(HEAD, /"exported":.*\}/, '"exported":5}'), 'shape', /exported/],

    ['two key lines in one', () => change(KEY, 'ann@laptop', 'ann\\nssh-ed25519 AAAA'), 'shape', /authorized_key/],
    ['a NUL in a key line', () => change(KEY, 'ann@laptop', 'ann\\u0000'), 'shape', /authorized_key/],
    ['a comment instead of a key', () => '{"authorized_key":"# nobody"}', 'shape', /names no key/],
    ['an option that is not known', () => change(KEY, 'pinset=', 'pinsets='), 'shape', /unknown option/],
    ['a broken key', () => change(KEY, 'AAAAC3Nz', 'AAAAC3Nx'), 'shape', /key/],
    ['a key that cannot sign', () => '{"authorized_key":"ssh-rsa AAAA you@laptop"}', 'shape', /names no key/],

    ['an author that is none', () => change(CLOSED, 'SHA256:', 'MD5:'), 'shape', /closed_key/],
    ['options that are none', () => change(CLOSED, 'ops=', 'oops='), 'shape', /unknown option/],
    ['options that are a number', () => change(CLOSED, /"options":"[^,]*(\\"|[^"])*"/, '"options":5'), 'shape', /options/],
    ['control characters in a comment', () => change(CLOSED, 'ci@build', 'ci\\u001b[2J'), 'shape', /comment/],
    ['a comment without end', () => change(CLOSED, 'ci@build', 'c'.repeat(256)), 'shape', /comment/],
    ['revoked as text', () => change(CLOSED, '"revoked":true', '"revoked":"no"'), 'shape', /revoked/],
    ['no closing time', () => change(CLOSED, '2026-11-01T00:00:00.000Z', 'now'), 'shape', /closed/],

    ['no peer id', () => change(NODE, '12D3KooW', '12D3KooX'), 'shape', /peer id/],
    ['no node at all', () => '{"known_node":"# none"}', 'shape', /no node/],
    ['a node that is a list', () => '{"known_node":["a"]}', 'shape', /known_node/],

    ['an id that is none', () => change(COMMAND, said.id, said.id.toUpperCase()), 'shape', /command/],
    ['the id of another command', () => change(COMMAND, said.id, 'a'.repeat(64)), 'shape', /another command/],
    ['another author', () => change(COMMAND, ann.author, ci.author), 'shape', /another author/],
    ['base64 with a space', () => change(COMMAND, '"envelope":"', '"envelope":" '), 'encoding', /not base64/],
    ['base64 of the URL kind', () => change(COMMAND, /"envelope":".{4}/, '"envelope":"-_-_'), 'encoding', /not base64/],
    ['base64 with bits left over', () => change(COMMAND, /"envelope":".*"/, '"envelope":"AB=="'), 'encoding', /not base64/],
    ['an envelope that is none', () => change(COMMAND, /"envelope":".*"/, '"envelope":"AAAA"'), 'encoding', /./],
    ['an envelope that is too large', () => change(COMMAND, /"envelope":".*"/, `"envelope":"${'A'.repeat(82_000)}"`), 'shape', /envelope/],

    ['an end that is none', () => change(END, 'true', 'false'), 'shape', /end/],
    ['a count below 0', () => change(END, '5200', '-1'), 'shape', /commands/],
    ['a count that is a fraction', () => change(END, '5200', '0.5'), 'shape', /commands/],
    ['a checksum that is none', () => change(END, '0f0f', '0F0F'), 'shape', /sha256/]
  ])('%s', (_, line, code, message) => {
    const { code: found, message: text } = fault(line())
    expect({ found, text }).toEqual({ found: code, text: expect.stringMatching(message) })
    // It reaches a screen: not for ever.
    expect(text.length).toBeLessThan(300)
  })

  test('an envelope of another kind', async () => {
    const { sealEnvelope } = await import('../../src/protocol/envelope.ts')
    const { bytes } = await sealEnvelope('ack', Uint8Array.of(0xa0), ann)
    expect(fault(formatStateLine({ ...said, envelope: bytes }))).toMatchObject({ code: 'shape', message: 'the envelope holds no command' })
  })
})

test('whatever bytes come, they are a line or a fault with a name', () => {
  const lines = fc.constantFrom(HEAD, END, CLOSED, KEY, NODE, COMMAND)
  const changed = fc.tuple(lines, fc.nat(), fc.uint8Array({ minLength: 1, maxLength: 3 })).map(([line, at, bytes]) => {
    const copy = utf8.encode(line)
    copy.set(bytes.slice(0, copy.byteLength), Math.min(at % copy.byteLength, copy.byteLength - bytes.byteLength))
    return copy
  })
  const any = fc.oneof(
    changed,
    fc.uint8Array({ maxLength: 200 }),
    fc.json().map((text) => utf8.encode(text))
  )
  fc.assert(
    fc.property(any, (bytes) => {
      try {
        const line = parseStateLine(bytes)
        expect(parse(formatStateLine(line))).toEqual(line)
      } catch (err) {
        if (!(err instanceof InvalidMessageError)) throw err
      }
    }),
    { ...RUNS, numRuns: 2_000 }
  )
})
