/** Which of many sets differ: both sides go through them in one order, so that any number fits messages of a bounded size. */
import { equals } from 'uint8arrays/equals'
import { MAX_SYNC_SETS } from '../limits.ts'
import type { SetDigest, SetName } from './digest.ts'
import type { SetsAsk } from './messages.ts'

/** Some sets in order, and whether there are others behind the last. */
export interface SetsPage {
  readonly sets: readonly SetDigest[]
  readonly more: boolean
}

/** Order of sets: those without a pinset first, then by pinset, then by author, both bytewise as text. Negative when `a` is first. */
export function compareSets(a: SetName, b: SetName): number {
  // No pinset has an empty name.
  return compareText(a.pinset ?? '', b.pinset ?? '') || compareText(a.author, b.author)
}

/** What to ask with: the sets behind `after`, as many as fit. */
export function listSets(own: readonly SetDigest[], after: SetName | undefined): SetsPage {
  const behind = own.filter((set) => after === undefined || compareSets(set, after) > 0).toSorted(compareSets)
  return { sets: behind.slice(0, MAX_SYNC_SETS), more: behind.length > MAX_SYNC_SETS }
}

/** What to answer: of the own sets that hold something and lie within the range of the ask, those it does not list with the same root. */
export function differingSets(own: readonly SetDigest[], ask: Pick<SetsAsk, 'sets' | 'after' | 'more'>): SetsPage {
  const listed = new Map(ask.sets.map((set) => [keyOf(set), set.root]))
  const last = ask.more ? ask.sets.at(-1) : undefined
  const differing = own.filter((set) => {
    if (set.count === 0 || (last !== undefined && compareSets(set, last) > 0)) return false
    const root = listed.get(keyOf(set))
    return root === undefined || !equals(root, set.root)
  })
  return listSets(differing, ask.after)
}

function keyOf({ author, pinset }: SetName): string {
  return `${author} ${pinset ?? ''}`
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
