import type { Grant } from '../../../src/protocol/grants.ts'
import { NOW } from './make.ts'

const id = (digit: string): string => digit.repeat(64)

/** Ranks from the lowest to the highest. */
export function orderVectors(): unknown[] {
  const rank = (at: [number, number], time: [number, number], command: string) => ({ at, time, command })
  return [
    {
      comment: 'from the lowest to the highest: at first, then time, then command id; milliseconds before the counter',
      ranks: [
        rank([0, 0], [NOW, 0], id('f')),
        rank([5, 9], [5, 9], id('f')),
        rank([6, 0], [6, 0], id('a')),
        rank([6, 0], [6, 0], id('b')),
        rank([6, 0], [6, 1], id('a')),
        rank([6, 0], [7, 0], id('a')),
        rank([6, 1], [6, 1], id('0')),
        rank([6, 2], [6, 2], id('0')),
        rank([6, 10], [6, 10], id('0')),
        rank([10, 0], [10, 0], id('0')),
        rank([NOW, 0], [NOW, 0], id('0')),
        rank([NOW, 4_294_967_295], [NOW, 4_294_967_295], id('0'))
      ]
    }
  ]
}

const ANA = `SHA256:${'A'.repeat(43)}`
const BOB = `SHA256:${'B'.repeat(43)}`

type Changes = Partial<Omit<Grant, 'author' | 'comment'>>

const standing = (author: string, changes: Changes = {}, more: { closedAt?: number; voided?: boolean } = {}) => ({
  author,
  rights: ['pin', 'unpin'],
  ...changes,
  voided: false,
  ...more
})

const register = (author: string, kind: string, ms: number, more: Record<string, unknown> = {}) => ({
  author,
  kind,
  at: [ms, 0],
  time: [ms, 0],
  command: id((ms % 10).toString(16)),
  acceptedAt: ms,
  ...more
})

/** What is wanted for one CID in the pinset `site`, given what was said and who may say it; `by` is a place in `registers`. */
export function wishVectors(): unknown[] {
  const both = [standing(ANA), standing(BOB)]
  const adder = [standing(ANA), standing(BOB, { rights: ['pin'] })]
  const cases: [comment: string, standings: unknown[], registers: unknown[], wish: { want: string; by?: number; until?: number }][] = [
    ['nothing was said', both, [], { want: 'none' }],
    ['a pin', both, [register(ANA, 'pin', 1)], { want: 'pin', by: 0 }],
    ['the later decides', both, [register(ANA, 'pin', 1), register(BOB, 'unpin', 2)], { want: 'unpin', by: 1 }],
    ['an older `at` ranks lower', both, [register(ANA, 'pin', 2), register(BOB, 'unpin', 3, { at: [1, 0] })], { want: 'pin', by: 0 }],
    [
      'who is not in the file does not count',
      [standing(ANA)],
      [register(ANA, 'pin', 1), register(BOB, 'unpin', 2)],
      { want: 'pin', by: 0 }
    ],
    ['an unpin without the right does not count', adder, [register(ANA, 'pin', 1), register(BOB, 'unpin', 2)], { want: 'pin', by: 0 }],
    [
      'a pinset that the line does not cover',
      [standing(ANA), standing(BOB, { pinsets: ['blog-*'] })],
      [register(ANA, 'pin', 1), register(BOB, 'unpin', 2)],
      { want: 'pin', by: 0 }
    ],
    ['a pin until it expires', both, [register(ANA, 'pin', 1, { expires: 101 })], { want: 'pin', by: 0, until: 101 }],
    [
      'an expired pin is an unpin at its rank',
      both,
      [register(BOB, 'pin', 1), register(ANA, 'pin', 2, { expires: 100 })],
      { want: 'unpin', by: 1 }
    ],
    [
      'an expired pin of a key without unpin narrows nothing',
      adder,
      [register(ANA, 'pin', 1), register(BOB, 'pin', 2, { expires: 100 })],
      { want: 'pin', by: 0 }
    ],
    [
      'an expired pin of a key without unpin is over all the same',
      adder,
      [register(BOB, 'pin', 2, { expires: 100 })],
      { want: 'unpin', by: 0 }
    ],
    [
      'what this node refused for a cap decides nothing',
      both,
      [register(ANA, 'pin', 1), register(BOB, 'pin', 2, { expires: 100, refused: 'quota' }), register(BOB, 'unpin', 3, { refused: 'size' })],
      { want: 'pin', by: 0 }
    ],
    [
      'a closed key: what was accepted before still holds',
      [standing(ANA, {}, { closedAt: 50 })],
      [register(ANA, 'pin', 1), register(ANA, 'unpin', 60)],
      { want: 'pin', by: 0 }
    ],
    [
      'what was accepted in the very moment in which its key was closed holds',
      [standing(ANA, {}, { closedAt: 50 })],
      [register(ANA, 'pin', 1), register(ANA, 'unpin', 50)],
      { want: 'unpin', by: 1 }
    ],
    [
      'past its expiry-time a key is closed',
      [standing(ANA, { expiryTime: 50 })],
      [register(ANA, 'pin', 1), register(ANA, 'unpin', 50)],
      { want: 'pin', by: 0 }
    ],
    ['before its valid-after a key says nothing', [standing(ANA, { validAfter: 50 })], [register(ANA, 'pin', 49)], { want: 'none' }],
    [
      'a revoked key: its unpins fall',
      [standing(ANA), standing(BOB, {}, { voided: true })],
      [register(ANA, 'pin', 1), register(BOB, 'unpin', 2)],
      { want: 'pin', by: 0 }
    ],
    ['a revoked key: its pins are unowned', [standing(ANA, {}, { voided: true })], [register(ANA, 'pin', 1)], { want: 'none' }],
    ['an update needs both rights, its pin too', adder, [register(BOB, 'pin', 2, { counterpart: 'bafkqaaa' })], { want: 'none' }]
  ]
  return cases.map(([comment, standings, registers, wish]) => ({ comment, pinset: 'site', now: 100, standings, registers, wish }))
}
