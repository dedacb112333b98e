/**
 * What a node shall do about one CID in one pinset: from the highest rank down,
 * the first operation that its author may do decides. Pure; PROTOCOL.md "Wish" is the text it follows.
 */
import type { RefusalCode } from './ack.ts'
import { refusalOf, type Grant, type Right } from './grants.ts'
import { compareRank, type Rank } from './order.ts'
import type { Author } from './ssh-key.ts'

/** What a register is of: a `pin`, an `unpin`, or an operation of a kind to come, by its name. */
export type RegisterKind = Right | `?${string}`

/** Which cap of its author's line a pin went beyond: `max-pins` or `max-size`. */
export type CapCode = 'quota' | 'size'

/** An author's last operation of a kind on a CID in a pinset. */
export interface Register {
  readonly author: Author
  readonly kind: RegisterKind
  readonly rank: Rank
  /** Index of the operation within its command. */
  readonly index: number
  /** When this node, or a known one, first accepted it; milliseconds since the epoch. */
  readonly acceptedAt: number
  /** For a pin: when it turns into an unpin; milliseconds since the epoch. */
  readonly expires?: number
  /** Set when the register comes from an `update`: the CID (key) that takes over from this one, or that this one replaces. */
  readonly counterpart?: string
  /** Of an operation that this version does not know, or not with all its fields: it keeps its place and decides nothing. */
  readonly unsupported?: boolean
  /** Set where this node did not take the operation on, as a cap left no room for its pin: it keeps its place and decides nothing. */
  readonly refused?: CapCode
}

/** What a node knows of an author: its line, as it stands or stood last. */
export interface Standing {
  readonly grant: Grant
  /** When the line went away; nothing accepted after that counts. */
  readonly closedAt?: number
  /** `@revoked`: nothing it said counts. */
  readonly voided: boolean
}

/** The answer for one CID in one pinset. */
export interface Wish {
  /** `none`: nobody who counts has said anything. */
  readonly want: 'pin' | 'unpin' | 'none'
  /** The register that decided. */
  readonly by?: Register
  /** When the answer will change by itself, milliseconds since the epoch. */
  readonly until?: number
}

/** Decides; `registers` may come in any order. */
export function decide(
  registers: readonly Register[],
  pinset: string,
  standing: (author: Author) => Standing | undefined,
  now: number
): Wish {
  const counting = countingOf(registers, pinset, standing)
  for (const { register, mayUnpin } of counting) {
    if (register.kind === 'unpin') return { want: 'unpin', by: register }
    if (!isOver(register, now)) return { want: 'pin', by: register, ...(register.expires === undefined ? {} : { until: register.expires }) }
    // An expired pin is an unpin, and one by a key that may not unpin must not narrow what others pinned.
    if (mayUnpin) return { want: 'unpin', by: register }
  }
  // When all that is left are expired pins of keys that may not unpin, the pins are over all the same.
  const [last] = counting
  return last === undefined ? { want: 'none' } : { want: 'unpin', by: last.register }
}

/** All pins that want the CID there, the highest first: those above which nothing lets it go. `decide` goes by the first of them. */
export function wanting<T extends Register>(
  registers: readonly T[],
  pinset: string,
  standing: (author: Author) => Standing | undefined,
  now: number
): readonly T[] {
  const pins: T[] = []
  for (const { register, mayUnpin } of countingOf(registers, pinset, standing)) {
    if (register.kind === 'pin' && !isOver(register, now)) pins.push(register)
    else if (register.kind === 'unpin' || mayUnpin) break
  }
  return pins
}

interface Counting<T> {
  readonly register: T
  readonly mayUnpin: boolean
}

/** What counts, from the highest rank down. */
function countingOf<T extends Register>(
  registers: readonly T[],
  pinset: string,
  standing: (author: Author) => Standing | undefined
): readonly Counting<T>[] {
  return registers
    .flatMap((register) => {
      const author = standing(register.author)
      if (author === undefined || whyNot(register, pinset, author) !== undefined) return []
      return [{ register, mayUnpin: author.grant.rights.includes('unpin') }]
    })
    .sort((a, b) => compareRank(b.register.rank, a.register.rank))
}

function isOver({ expires }: Register, now: number): boolean {
  return expires !== undefined && now >= expires
}

/** Why a register does not count: undefined when it does. */
export function whyNot(register: Register, pinset: string, author: Standing): RefusalCode | undefined {
  if (author.voided) return 'unauthorised'
  const { kind } = register
  if (register.unsupported === true || (kind !== 'pin' && kind !== 'unpin')) return 'unsupported'
  if (author.closedAt !== undefined && register.acceptedAt > author.closedAt) return 'expired'
  const rights: readonly Right[] = register.counterpart === undefined ? [kind] : ['pin', 'unpin']
  return refusalOf(author.grant, rights, pinset, register.acceptedAt) ?? register.refused
}
