/** How much one message may say of what others have to keep: as much is read, and no more. */
import { describe, expect, test } from 'vitest'
import { adminFromWire } from '../../src/protocol/admin-operations.ts'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_KEPT_COMMANDS, MAX_KEY_LINE_BYTES, MAX_METADATA_BYTES, MAX_TAGS } from '../../src/protocol/limits.ts'
import { decodePresence } from '../../src/protocol/presence.ts'
import { formatPublicKey } from '../../src/protocol/ssh-key.ts'
import { presenceOf } from '../network/presences.ts'
import { author } from '../support/author.ts'

const { blob } = author('alice')
const keyLine = formatPublicKey(blob, 'x')

describe('an admin operation', () => {
  test.each<[what: string, most: number, read: (n: number) => unknown]>([
    [
      'commands that a close lets stand',
      MAX_KEPT_COMMANDS,
      (n) => adminFromWire('close', { key: new Uint8Array(32), keeps: Array.from({ length: n }, () => new Uint8Array(32)) })
    ],
    ['bytes of a key line', MAX_KEY_LINE_BYTES, (n) => adminFromWire('authorize', { line: keyLine.padEnd(n, 'x') })]
  ])('has as many %s as there may be, and not one more', (_, most, read) => {
    expect(read(most)).toBeDefined()
    expect(() => read(most + 1)).toThrow(InvalidMessageError)
  })
})

describe('a presence', () => {
  const tagged = async (tags: Readonly<Record<string, string>>) => decodePresence(await presenceOf(author('node'), { tags }), 'test-net')

  test('has as many tags as there may be, and not one more', async () => {
    const tags = (n: number) => Object.fromEntries(Array.from({ length: n }, (_, i) => [`tag-${i}`, 'x']))
    expect((await tagged(tags(MAX_TAGS))).tags).toEqual(tags(MAX_TAGS))
    await expect(tagged(tags(MAX_TAGS + 1))).rejects.toThrow(InvalidMessageError)
  })

  test('has tags of as many bytes as there may be, and not one more', async () => {
    const tags = (n: number) => ({ tag: 'x'.repeat(n - 'tag'.length) })
    expect((await tagged(tags(MAX_METADATA_BYTES))).tags).toEqual(tags(MAX_METADATA_BYTES))
    await expect(tagged(tags(MAX_METADATA_BYTES + 1))).rejects.toThrow(InvalidMessageError)
  })
})
