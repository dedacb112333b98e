import { describe, expect, test } from 'vitest'
import type { KeyOutcome } from '../../src/protocol/admin.ts'
import { parseAuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import { messageNote, withNote } from '../../src/protocol/message-note.ts'
import type { Author } from '../../src/protocol/ssh-key.ts'

const author = (letter: string): Author => `SHA256:${letter.repeat(43)}`
const word = (letter: string, says: 'authorize' | 'close' | 'revoke', by: string, at: number): [Author, KeyOutcome] => [
  author(letter),
  {
    standing: { grant: { author: author(letter), comment: `${letter}@laptop`, rights: ['pin'], admin: false }, voided: says === 'revoke' },
    word: { says, by: author(by), at, command: 'c' }
  }
]

const note = messageNote({
  keys: new Map([
    word('x', 'authorize', 'a', Date.UTC(2026, 10, 28)),
    word('y', 'revoke', 'a', Date.UTC(2026, 10, 27)),
    word('z', 'close', 'z', 5)
  ])
})

test('a note says who was let in, closed and revoked, by whom and when, the oldest first', () => {
  expect(note).toEqual([
    '# by message, last on 2026-11-28, in force beside the lines above; changed by message alone (pinsub keys … --everywhere):',
    `#   closed   ${author('z')} z@laptop, by itself on 1970-01-01`,
    `#   revoked  ${author('y')} y@laptop, by ${author('a')} on 2026-11-27`,
    `#   let in   ${author('x')} x@laptop, by ${author('a')} on 2026-11-28`,
    '# end of what came by message'
  ])
  expect(messageNote({ keys: new Map() })).toEqual([])
})

test('many are cut to the last hundred', () => {
  const keys = new Map(Array.from({ length: 130 }, (_, i) => [`SHA256:${i}`, word('x', 'authorize', 'a', i)[1]] as [Author, KeyOutcome]))
  expect(messageNote({ keys })).toHaveLength(103)
  expect(messageNote({ keys })[1]).toBe('#   and 30 before: pinsub keys list')
})

describe('in a file', () => {
  const FILE = '# made by pinsub\nssh-ed25519 AAAA you\n'
  const noted = withNote(FILE, note) as string

  test('it stands at the end, says nothing to the parser, and is not written twice', () => {
    expect(noted).toBe(`${FILE}${note.join('\n')}\n`)
    expect(parseAuthorizedKeys(noted)).toEqual(parseAuthorizedKeys(FILE))
    expect(withNote(noted, note)).toBeUndefined()
    expect(withNote(FILE, [])).toBeUndefined()
  })

  test('another takes its place, where it stands; none takes it away', () => {
    const other = [note[0] as string, '#   another', note.at(-1) as string]
    expect(withNote(`${noted}ssh-ed25519 BBBB ann\n`, other)).toBe(`${FILE}${other.join('\n')}\nssh-ed25519 BBBB ann\n`)
    expect(withNote(`${noted}ssh-ed25519 BBBB ann\n`, [])).toBe(`${FILE}ssh-ed25519 BBBB ann\n`)
  })

  test('lines below a note whose end was taken away stay', () => {
    const edited = `${FILE}${note[0]}\nssh-ed25519 BBBB ann\n`
    expect(withNote(edited, note)).toBe(`${FILE}${note.join('\n')}\nssh-ed25519 BBBB ann\n`)
  })

  test('a mark at the beginning, CRLF and a missing last line end stay', () => {
    expect(withNote('\uFEFF# made\r\nkey', ['# by message, x', '# end of what came by message'])).toBe(
      '\uFEFF# made\r\nkey\r\n# by message, x\r\n# end of what came by message\r\n'
    )
  })
})
