import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { closedAt, coversPinset, isWithin, refusalOf, type Grant } from '../../src/protocol/grants.ts'

const grant = (changes: Partial<Grant> = {}): Grant => ({
  author: `SHA256:${'A'.repeat(43)}`,
  comment: '',
  rights: ['pin', 'unpin'],
  admin: false,
  ...changes
})

describe('pinset patterns', () => {
  test.each([
    [['site'], 'site', true],
    [['site'], 'site2', false],
    [['site'], 'Site', false],
    [['blog-*'], 'blog-', true],
    [['blog-*'], 'blog-2026', true],
    [['blog-*'], 'myblog-1', false],
    [['*-blog'], 'my-blog', true],
    [['*'], 'anything', true],
    [['a*a'], 'a', false],
    [['a*a'], 'aa', true],
    [['a*b*c'], 'a-b-c', true],
    [['a*b*c'], 'a-c-b', false],
    [['a*bc*bc'], 'abc', false],
    [['x', 'y*'], 'yes', true],
    [['.'], 'a', false],
    [[], 'a', false]
  ])('%j covers %s: %s', (pinsets, pinset, covered) => expect(coversPinset(grant({ pinsets }), pinset)).toBe(covered))

  test('none means all', () => expect(coversPinset(grant(), 'anything')).toBe(true))

  test('as a regular expression would have it', () =>
    fc.assert(
      fc.property(fc.stringMatching(/^[ab*]{1,8}$/), fc.stringMatching(/^[ab]{0,8}$/), (pattern, pinset) => {
        expect(coversPinset(grant({ pinsets: [pattern] }), pinset)).toBe(new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(pinset))
      }),
      { seed: 20_261_121, numRuns: 2_000 }
    ))

  test('soon, where a regular expression would take for ever', () => {
    expect(coversPinset(grant({ pinsets: [`${'*a'.repeat(31)}b`] }), 'a'.repeat(64))).toBe(false)
  })
})

describe('times', () => {
  const line = grant({ validAfter: 10, expiryTime: 20 })
  test.each([
    [9, 'unauthorised'],
    [10, undefined],
    [19, undefined],
    [20, 'expired']
  ])('at %d: %s', (now, why) => expect(closedAt(line, now)).toBe(why))

  test('no line', () => expect(closedAt(undefined, 0)).toBe('unauthorised'))
})

describe('refusals, in this order', () => {
  test.each<[Partial<Grant>, string | undefined]>([
    [{ expiryTime: 5, pinsets: ['other'], rights: [] }, 'expired'],
    [{ validAfter: 6, pinsets: ['other'], rights: [] }, 'expired'],
    [{ pinsets: ['other'], rights: [] }, 'pinset'],
    [{ rights: ['pin'] }, 'operation'],
    [{}, undefined]
  ])('%j: %s', (changes, why) => expect(refusalOf(grant(changes), ['pin', 'unpin'], 'site', 5)).toBe(why))
})

describe('what an admin may grant', () => {
  test.each<[Partial<Grant>, Partial<Grant>, boolean]>([
    [{}, { maxPins: 5 }, false],
    [{ maxPins: 6 }, { maxPins: 5 }, false],
    [{ maxPins: 5 }, { maxPins: 5 }, true],
    [{ maxPins: 4, maxBytes: 9 }, { maxPins: 5 }, true],
    [{ maxPins: 4 }, { maxBytes: 9 }, false],
    [{ maxBytes: 10 }, { maxBytes: 9 }, false],
    [{ maxBytes: 9 }, { maxBytes: 9 }, true],
    [{ maxPins: 1, maxBytes: 1 }, {}, true]
  ])('%j within %j: %s', (granted, own, isIn) => expect(isWithin(grant(granted), grant({ admin: true, ...own }))).toBe(isIn))
})
