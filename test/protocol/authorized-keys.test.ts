import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseAuthorizedKeys, parseKeyLine } from '../../src/protocol/authorized-keys.ts'
import { InvalidTextError } from '../../src/protocol/errors.ts'
import { formatOptions, parseKeyOptions } from '../../src/protocol/key-options.ts'
import { MAX_KEY_LINES } from '../../src/protocol/limits.ts'
import { publicKeyOfSeed } from '../../src/protocol/signature.ts'
import { authorOf, formatPublicKey, keyBlob, nodeIdOf } from '../../src/protocol/ssh-key.ts'

const blobOf = (n: number) => keyBlob(publicKeyOfSeed(new Uint8Array(32).fill(n)))
const key = (n: number, comment = '') => formatPublicKey(blobOf(n), comment)
const author = (n: number) => authorOf(blobOf(n))
const grantOf = (line: string) => parseKeyLine(line).grant
const complaints = (text: string) => parseAuthorizedKeys(text).problems

describe('a good line', () => {
  test('without options grants pin and unpin in every pinset', () => {
    expect(parseAuthorizedKeys(`${key(1, 'ann@laptop')}\n`)).toEqual({
      grants: new Map([[author(1), { author: author(1), comment: 'ann@laptop', rights: ['pin', 'unpin'], admin: false }]]),
      revoked: new Set(),
      problems: [],
      skipped: 0,
      lines: new Map([[author(1), 1]])
    })
  })

  test('may hold a peer id in place of the key', () => {
    expect(grantOf(`ops="pin" ${nodeIdOf(blobOf(1))} mirror`)).toEqual({
      author: author(1),
      comment: 'mirror',
      rights: ['pin'],
      admin: false
    })
  })

  test('takes all options, in any case, with spaces and escaped quotes inside values', () => {
    expect(
      grantOf(
        `OPS="pin, unpin",pinset="site,blog-*",Valid-After="20260102",expiry-time="202712312359Z",max-pins="5",Max-Size="1.5 GiB",admin ${key(1, 'a b')}`
      )
    ).toEqual({
      author: author(1),
      comment: 'a b',
      rights: ['pin', 'unpin'],
      pinsets: ['site', 'blog-*'],
      validAfter: Date.UTC(2026, 0, 2),
      expiryTime: Date.UTC(2027, 11, 31, 23, 59),
      maxPins: 5,
      maxBytes: 1.5 * 2 ** 30,
      admin: true
    })
  })

  test.each([
    ['20271231', Date.UTC(2027, 11, 31)],
    ['20271231Z', Date.UTC(2027, 11, 31)],
    ['202712310102', Date.UTC(2027, 11, 31, 1, 2)],
    ['20271231010203Z', Date.UTC(2027, 11, 31, 1, 2, 3)],
    ['20280229', Date.UTC(2028, 1, 29)]
  ])('reads the time %s as UTC', (text, time) => {
    expect(grantOf(`expiry-time="${text}" ${key(1)}`).expiryTime).toBe(time)
  })

  test.each([
    ['1', 1],
    ['2000b', 2_000],
    ['20GB', 20e9],
    ['500MiB', 500 * 2 ** 20]
  ])('reads the size %s', (text, bytes) => {
    expect(grantOf(`max-size="${text}" ${key(1)}`).maxBytes).toBe(bytes)
  })

  test('keeps control characters out of comments', () => {
    expect(grantOf(`${key(1)} a\u001B[31mb`).comment).toBe('a\uFFFD[31mb')
  })
})

test('caps are written as they are read, a size in bytes', () => {
  const grant = grantOf(`admin,max-size="2KiB",max-pins="007" ${key(1)}`)
  expect(formatOptions(grant)).toBe('max-pins="7",max-size="2048",admin')
  expect(parseKeyOptions(formatOptions(grant))).toEqual({ maxPins: 7, maxBytes: 2_048, admin: true })
})

describe('a bad line grants nothing and is named; the others hold', () => {
  test.each([
    ['no-pty', 'unknown option "no-pty"'],
    ['command="true"', 'unknown option "command"'],
    ['max-pins', 'needs a value'],
    ['max-pins="0"', 'from 1, not "0"'],
    ['max-pins="-5"', 'from 1, not "-5"'],
    ['max-pins="5.5"', 'from 1'],
    ['max-pins="many"', 'from 1'],
    ['max-pins="9007199254740992"', 'from 1'],
    ['max-pins="5",max-pins="6"', 'twice'],
    ['max-size=""', 'takes a size'],
    ['max-size="0"', 'takes a size'],
    ['max-size="0.5"', 'takes a size'],
    ['max-size="-1GB"', 'takes a size'],
    ['max-size="5 elephants"', 'takes a size'],
    ['max-size="9007199254740992"', 'takes a size'],
    ['ops="pin,delete"', '"delete"'],
    ['ops=""', 'empty item'],
    ['ops', 'needs a value'],
    ['ops=pin', 'options such as'],
    ['ops="pin",ops="unpin"', 'twice'],
    ['ops="pin",', 'a comma'],
    [',ops="pin"', 'options such as'],
    ['admin="yes"', 'takes no value'],
    ['pinset="a b"', '"a b"'],
    ['pinset="!site"', '"!site"'],
    ['expiry-time="20270231"', 'YYYYMMDD'],
    ['expiry-time="20271301"', 'YYYYMMDD'],
    ['expiry-time="202712312460"', 'YYYYMMDD'],
    ['expiry-time="tomorrow"', 'YYYYMMDD'],
    ['valid-after="20280101",expiry-time="20270101"', 'not before'],
    ['ops="pin', 'not closed']
  ])('option %s', (options, message) => {
    const { grants, problems } = parseAuthorizedKeys(`${key(1)}\n${options} ${key(2)}\n${key(3)}\n`)
    expect([...grants.keys()]).toEqual([author(1), author(3)])
    expect(problems).toEqual([{ line: 2, message: expect.stringContaining(message) }])
  })

  test.each([
    ['ssh-ed25519', 'key'],
    ['ssh-ed25519 AAAA', 'key'],
    [`${key(2).slice(0, -8)}`, 'key'],
    [key(2).replace('AAAAC3', 'AAAAC4'), 'key'],
    ['ssh-ed25519 !!!!', 'base64'],
    ['12D3KooWnotapeer', 'peer id'],
    ['QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N', 'peer id'],
    ['hello world', 'no key found'],
    ['ops="pin"', 'no key found'],
    ['@cert-authority ssh-ed25519 AAAA', 'marker'],
    ['@revoked', 'nothing is revoked'],
    [`${'x'.repeat(20_000)} ${key(2)}`, 'longer'],
    [key(2).split('').join('\0'), 'NUL']
  ])('%s', (line, message) => {
    const { grants, problems } = parseAuthorizedKeys(`${key(1)}\n${line}\n${key(3)}\n`)
    expect([...grants.keys()]).toEqual([author(1), author(3)])
    expect(problems).toEqual([{ line: 2, message: expect.stringContaining(message) }])
  })

  test('a key that stands twice: the first good line counts', () => {
    const { grants, problems, lines } = parseAuthorizedKeys(`no-pty ${key(1)}\nops="pin" ${key(1, 'first')}\n${key(1, 'second')}\n`)
    expect(grants.get(author(1))).toMatchObject({ comment: 'first', rights: ['pin'] })
    expect(lines.get(author(1))).toBe(2)
    expect(problems.map(({ line }) => line)).toEqual([1, 3])
  })
})

test('keys of types that cannot sign are skipped and counted, options or not', () => {
  const { grants, problems, skipped } = parseAuthorizedKeys(
    [
      'ssh-rsa AAAAB3 x',
      'no-pty,command="a b" ecdsa-sha2-nistp256 AAAA',
      'sk-ssh-ed25519@openssh.com AAAA',
      'ssh-ed25519-cert-v01@openssh.com AAAA',
      key(1)
    ].join('\n')
  )
  expect({ size: grants.size, problems, skipped }).toEqual({ size: 1, problems: [], skipped: 4 })
})

describe('@revoked', () => {
  test.each([
    ['above its line', `@revoked ${key(1)}\n${key(1)}\n`],
    ['below its line', `${key(1)}\n@revoked ${key(1)}\n`],
    ['before options, good or bad', `@revoked ops="pin,no-pty ${key(1)}\n${key(1)}\n`],
    ['in capitals', `@REVOKED ${key(1)} gone\n${key(1)}\n`],
    ['with a peer id', `@revoked ${nodeIdOf(blobOf(1))}\n${key(1)}\n`],
    ['with a host pattern, as in known_hosts', `@revoked * ${key(1)}\n${key(1)}\n`]
  ])('%s voids the key', (_, text) => {
    const { grants, revoked, problems } = parseAuthorizedKeys(`${text}${key(2)}\n`)
    expect({ granted: [...grants.keys()], revoked, problems }).toEqual({
      granted: [author(2)],
      revoked: new Set([author(1)]),
      problems: []
    })
  })

  test('with a key that cannot be read is a problem', () => {
    expect(complaints('@revoked ssh-ed25519 AAAA\n')).toEqual([{ line: 1, message: expect.any(String) }])
  })
})

test('comments, blank lines, CRLF, tabs, a byte order mark and a missing last line end are fine', () => {
  const { grants, problems, lines } = parseAuthorizedKeys(
    `\uFEFF# made by hand\r\n\r\n \t \r\n${key(1).replaceAll(' ', '\t')}\r\n  ${key(2)}  `
  )
  expect([...grants.keys()]).toEqual([author(1), author(2)])
  expect({ problems, lines: [...lines.values()] }).toEqual({ problems: [], lines: [4, 5] })
})

test('too many lines: nothing is granted, what is revoked stays revoked', () => {
  const full = `${key(1)}\n@revoked ${key(2)}\n${'\n'.repeat(MAX_KEY_LINES - 2)}`
  expect(parseAuthorizedKeys(full).grants.size).toBe(1)
  const { grants, revoked, problems, lines } = parseAuthorizedKeys(`${full}#\n`)
  expect({ grants, revoked, lines: lines.size }).toEqual({ grants: new Map(), revoked: new Set([author(2)]), lines: 1 })
  expect(problems).toEqual([{ line: MAX_KEY_LINES + 1, message: expect.stringContaining('whole file') }])
})

describe('one line of --authorize', () => {
  test('is read with its key', () => {
    expect(parseKeyLine(` ${key(1, 'ann')}\n`)).toEqual({
      blob: blobOf(1),
      author: author(1),
      comment: 'ann',
      options: '',
      grant: grantOf(key(1, 'ann'))
    })
  })

  test.each(['', '# note', 'ssh-rsa AAAA', `@revoked ${key(1)}`, `${key(1)}\n${key(2)}`, 'x'])('%j is refused', (line) => {
    expect(() => parseKeyLine(line)).toThrow(InvalidTextError)
  })
})

describe('for any input', () => {
  const word = fc.constantFrom(
    'ops="pin"',
    'ops=',
    '"',
    '\\"',
    ',',
    ' ',
    '\t',
    '@revoked',
    'admin',
    'pinset="*"',
    'ssh-ed25519',
    'ssh-rsa',
    '\0',
    '\r',
    '#',
    key(1),
    key(2)
  )
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.oneof(word, fc.string()), { maxLength: 20 }).map((words) => words.join('')),
    fc.array(fc.oneof(word, fc.constant('\n')), { maxLength: 40 }).map((words) => words.join(' '))
  )

  test('reading never fails, and every grant has a good line of its own', () => {
    fc.assert(
      fc.property(text, (input) => {
        const { grants, revoked, lines, problems } = parseAuthorizedKeys(input)
        const rows = input.replace(/^\uFEFF/, '').split('\n')
        for (const name of grants.keys()) {
          expect(revoked.has(name)).toBe(false)
          expect(parseKeyLine(rows[(lines.get(name) as number) - 1] as string).author).toBe(name)
        }
        for (const { line } of problems) expect(line).toBeLessThanOrEqual(rows.length)
      }),
      { numRuns: 2_000 }
    )
  })

  test('a line means the same wherever it stands', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 20 }),
        fc.array(text, { maxLength: 3 }),
        (numbers, noise) => {
          const unique = [...new Set(numbers)]
          const noisy = noise.map((item) => `# ${item.replaceAll('\n', ' ')}`)
          const { grants, problems } = parseAuthorizedKeys([...noisy, ...unique.map((n) => key(n))].join('\n'))
          expect({ order: [...grants.keys()], problems }).toEqual({ order: unique.map(author), problems: [] })
        }
      )
    )
  })
})
