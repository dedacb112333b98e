/** What may happen to a few agents, drawn at random: plain data, so that a failure is shown in full and shrinks. */
import fc from 'fast-check'
import { cidOf } from '../support/author.ts'
import type { Line } from './model.ts'

/** How many there are of each. */
export const AGENTS = 3
export const AUTHORS = 3
export const CIDS = [cidOf('a'), cidOf('b'), cidOf('c'), cidOf('d')] as const
export const PINSETS = ['site', 'blog', ''] as const

/** An operation to be said; what it names twice in one command is left out. Times are milliseconds since the start. */
export interface OperationDraft {
  readonly op: 'pin' | 'unpin' | 'update' | 'pin to come' | 'unpin to come' | 'move to come' | 'sweep to come'
  readonly cid: number
  readonly to: number
  readonly expires?: number
  readonly at?: number
}

/** One thing that happens. */
export type Step =
  /** An author signs a command; as many copies are on their way to each agent. */
  | {
      readonly do: 'say'
      readonly author: number
      readonly pinset: number
      readonly ms: number
      readonly counter: number
      readonly operations: readonly OperationDraft[]
      readonly copies: readonly number[]
    }
  /** A command said before is on its way again. */
  | { readonly do: 'repeat'; readonly said: number; readonly agent: number }
  /** Gossip delivers some of what is on its way, in any order; it is not stored yet. */
  | { readonly do: 'hear'; readonly agent: number; readonly picks: readonly number[] }
  /** The event loop turns: timers run, and what was heard is stored. */
  | { readonly do: 'turn'; readonly agent: number }
  | { readonly do: 'wait'; readonly ms: number }
  /** The next version of the file of keys comes into force on an agent. */
  | { readonly do: 'file'; readonly agent: number }
  | { readonly do: 'pull'; readonly to: number; readonly from: number; readonly isVouched: boolean; readonly most: number }
  | { readonly do: 'work'; readonly agent: number; readonly pick: number; readonly outcome: 'done' | 'lost' | 'timeout' | 'unavailable' }
  /** The agent is killed before it makes another transaction than so many; at once where that is 0. */
  | { readonly do: 'kill'; readonly agent: number; readonly after: number }

/** A line of a version of the file; absent where the key has none. */
export type LineDraft = Line | 'revoked' | 'absent'

/** A whole run. */
export interface Schedule {
  readonly versions: readonly (readonly LineDraft[])[]
  /** The last agent has a file of its own, which lacks the last author. */
  readonly isOther: boolean
  readonly steps: readonly Step[]
}

const soon = fc.nat({ max: 40 })
const agent = fc.nat({ max: AGENTS - 1 })
const pick = fc.nat({ max: 30 })

const operation = fc.record(
  {
    op: fc.oneof(
      { weight: 5, arbitrary: fc.constant('pin' as const) },
      { weight: 4, arbitrary: fc.constant('unpin' as const) },
      { weight: 3, arbitrary: fc.constant('update' as const) },
      { weight: 1, arbitrary: fc.constantFrom('pin to come', 'unpin to come', 'move to come', 'sweep to come') }
    ),
    cid: fc.nat({ max: CIDS.length - 1 }),
    to: fc.nat({ max: CIDS.length - 1 }),
    expires: soon,
    at: soon
  },
  { requiredKeys: ['op', 'cid', 'to'] }
)

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('say' as const),
      author: fc.nat({ max: AUTHORS - 1 }),
      pinset: fc.constantFrom(0, 0, 0, 1, 1, 2),
      // Now and then further ahead than may be.
      ms: fc.oneof({ weight: 15, arbitrary: soon }, { weight: 1, arbitrary: fc.constant(300_010) }),
      counter: fc.nat({ max: 1 }),
      operations: fc.array(operation, { minLength: 1, maxLength: 3 }),
      copies: fc.array(fc.constantFrom(0, 1, 1, 2), { minLength: AGENTS, maxLength: AGENTS })
    })
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('repeat' as const), said: pick, agent }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('hear' as const), agent, picks: fc.array(pick, { minLength: 1, maxLength: 6 }) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('turn' as const), agent }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('wait' as const),
      ms: fc.oneof({ weight: 12, arbitrary: fc.nat({ max: 8 }) }, { weight: 1, arbitrary: fc.constant(90_000_000) })
    })
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('file' as const), agent }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('pull' as const),
      to: agent,
      from: agent,
      isVouched: fc.constantFrom(true, true, false),
      most: fc.constantFrom(1, 2, 1_000)
    })
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('work' as const),
      agent,
      pick,
      outcome: fc.constantFrom('done', 'done', 'done', 'lost', 'timeout', 'unavailable')
    })
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('kill' as const), agent, after: fc.nat({ max: 3 }) }) }
)

const line: fc.Arbitrary<LineDraft> = fc.oneof(
  { weight: 5, arbitrary: fc.constant({ rights: ['pin', 'unpin'] } satisfies Line) },
  {
    weight: 4,
    arbitrary: fc.record(
      {
        rights: fc.constantFrom(['pin', 'unpin'], ['pin', 'unpin'], ['pin'], ['unpin']),
        pinsets: fc.constantFrom(['site'], ['b*g'], ['*']),
        validAfter: soon,
        expiryTime: soon
      },
      { requiredKeys: ['rights'] }
    ) as fc.Arbitrary<Line>
  },
  { weight: 2, arbitrary: fc.constant('absent' as const) },
  { weight: 1, arbitrary: fc.constant('revoked' as const) }
)

/** All that may happen. */
export const schedule: fc.Arbitrary<Schedule> = fc.record({
  versions: fc.array(fc.array(line, { minLength: AUTHORS, maxLength: AUTHORS }), { minLength: 1, maxLength: 4 }),
  isOther: fc.boolean(),
  steps: fc.array(step, { maxLength: 80, size: 'max' })
})
