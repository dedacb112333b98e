import { describe, expect, test } from 'vitest'
import { parseAuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import { addLine, keyedLines, removeKeys, revokeKeys } from '../../src/protocol/key-edit.ts'
import { findKey, joinKeyWords } from '../../src/protocol/key-lookup.ts'
import { nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { author as signer } from '../support/author.ts'
import { author, line } from '../identity/folder.ts'

const MIXED = `\uFEFF# made by pinsub\r\n\r\n\tops="pin" ${line(1)} \r\nssh-rsa AAAA mine\r\nno-pty ${line(2)}\r\n${line(3)}\r\nnonsense`

describe('the lines of a file', () => {
  test('each that is about a key, with its number, also one that grants nothing', () => {
    expect(keyedLines(`${MIXED}\r\n@revoked ${line(4)}`)).toMatchObject([
      { number: 3, author: author(1), state: 'grant', text: `\tops="pin" ${line(1)} `, key: line(1) },
      { number: 5, author: author(2), state: 'broken', key: line(2) },
      { number: 6, author: author(3), state: 'grant' },
      { number: 8, author: author(4), state: 'revoked', key: line(4) }
    ])
  })
})

describe('changes leave all other lines as they are', () => {
  test('a line more, where the last had no end', () => {
    expect(addLine(MIXED, ` ${line(9)}\n`).text).toBe(`${MIXED}\r\n${line(9)}\r\n`)
    expect(addLine(`# x\n`, line(9)).text).toBe(`# x\n${line(9)}\n`)
  })

  test('lines less: every one of the key, a broken one too', () => {
    const twice = `${MIXED}\r\npinset="a" ${line(3)}`
    const change = removeKeys(twice, new Set([author(3), author(2), author(7)]))
    expect(change?.text).toBe(`\uFEFF# made by pinsub\r\n\r\n\tops="pin" ${line(1)} \r\nssh-rsa AAAA mine\r\nnonsense\r\n`)
    expect(change?.authors).toEqual(new Set([author(3), author(2)]))
    expect(change?.byHand).toContain(`remove line 6  ${line(3)}`)
  })

  test('what is revoked is not brought back by taking its line away', () => {
    expect(removeKeys(`@revoked ${line(1)}\n`, new Set([author(1)]))).toBeUndefined()
  })

  test('@revoked before a line, or a line of its own', () => {
    const keys = new Map([1, 2, 8].map((n) => [author(n), n === 8 ? line(8) : undefined]))
    const change = revokeKeys(MIXED, keys)
    expect(change?.text).toBe(
      MIXED.replace(`\tops="pin"`, `@revoked \tops="pin"`).replace('no-pty', '@revoked no-pty') + `\r\n@revoked ${line(8)}\r\n`
    )
    expect(parseAuthorizedKeys(change?.text ?? '').revoked).toEqual(new Set([author(1), author(2), author(8)]))
    expect(change?.byHand).toContain(`make line 5  @revoked no-pty ${line(2)}`)
    expect(revokeKeys(change?.text ?? '', new Map([[author(1), undefined]]))).toBeUndefined()
  })

  test('the first line of a file with a byte order mark', () => {
    expect(revokeKeys(`\uFEFF${line(1)}`, new Map([[author(1), undefined]]))?.text).toBe(`\uFEFF@revoked ${line(1)}`)
  })

  test('a key whose options hide it from @revoked is revoked by a line of its own', () => {
    const hidden = `command="see ssh-ed25519 there" ${line(1)}\n`
    const { text } = revokeKeys(hidden, new Map([[author(1), undefined]])) ?? { text: '' }
    expect(parseAuthorizedKeys(text).revoked).toEqual(new Set([author(1)]))
  })
})

describe('which key is meant', () => {
  const lines = keyedLines([line(1, 'ann@laptop'), line(2, 'ci'), `ops="pin" ${line(3, 'ci')}`, line(1, 'again')].join('\n'))
  const peer = nodeIdOf(signer('peer').blob)

  test.each([
    ['a fingerprint', author(2), { kind: 'found', author: author(2) }],
    ['one that is nowhere', author(9), { kind: 'found', author: author(9) }],
    ['the beginning of one', author(2).slice(0, 14), { kind: 'found', author: author(2) }],
    ['a line', `pinset="x" ${line(1, 'other')}`, { kind: 'found', author: author(1), line: line(1, 'other') }],
    ['a peer id', peer, { kind: 'found', author: signer('peer').author }],
    ['a comment', 'ann@laptop', { kind: 'found', author: author(1) }],
    ['a comment of two keys', 'ci', { kind: 'several' }],
    ['what all begin with', 'SHA256:', { kind: 'none' }],
    ['part of a comment', 'ann', { kind: 'none' }],
    ['nothing', ' ', { kind: 'none' }],
    ['two lines', `${line(1)}\n${line(2)}`, { kind: 'none' }]
  ])('%s', (_, wanted, found) => expect(findKey(lines, wanted)).toMatchObject(found))

  test('of several, each line is named', () => {
    expect(findKey(lines, 'ci')).toMatchObject({ candidates: [{ number: 2 }, { number: 3 }] })
  })

  test('words of a line that was not quoted are one key', () => {
    expect(joinKeyWords(line(1, 'a b').split(' '))).toEqual([line(1, 'a b')])
    expect(joinKeyWords([line(1), 'ci'])).toEqual([line(1), 'ci'])
  })
})
