import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { MAX_SYNC_SETS } from '../../../src/protocol/limits.ts'
import type { Author } from '../../../src/protocol/ssh-key.ts'
import type { SetDigest, SetName } from '../../../src/protocol/sync/digest.ts'
import { compareSets, differingSets, listSets } from '../../../src/protocol/sync/sets.ts'

const author = (n: number): Author => `SHA256:${Buffer.alloc(32, n).toString('base64').slice(0, 43)}`
const digest = (who: number, pinset: string | undefined, root = 1, count = 1): SetDigest => ({
  author: author(who),
  pinset,
  count,
  root: new Uint8Array(32).fill(root),
  newest: 1
})
const names = (sets: readonly SetName[]): string[] => sets.map((set) => `${set.author} ${set.pinset}`)

/** Both sides as they talk; how many rounds it took, and what the asker learnt. */
function talk(ours: readonly SetDigest[], theirs: readonly SetDigest[]): { rounds: number; found: SetDigest[] } {
  const found: SetDigest[] = []
  let after: SetName | undefined
  for (let rounds = 1; ; rounds++) {
    const listed = listSets(ours, after)
    const answer = differingSets(theirs, { ...listed, ...(after === undefined ? {} : { after }) })
    found.push(...answer.sets)
    if (!answer.more && !listed.more) return { rounds, found }
    after = (answer.more ? answer.sets : listed.sets).at(-1)
  }
}

test('sets without a pinset come first, then the order is by pinset and author', () => {
  const sets = [digest(2, undefined), digest(1, 'b'), digest(1, undefined), digest(2, 'a'), digest(1, 'B')]
  expect(names(sets.toSorted(compareSets))).toEqual(
    names([digest(1, undefined), digest(2, undefined), digest(1, 'B'), digest(2, 'a'), digest(1, 'b')])
  )
})

describe('what differs', () => {
  test('is what the asker lacks or has otherwise, and not what is equal, empty or only the asker has', () => {
    const ours = [digest(1, 'equal'), digest(1, 'other', 1), digest(1, 'ours')]
    const theirs = [digest(1, 'theirs'), digest(1, 'other', 2), digest(1, 'equal'), digest(1, 'empty', 3, 0)]
    expect(talk(ours, theirs)).toEqual({ rounds: 1, found: [digest(1, 'other', 2), digest(1, 'theirs')] })
  })

  test('is found whatever the number of sets on either side', () =>
    fc.assert(
      fc.property(fc.nat(2_500), fc.nat(2_500), fc.nat(400), (mine, yours, every) => {
        const ours = Array.from({ length: mine }, (_, i) => digest(1, `p${i}`))
        const theirs = Array.from({ length: yours }, (_, i) => digest(1, `p${i}`, every > 0 && i % every === 0 ? 2 : 1))
        const expected = theirs.filter(({ root }, i) => i >= mine || root[0] === 2).toSorted(compareSets)
        const { rounds, found } = talk(ours, theirs)
        expect(names(found)).toEqual(names(expected))
        expect(rounds).toBeLessThanOrEqual(Math.ceil(mine / MAX_SYNC_SETS) + Math.ceil(expected.length / MAX_SYNC_SETS) + 1)
      }),
      { numRuns: 15, seed: 1 }
    ))
})
