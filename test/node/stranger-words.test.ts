/** What nodes that nobody named may have passed on. */
import { describe, expect, test } from 'vitest'
import { createStrangerWords, type StrangerWords } from '../../src/node/stranger-words.ts'
import { STRANGER_WORDS, STRANGER_WORDS_PER_LINK, UNVOUCHED_WORDS, UNVOUCHED_WORDS_PER_LINK } from '../../src/protocol/limits.ts'
import { createManualClock, type ManualClock } from '../support/clock.ts'

/** So many seconds' worth at once. */
const BURST_S = 4

function bench({ isChosen = true, known = 'known' } = {}): {
  strangers: StrangerWords
  clock: ManualClock
  says(n: number, via?: string): number
} {
  const clock = createManualClock()
  const strangers = createStrangerWords({ known: { has: (node) => node === known, isChosen: () => isChosen }, clock })
  let node = 0
  return {
    strangers,
    clock,
    /** How many are passed on of so many words through a link, each of another node that was made up. */
    says: (n, via = 'link') => Array.from({ length: n }, () => strangers.hasRoom(`sybil ${node++}`, via)).filter(Boolean).length
  }
}

describe.each([
  { isChosen: true, link: STRANGER_WORDS_PER_LINK, all: STRANGER_WORDS },
  { isChosen: false, link: UNVOUCHED_WORDS_PER_LINK, all: UNVOUCHED_WORDS }
])('where nodes are named: $isChosen', ({ isChosen, link, all }) => {
  test(`one link has four seconds' worth at once, then ${link} a second, however many nodes speak through it`, () => {
    const { clock, says } = bench({ isChosen })
    expect(says(10 * BURST_S * link)).toBe(BURST_S * link)
    clock.advance(1_000)
    expect(says(10 * link)).toBe(link)
    clock.advance(3_600_000)
    expect(says(10 * BURST_S * link)).toBe(BURST_S * link)
  })

  test(`all links together have ${all} a second, however many there are`, () => {
    const { clock, says } = bench({ isChosen })
    const round = (): number => Array.from({ length: 400 }, (_, i) => says(link, `link ${i}`)).reduce((sum, n) => sum + n, 0)
    expect(round()).toBe(BURST_S * all)
    clock.advance(1_000)
    expect(round()).toBe(all)
  })
})

test('known nodes are never counted: strangers take none of their room, and they none of strangers', () => {
  const { strangers, says } = bench()
  for (let i = 0; i < 10 * BURST_S * STRANGER_WORDS; i++) expect(strangers.hasRoom('known', 'link')).toBe(true)
  expect(says(1_000)).toBe(BURST_S * STRANGER_WORDS_PER_LINK)
  expect(strangers.hasRoom('known', 'link')).toBe(true)
})

test('what is not passed on takes no room: the room of all is not used up through a link that has none', () => {
  const { says } = bench()
  says(100_000, 'loud')
  expect(says(1_000, 'quiet')).toBe(BURST_S * STRANGER_WORDS_PER_LINK)
})
