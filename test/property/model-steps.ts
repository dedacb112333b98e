/** What may happen to a few agents, drawn at random: plain data, so that a failure is shown in full and shrinks. */
import fc from 'fast-check'
import type { Line } from './model.ts'

/** How many there are of each. */
export const AGENTS = 3
const AUTHORS = 3
export const CIDS = 3

/** No pinset is that of operations to come that have none. */
export const PINSETS = ['site', 'blog', ''] as const

/** An operation to be said; what a command names twice is left out. Times are milliseconds since the start. */
export interface OperationDraft {
  readonly op: 'pin' | 'unpin' | 'update' | 'pin to come' | 'unpin to come' | 'move to come' | 'sweep to come'
  readonly cid: number
  /** Of an update. */
  readonly to: number
  /** Spelled as version 0, where that can be. */
  readonly isOld?: boolean
  readonly expires?: number
  readonly at?: number
}

/** A command to be said, and how many copies of it are on their way to each agent. */
export interface CommandDraft {
  readonly do: 'say'
  readonly author: number
  readonly pinset: number
  readonly ms: number
  readonly counter: number
  readonly operations: readonly OperationDraft[]
  readonly copies: readonly number[]
}

/** One thing that happens. */
export type Step =
  | CommandDraft
  /** A command that was said before is on its way again. */
  | { readonly do: 'repeat'; readonly said: number; readonly agent: number }
  /** Gossip delivers some of what is on its way, in any order; it is not stored yet. */
  | { readonly do: 'hear'; readonly agent: number; readonly picks: readonly number[] }
  /** The event loop turns: timers run, and what was heard is stored. */
  | { readonly do: 'turn'; readonly agent: number }
  | { readonly do: 'wait'; readonly ms: number }
  /** The next version of its file of keys comes into force on an agent. */
  | { readonly do: 'file'; readonly agent: number }
  /** An agent catches up from another; the link breaks after so many commands of a set. `isGreedy`: also on sets that it does not want. */
  | {
      readonly do: 'pull'
      readonly to: number
      readonly from: number
      readonly isVouched: boolean
      readonly isGreedy: boolean
      readonly most: number
    }
  /** The backend does a job; `lost` is that it is done and nobody learns of it. */
  | { readonly do: 'work'; readonly agent: number; readonly pick: number; readonly outcome: Outcome }
  /** The agent is killed before it makes another transaction than so many, and starts again at once. */
  | { readonly do: 'kill'; readonly agent: number; readonly after: number }
  /** The agent is killed now, and starts again some time later. */
  | { readonly do: 'off'; readonly agent: number; readonly ms: number }

/** How a try of a job ends. */
export type Outcome = 'done' | 'lost' | 'timeout' | 'unavailable'

/** A line of a version of the file; times are milliseconds since the start. */
export type LineDraft = Line | 'revoked' | 'absent'

/** A whole run. */
export interface Schedule {
  /** Of the file of keys, one line for each author. */
  readonly versions: readonly (readonly LineDraft[])[]
  /** The last agent has a file of its own, which grants less. */
  readonly isOther: boolean
  /** Agents keep their state in files, which takes far longer than in memory. */
  readonly isOnDisk: boolean
  readonly steps: readonly Step[]
}

const soon = fc.nat({ max: 40 })
const agent = fc.nat({ max: AGENTS - 1 })
const pick = fc.nat({ max: 30 })

const operation: fc.Arbitrary<OperationDraft> = fc.record(
  {
    op: fc.oneof(
      { weight: 5, arbitrary: fc.constant('pin' as const) },
      { weight: 4, arbitrary: fc.constant('unpin' as const) },
      { weight: 3, arbitrary: fc.constant('update' as const) },
      { weight: 1, arbitrary: fc.constantFrom('pin to come', 'unpin to come', 'move to come', 'sweep to come') }
    ),
    cid: fc.nat({ max: CIDS - 1 }),
    to: fc.nat({ max: CIDS - 1 }),
    isOld: fc.boolean(),
    expires: soon,
    at: soon
  },
  { requiredKeys: ['op', 'cid', 'to'] }
)

const say = fc.record({
  do: fc.constant('say'),
  author: fc.nat({ max: AUTHORS - 1 }),
  pinset: fc.constantFrom(0, 0, 0, 0, 0, 1, 1, 2),
  // Now and then further ahead than may be.
  ms: fc.oneof({ weight: 15, arbitrary: soon }, { weight: 1, arbitrary: fc.constant(300_010) }),
  counter: fc.nat({ max: 1 }),
  operations: fc.array(operation, { minLength: 1, maxLength: 3 }),
  copies: fc.array(fc.constantFrom(0, 1, 1, 2), { minLength: AGENTS, maxLength: AGENTS })
})

// Now and then long enough for all to expire, and for what passed to be forgotten.
const wait = fc.oneof({ weight: 12, arbitrary: fc.nat({ max: 8 }) }, { weight: 1, arbitrary: fc.constant(90_000_000) })
const pull = fc.record({
  do: fc.constant('pull'),
  to: agent,
  from: agent,
  isVouched: fc.boolean(),
  isGreedy: fc.boolean(),
  most: fc.constantFrom(1, 2, 1_000)
})
const outcome = fc.constantFrom<Outcome>('done', 'done', 'done', 'lost', 'timeout', 'unavailable')

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 10, arbitrary: say },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('repeat'), said: pick, agent }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('hear'), agent, picks: fc.array(pick, { minLength: 1, maxLength: 6 }) }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('turn'), agent }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('wait'), ms: wait }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('file'), agent }) },
  { weight: 5, arbitrary: pull },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('work'), agent, pick, outcome }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('kill'), agent, after: fc.nat({ max: 3 }) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('off'), agent, ms: fc.nat({ max: 8 }) }) }
)

const limited = fc.record(
  {
    rights: fc.constantFrom<Line['rights']>(['pin', 'unpin'], ['pin', 'unpin'], ['pin'], ['pin'], ['unpin']),
    pinsets: fc.constantFrom(['site'], ['b*g'], ['*']),
    validAfter: soon,
    expiryTime: soon
  },
  { requiredKeys: ['rights'] }
)

const line: fc.Arbitrary<LineDraft> = fc.oneof(
  { weight: 5, arbitrary: fc.constant<Line>({ rights: ['pin', 'unpin'] }) },
  { weight: 4, arbitrary: limited },
  { weight: 3, arbitrary: fc.constant('absent') },
  { weight: 2, arbitrary: fc.constant('revoked') }
)

/** All that may happen. */
export const schedule: fc.Arbitrary<Schedule> = fc.record({
  versions: fc.array(fc.array(line, { minLength: AUTHORS, maxLength: AUTHORS }), { minLength: 1, maxLength: 4 }),
  isOther: fc.boolean(),
  isOnDisk: fc.nat({ max: 15 }).map((n) => n === 15),
  steps: fc.array(step, { maxLength: 100, size: 'max' })
})
