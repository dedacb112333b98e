import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Grant } from '../../src/protocol/grants.ts'
import { MAX_COUNTER } from '../../src/protocol/limits.ts'
import { compareHlc, compareRank, laterHlc, tick, type Hlc, type Rank } from '../../src/protocol/order.ts'
import type { Author } from '../../src/protocol/ssh-key.ts'
import { decide, type Register, type Standing } from '../../src/protocol/wish.ts'
import { hlc, RUNS } from './arbitrary.ts'

const near: fc.Arbitrary<Hlc> = fc.record({ ms: fc.nat({ max: 3 }), counter: fc.nat({ max: 2 }) })
const id = fc.constantFrom('0', '1', 'a', 'f').map((digit) => digit.repeat(64))
const rank: fc.Arbitrary<Rank> = fc.record({ at: fc.oneof(near, hlc), time: fc.oneof(near, hlc), command: id })

describe('rank is a total order', () => {
  test('antisymmetric, and 0 for equals only', () =>
    fc.assert(
      fc.property(rank, rank, (a, b) => {
        expect(Math.sign(compareRank(a, b))).toBe(-Math.sign(compareRank(b, a)) + 0)
        expect(compareRank(a, b) === 0).toBe(JSON.stringify(a) === JSON.stringify(b))
      }),
      { ...RUNS, numRuns: 1_000 }
    ))

  test('transitive', () =>
    fc.assert(
      fc.property(rank, rank, rank, (a, b, c) => {
        const [low, mid, high] = [a, b, c].toSorted(compareRank) as [Rank, Rank, Rank]
        expect(compareRank(low, mid)).toBeLessThanOrEqual(0)
        expect(compareRank(mid, high)).toBeLessThanOrEqual(0)
        expect(compareRank(low, high)).toBeLessThanOrEqual(0)
      }),
      { ...RUNS, numRuns: 1_000 }
    ))
})

describe('the clock', () => {
  test('every tick is later than the last, whatever the wall clock does, and can be sent', () =>
    fc.assert(
      fc.property(fc.array(fc.nat({ max: 4 })), fc.constantFrom(0, MAX_COUNTER - 1, MAX_COUNTER), (walls, counter) => {
        let last: Hlc | undefined = { ms: 2, counter }
        for (const now of walls) {
          const next: Hlc = tick(last, now)
          expect(compareHlc(next, last)).toBeGreaterThan(0)
          expect(next.counter).toBeLessThanOrEqual(MAX_COUNTER)
          last = next
        }
      }),
      RUNS
    ))

  test('the first tick is the wall clock', () => expect(tick(undefined, 5)).toEqual({ ms: 5, counter: 0 }))

  test('the later of two', () =>
    fc.assert(
      fc.property(fc.option(hlc, { nil: undefined }), fc.option(hlc, { nil: undefined }), (a, b) => {
        const later = laterHlc(a, b)
        for (const one of [a, b]) if (one !== undefined) expect(compareHlc(later as Hlc, one)).toBeGreaterThanOrEqual(0)
        expect([a, b]).toContain(later)
      }),
      RUNS
    ))
})

const AUTHORS = ['A', 'B', 'C'].map((letter): Author => `SHA256:${letter.repeat(43)}`)

const registers: fc.Arbitrary<Register[]> = fc.uniqueArray(
  fc.record(
    {
      author: fc.constantFrom(...AUTHORS),
      kind: fc.constantFrom('pin' as const, 'unpin' as const),
      rank: fc.record({
        at: near,
        time: near,
        command: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'))
      }),
      index: fc.constant(0),
      acceptedAt: fc.nat({ max: 20 }),
      expires: fc.nat({ max: 20 }),
      counterpart: fc.constant('bafkqaaa')
    },
    { requiredKeys: ['author', 'kind', 'rank', 'index', 'acceptedAt'] }
  ),
  { selector: ({ author, kind }) => `${author} ${kind}`, maxLength: 6 }
) as fc.Arbitrary<Register[]>

const standings: fc.Arbitrary<ReadonlyMap<Author, Standing>> = fc
  .tuple(
    ...AUTHORS.map((author) =>
      fc.option(
        fc.record(
          {
            grant: fc.record(
              {
                author: fc.constant(author),
                comment: fc.constant(''),
                rights: fc.subarray(['pin', 'unpin'] as const),
                pinsets: fc.subarray(['*', 'other']),
                validAfter: fc.nat({ max: 20 }),
                expiryTime: fc.nat({ max: 20 }),
                admin: fc.constant(false)
              },
              { requiredKeys: ['author', 'comment', 'rights', 'admin'] }
            ) as fc.Arbitrary<Grant>,
            closedAt: fc.nat({ max: 20 }),
            voided: fc.boolean()
          },
          { requiredKeys: ['grant', 'voided'] }
        ) as fc.Arbitrary<Standing>,
        { nil: undefined }
      )
    )
  )
  .map((all) => new Map(all.flatMap((standing) => (standing === undefined ? [] : [[standing.grant.author, standing] as const]))))

describe('the wish', () => {
  const wish = (said: readonly Register[], known: ReadonlyMap<Author, Standing>, now: number) =>
    decide(said, 'site', (author) => known.get(author), now)

  test('hangs on what was said, not on the order in which it is looked at', () =>
    fc.assert(
      fc.property(registers, fc.infiniteStream(fc.nat()), standings, fc.nat({ max: 20 }), (said, shuffle, known, now) => {
        const keyed = said.map((register) => [shuffle.next().value as number, register] as const)
        const other = keyed.toSorted(([a], [b]) => a - b).map(([, register]) => register)
        expect(wish(other, known, now)).toEqual(wish(said, known, now))
        expect(wish(said.toReversed(), known, now)).toEqual(wish(said, known, now))
      }),
      { ...RUNS, numRuns: 1_000 }
    ))

  test('stays until it says that it ends', () =>
    fc.assert(
      fc.property(registers, standings, fc.nat({ max: 20 }), fc.nat({ max: 20 }), (said, known, now, later) => {
        const answer = wish(said, known, now)
        if (later >= now && (answer.until === undefined || later < answer.until)) expect(wish(said, known, later).want).toBe(answer.want)
      }),
      { ...RUNS, numRuns: 1_000 }
    ))

  test('what does not count changes nothing', () =>
    fc.assert(
      fc.property(registers, standings, fc.nat({ max: 20 }), (said, known, now) => {
        const closed = said.filter(({ author, acceptedAt }) => {
          const { voided, closedAt } = known.get(author) ?? { voided: true }
          return !voided && (closedAt === undefined || acceptedAt <= closedAt)
        })
        expect(wish(closed, known, now)).toEqual(wish(said, known, now))
      }),
      { ...RUNS, numRuns: 1_000 }
    ))

  test('a pin by a key without `unpin` never lets go of what others want', () =>
    fc.assert(
      fc.property(registers, standings, fc.nat({ max: 20 }), fc.nat({ max: 20 }), (said, known, now, expires) => {
        const [adder] = AUTHORS as [Author]
        const before = said.filter(({ author }) => author !== adder)
        const rights = new Map(known).set(adder, { grant: { author: adder, comment: '', rights: ['pin'], admin: false }, voided: false })
        const pin: Register = {
          author: adder,
          kind: 'pin',
          index: 0,
          acceptedAt: 0,
          expires,
          rank: { at: { ms: 9, counter: 0 }, time: { ms: 9, counter: 0 }, command: 'a'.repeat(64) }
        }
        if (wish(before, rights, now).want === 'pin') expect(wish([...before, pin], rights, now).want).toBe('pin')
      }),
      { ...RUNS, numRuns: 1_000 }
    ))

  test('whatever a key says that may only pin, or only in another pinset, frees, narrows and expires nothing of others', () =>
    fc.assert(
      fc.property(registers, standings, fc.nat({ max: 20 }), fc.boolean(), (said, known, now, mayUnpinElsewhere) => {
        const [greedy] = AUTHORS as [Author]
        const grant: Grant = mayUnpinElsewhere
          ? { author: greedy, comment: '', rights: ['pin', 'unpin'], pinsets: ['other'], admin: false }
          : { author: greedy, comment: '', rights: ['pin'], admin: false }
        const rights = new Map(known).set(greedy, { grant, voided: false })
        const others = said.filter(({ author }) => author !== greedy)
        const without = wish(others, rights, now).want
        const found = wish(said, rights, now).want
        if (without === 'pin') expect(found).toBe('pin')
        if (mayUnpinElsewhere) expect(found).toBe(without)
        // Nor does it take back an unpin of others by anything but a pin of its own that counts.
        if (without !== 'pin' && found === 'pin') expect(said.some(({ author, kind }) => author === greedy && kind === 'pin')).toBe(true)
      }),
      { ...RUNS, numRuns: 2_000 }
    ))
})
