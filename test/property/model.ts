/**
 * The reference model of a node: design.md §3 and §4, PROTOCOL.md sections 9 to 11, in as few words as possible. It knows all that
 * was said and works everything out anew each time, so it has nothing that could get out of step. It shares no code with the agent.
 */
import { createHash } from 'node:crypto'
import { MAX_AHEAD_MS } from '../../src/protocol/limits.ts'
import type { Hlc } from '../../src/protocol/order.ts'
import type { Author } from '../../src/protocol/ssh-key.ts'

/** An operation; CIDs are keys. `unknown` is of a kind, or with a field, that this version does not know. */
export type SaidOperation =
  | { readonly op: 'pin'; readonly cid: string; readonly expires?: number; readonly at?: Hlc }
  | { readonly op: 'unpin'; readonly cid: string; readonly at?: Hlc }
  | { readonly op: 'update'; readonly from: string; readonly to: string; readonly at?: Hlc }
  | { readonly op: 'unknown'; readonly kind: string; readonly cid?: string; readonly at?: Hlc }

/** A command; its pinset is '' where it names none. */
export interface Said {
  readonly id: string
  readonly author: Author
  readonly pinset: string
  readonly time: Hlc
  readonly operations: readonly SaidOperation[]
}

/** What a line of authorized_keys grants; times are milliseconds since the epoch. */
export interface Line {
  readonly rights: readonly ('pin' | 'unpin')[]
  readonly pinsets?: readonly string[]
  readonly validAfter?: number
  readonly expiryTime?: number
}

/** A file. */
export type KeyFile = ReadonlyMap<Author, Line | 'revoked'>

/** An author as the file has it, or had it last. */
interface Known {
  readonly line: Line
  readonly closedAt?: number
  readonly isRevoked: boolean
}

/** A register: what an author said last, of one kind, on a CID in a pinset. */
interface Register {
  readonly said: Said
  readonly index: number
  /** Its place: of two with the same the higher rank stands. */
  readonly place: string
  readonly kind: string
  readonly cid: string
  readonly rank: readonly (number | string)[]
  readonly expires?: number
  /** The other CID of an `update`. */
  readonly other?: string
  readonly isUnknown?: true
}

/** What is wanted of a CID in a pinset, and the register that decides it. */
interface Wish {
  readonly want: 'pin' | 'unpin' | 'none'
  readonly by?: Register
}

function outranks({ rank }: Register, other: Register | undefined): boolean {
  const i = rank.findIndex((value, n) => value !== other?.rank[n])
  return other === undefined || (i >= 0 && (rank[i] as number) > (other.rank[i] as number))
}

/** The registers that a command asks for. */
function registersOf(said: Said): Register[] {
  const { author, pinset, time, id } = said
  return said.operations.flatMap((operation, index): Register[] => {
    const at = operation.at ?? time
    const rank = [at.ms, at.counter, time.ms, time.counter, id]
    const register = (kind: string, cid: string, rest: Partial<Register> = {}): Register => {
      return { said, index, place: `${pinset} ${cid} ${author} ${kind}`, kind, cid, rank, ...rest }
    }
    switch (operation.op) {
      case 'pin':
        return [register('pin', operation.cid, operation.expires === undefined ? {} : { expires: operation.expires })]
      case 'unpin':
        return [register('unpin', operation.cid)]
      case 'update':
        return [register('pin', operation.to, { other: operation.from }), register('unpin', operation.from, { other: operation.to })]
      case 'unknown': {
        const { kind, cid } = operation
        // A kind to come never meets `pin` or `unpin`; without a CID it meets nothing at all.
        const own = kind === 'pin' || kind === 'unpin' ? kind : `to come: ${kind}`
        return [register(own, cid ?? `${id}/${index}`, { isUnknown: true })]
      }
    }
  })
}

/** The registers that stand when all this was said, in whatever order, by their places. */
export function standing(all: Iterable<Said>): ReadonlyMap<string, Register> {
  const registers = new Map<string, Register>()
  for (const register of [...all].flatMap(registersOf)) {
    if (outranks(register, registers.get(register.place))) registers.set(register.place, register)
  }
  return registers
}

/** The command sets, by `author pinset`: of each the commands that hold a register, in order of (ms, id). */
export function setsOf(all: Iterable<Said>): ReadonlyMap<string, readonly Said[]> {
  const holding = new Set([...standing(all).values()].map(({ said }) => said))
  const order = (a: Said, b: Said): number => a.time.ms - b.time.ms || (a.id < b.id ? -1 : 1)
  return Map.groupBy([...holding].toSorted(order), ({ author, pinset }) => `${author} ${pinset}`)
}

/** The root of a set, hex. */
export function rootOf(set: readonly Said[]): string {
  return createHash('sha256')
    .update(Buffer.from(set.map(({ id }) => id).join(''), 'hex'))
    .digest('hex')
}

/** Whether what was accepted at a time is not before the line, nor behind its end. */
export function isTimely({ line, closedAt = Infinity }: Pick<Known, 'line' | 'closedAt'>, acceptedAt: number): boolean {
  const { validAfter = 0, expiryTime = Infinity } = line
  return acceptedAt <= closedAt && acceptedAt >= validAfter && acceptedAt < expiryTime
}

function covers({ pinsets }: Line, pinset: string): boolean {
  return pinset === '' || pinsets === undefined || pinsets.some((one) => new RegExp(`^${one.replaceAll('*', '.*')}$`).test(pinset))
}

/** Makes a node that has heard nothing and has no file. */
export function createModelNode() {
  let file: KeyFile = new Map()
  const authors = new Map<Author, Known>()
  /** All that was taken, with when it was first accepted; and what stands of it. */
  const taken = new Map<Said, number>()
  let registers = standing([])
  /** Also what was forgotten since: it may have pushed out what is still there. */
  const ever = new Set<Said>()
  /** `CID pinset` of what is kept. */
  const holds = new Set<string>()
  /** What the backend is known to have, and what it is told to do. */
  const pinned = new Set<string>()
  const jobs = new Map<string, 'pin' | 'unpin'>()

  /** Pinsets that hold a CID. */
  const heldBy = (cid: string): string[] => [...holds].flatMap((hold) => (hold.startsWith(`${cid} `) ? [hold.slice(cid.length + 1)] : []))

  /** Why a register does not count (section 10): undefined when it does. */
  const whyNot = (register: Register): string | undefined => {
    const known = authors.get(register.said.author) as Known
    const needed = register.other === undefined ? [register.kind] : ['pin', 'unpin']
    if (known.isRevoked) return 'unauthorised'
    if (register.isUnknown) return 'unsupported'
    if (!isTimely(known, taken.get(register.said) as number)) return 'expired'
    if (!covers(known.line, register.said.pinset)) return 'pinset'
    return needed.every((right) => known.line.rights.includes(right as 'pin')) ? undefined : 'operation'
  }

  const wish = (cid: string, pinset: string, now: number): Wish => {
    const spoken = [...registers.values()].filter((one) => one.cid === cid && one.said.pinset === pinset)
    const counting = spoken.filter((one) => whyNot(one) === undefined).toSorted((a, b) => (outranks(a, b) ? -1 : 1))
    for (const by of counting) {
      if (by.kind === 'unpin') return { want: 'unpin', by }
      if (by.expires === undefined || now < by.expires) return { want: 'pin', by }
      if (authors.get(by.said.author)?.line.rights.includes('unpin') === true) return { want: 'unpin', by }
    }
    return counting[0] === undefined ? { want: 'none' } : { want: 'unpin', by: counting[0] }
  }

  /** Whether an update's unpin waits: for a CID that is wanted and not pinned yet, or waits itself for what replaces it. */
  const waits = ({ kind, other, said: { pinset } }: Register, now: number, before: readonly string[] = []): boolean => {
    if (kind !== 'unpin' || other === undefined || (pinned.has(other) && !jobs.has(other))) return false
    const { want, by } = wish(other, pinset, now)
    // Where one waits for the other and it for the first, nothing is wanted.
    return want === 'pin' || (by !== undefined && !before.includes(other) && waits(by, now, [...before, other]))
  }

  /**
   * Acts on what is wanted now. A hold begins with a wish. What is there is let go by an unpin or an expiry alone, in each pinset that
   * holds it, and as long as these count: until the bytes are gone. What nobody who counts speaks of stays held as it is.
   */
  const settle = (now: number): void => {
    const spoken = new Map([...registers.values()].map(({ cid, said: { pinset } }) => [`${cid} ${pinset}`, { cid, pinset }]))
    const wishes = [...spoken].map(([hold, { cid, pinset }]) => ({ hold, cid, ...wish(cid, pinset, now) }))
    // Of what is wanted again while it is being let go nobody knows whether it is still there.
    for (const { cid, want } of wishes) if (want === 'pin' && jobs.get(cid) === 'unpin') pinned.delete(cid)
    const keeping = wishes.filter(({ hold, cid, want, by }) => {
      const isEvident = want === 'unpin' ? !waits(by as Register, now) : !pinned.has(cid)
      return want === 'pin' || (holds.has(hold) && !isEvident)
    })
    const kept = new Set(keeping.map(({ cid }) => cid))
    for (const one of wishes) {
      const { hold, cid, want } = one
      if (want === 'pin') holds.add(hold)
      else if (!keeping.includes(one) && (kept.has(cid) || !pinned.has(cid))) holds.delete(hold)
      // A job is only ever replaced by its opposite: what it did by then is not known.
      if (jobs.has(cid) || kept.has(cid) !== pinned.has(cid)) jobs.set(cid, kept.has(cid) ? 'pin' : 'unpin')
    }
  }

  const isHolding = (said: Said): boolean => [...registers.values()].some((one) => one.said === said)
  const wouldHold = (said: Said): boolean => registersOf(said).some((one) => outranks(one, registers.get(one.place)))

  return {
    authors,
    taken,
    pinned,
    jobs,
    heldBy,
    wish,
    settle,
    isHolding,
    wouldHold,

    /** When pins expire. */
    expiries: (): readonly number[] => [...registers.values()].flatMap(({ expires }) => expires ?? []),

    /** A file comes into force: a line that is gone closes its key, `@revoked` voids it, a line that is back opens it. */
    read(next: KeyFile, now: number): void {
      file = next
      for (const [author, { line, closedAt = now, isRevoked }] of authors) {
        authors.set(author, { line, closedAt, isRevoked: isRevoked || next.get(author) === 'revoked' })
      }
      for (const [author, line] of next) if (line !== 'revoked') authors.set(author, { line, isRevoked: false })
      settle(now)
    },

    /** What becomes of a command that gossip brings (section 7). */
    hear(said: Said, now: number): string {
      if (taken.has(said)) return 'duplicate'
      const line = file.get(said.author)
      if (line === undefined || line === 'revoked' || now < (line.validAfter ?? 0)) return 'unauthorised'
      if (now >= (line.expiryTime ?? Infinity)) return 'expired'
      if (said.time.ms > now + MAX_AHEAD_MS) return 'skew'
      return covers(line, said.pinset) ? 'accept' : 'pinset'
    },

    /** Whether the node keeps the set in step with others (section 11). */
    wants(author: Author, pinset: string): boolean {
      const known = authors.get(author)
      return known !== undefined && !known.isRevoked && covers(known.line, pinset)
    },

    /** What becomes of a command of another node, which may be believed that it was first accepted at `acceptedAt` (section 11). */
    judge(said: Said, acceptedAt: number, now: number): string {
      const known = authors.get(said.author)
      if (taken.has(said)) return 'known'
      if (known === undefined || known.isRevoked) return 'unauthorised'
      const isEarly = acceptedAt <= (known.closedAt ?? Infinity) && acceptedAt < (known.line.validAfter ?? 0)
      if (!isTimely(known, acceptedAt)) return isEarly ? 'unauthorised' : 'expired'
      if (said.time.ms > now + MAX_AHEAD_MS) return 'skew'
      if (!covers(known.line, said.pinset)) return 'pinset'
      return wouldHold(said) ? 'held' : 'passed'
    },

    /** Keeps a command. */
    take(said: Said, acceptedAt: number, now: number): void {
      taken.set(said, acceptedAt)
      ever.add(said)
      registers = standing(taken.keys())
      settle(now)
    },

    /** Lets go of a command that holds no register. */
    forget(said: Said): void {
      taken.delete(said)
    },

    /** The backend did what it was told. */
    done(cid: string, now: number): void {
      if (jobs.get(cid) === 'pin') pinned.add(cid)
      else pinned.delete(cid)
      jobs.delete(cid)
      settle(now)
    },

    /** How far an operation has come (section 5); where the order of arrival decides, all right answers. */
    states(said: Said, index: number, now: number): readonly string[] {
      // An update speaks through the CID that it pins.
      const mine = registersOf(said).find((one) => one.index === index) as Register
      if (registers.get(mine.place)?.said !== said) {
        const above = [...ever].flatMap(registersOf).filter((one) => one.place === mine.place && outranks(one, mine))
        return above.map((one) => `superseded ${one.said.id}`)
      }
      // Of a revoked key either is true.
      if (mine.isUnknown) return ['refused unsupported', 'refused unauthorised']
      const code = whyNot(mine)
      if (code !== undefined) return [`refused ${code}`]
      const { want, by } = wish(mine.cid, said.pinset, now)
      if (mine.kind !== want && (by?.said !== said || by.index !== index)) return [`superseded ${by?.said.id}`]
      if (want === 'pin') return pinned.has(mine.cid) && !jobs.has(mine.cid) ? ['pinned'] : ['queued', 'failed']
      const holding = heldBy(mine.cid)
      return holding.includes(said.pinset) || jobs.get(mine.cid) === 'unpin' ? ['queued'] : [`unpinned ${holding.toSorted().join()}`]
    }
  }
}

/** A node of the model. */
export type ModelNode = ReturnType<typeof createModelNode>
