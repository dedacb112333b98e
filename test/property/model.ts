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
export interface Known {
  readonly line: Line
  readonly closedAt?: number
  readonly isRevoked: boolean
}

/** What an author said last, of one kind, on a CID in a pinset. */
export interface Place {
  readonly said: Said
  readonly index: number
  readonly name: string
  readonly kind: string
  readonly cid: string
  readonly rank: readonly (number | string)[]
  readonly expires?: number
  /** The other CID of an `update`. */
  readonly other?: string
  readonly isUnknown: boolean
}

/** What is wanted of a CID in a pinset, and what decides it. */
export interface Wanted {
  readonly want: 'pin' | 'unpin' | 'none'
  readonly by?: Place
}

/** Positive when `a` outranks `b` (PROTOCOL.md 9). */
export function compare(a: Place['rank'], b: Place['rank']): number {
  const i = a.findIndex((value, n) => value !== b[n])
  return i < 0 ? 0 : (a[i] as number) > (b[i] as number) ? 1 : -1
}

function outranks({ rank }: Place, other: Place | undefined): boolean {
  return other === undefined || compare(rank, other.rank) > 0
}

/** The places that a command asks for. */
export function placesOf(said: Said): Place[] {
  const { author, pinset, time, id } = said
  return said.operations.flatMap((operation, index): Place[] => {
    const at = operation.at ?? time
    const rank = [at.ms, at.counter, time.ms, time.counter, id]
    const place = (kind: string, cid: string, rest: Partial<Place> = {}): Place => {
      return { said, index, name: `${pinset} ${cid} ${author} ${kind}`, kind, cid, rank, isUnknown: false, ...rest }
    }
    switch (operation.op) {
      case 'pin':
        return [place('pin', operation.cid, operation.expires === undefined ? {} : { expires: operation.expires })]
      case 'unpin':
        return [place('unpin', operation.cid)]
      case 'update':
        return [place('pin', operation.to, { other: operation.from }), place('unpin', operation.from, { other: operation.to })]
      case 'unknown': {
        const { kind, cid } = operation
        // A kind to come never meets `pin` or `unpin`; without a CID it meets nothing at all.
        const own = kind === 'pin' || kind === 'unpin' ? kind : `to come: ${kind}`
        return [place(own, cid ?? `${id}/${index}`, { isUnknown: true })]
      }
    }
  })
}

/** The places as they stand when all this was said, in whatever order. */
export function standingPlaces(all: Iterable<Said>): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>()
  for (const place of [...all].flatMap(placesOf)) {
    if (outranks(place, places.get(place.name))) places.set(place.name, place)
  }
  return places
}

/** The command sets: of each author and pinset the commands that hold a place, in order of (ms, id). */
export function setsOf(all: Iterable<Said>): ReadonlyMap<string, readonly Said[]> {
  const holding = new Set([...standingPlaces(all).values()].map(({ said }) => said))
  const order = (a: Said, b: Said): number => a.time.ms - b.time.ms || (a.id < b.id ? -1 : 1)
  return Map.groupBy([...holding].toSorted(order), ({ author, pinset }) => `${author} ${pinset}`)
}

/** The root of a set (PROTOCOL.md 11). */
export function rootOf(set: readonly Said[]): string {
  return createHash('sha256').update(Buffer.from(set.map(({ id }) => id).join(''), 'hex')).digest('hex')
}

function covers({ pinsets }: Line, pinset: string): boolean {
  if (pinset === '' || pinsets === undefined) return true
  return pinsets.some((pattern) => new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`).test(pinset))
}

/** Makes a node that has heard nothing and has no file. */
export function createModelNode() {
  let file: KeyFile = new Map()
  const authors = new Map<Author, Known>()
  /** All that was taken, with when it was first accepted. */
  const taken = new Map<Said, number>()
  /** All that was ever taken: what pushed others out may be forgotten before them. */
  const ever = new Set<Said>()
  /** `CID pinset` of what is kept. */
  const holds = new Set<string>()
  /** What the backend is known to have. */
  const pinned = new Set<string>()
  /** What the backend is told to do. */
  const jobs = new Map<string, 'pin' | 'unpin'>()

  const heldBy = (cid: string): string[] => [...holds].flatMap((hold) => (hold.startsWith(`${cid} `) ? [hold.slice(cid.length + 1)] : []))
  let known = standingPlaces([])
  const places = (): ReadonlyMap<string, Place> => known

  /** Why a place does not count (PROTOCOL.md 10): undefined when it does. */
  const whyNot = ({ said, kind, other, isUnknown }: Place): string | undefined => {
    const { line, closedAt, isRevoked } = authors.get(said.author) as Known
    const acceptedAt = taken.get(said) as number
    if (isRevoked) return 'unauthorised'
    if (isUnknown) return 'unsupported'
    if (acceptedAt > (closedAt ?? Infinity)) return 'expired'
    if (acceptedAt < (line.validAfter ?? 0) || acceptedAt >= (line.expiryTime ?? Infinity)) return 'expired'
    if (!covers(line, said.pinset)) return 'pinset'
    const needed = other === undefined ? [kind] : ['pin', 'unpin']
    return needed.every((right) => line.rights.includes(right as 'pin')) ? undefined : 'operation'
  }

  const wish = (cid: string, pinset: string, now: number): Wanted => {
    const spoken = [...places().values()].filter((place) => place.cid === cid && place.said.pinset === pinset)
    const counting = spoken.filter((place) => whyNot(place) === undefined).toSorted((a, b) => compare(b.rank, a.rank))
    for (const by of counting) {
      if (by.kind === 'unpin') return { want: 'unpin', by }
      if (by.expires === undefined || now < by.expires) return { want: 'pin', by }
      if (authors.get(by.said.author)?.line.rights.includes('unpin') === true) return { want: 'unpin', by }
    }
    return counting[0] === undefined ? { want: 'none' } : { want: 'unpin', by: counting[0] }
  }

  /** Whether an update's unpin waits: for a CID that is wanted and not pinned yet, or for what replaces that. */
  const waits = ({ kind, other, said: { pinset } }: Place, now: number): boolean => {
    if (kind !== 'unpin' || other === undefined || pinned.has(other)) return false
    const { want, by } = wish(other, pinset, now)
    return want === 'pin' || (by !== undefined && waits(by, now))
  }

  /** Acts on what is wanted now: what is held changes by a wish alone, and ends by an unpin or an expiry alone. */
  const settle = (now: number): void => {
    const spoken = new Map([...places().values()].map(({ cid, said: { pinset } }) => [`${cid} ${pinset}`, { cid, pinset }]))
    const wishes = [...spoken].map(([hold, { cid, pinset }]) => ({ hold, cid, pinset, ...wish(cid, pinset, now) }))
    const wanted = new Set(wishes.flatMap(({ cid, want }) => (want === 'pin' ? [cid] : [])))
    // Of what is wanted again while it is being let go nobody knows whether it is still there.
    for (const cid of wanted) if (jobs.get(cid) === 'unpin') pinned.delete(cid)
    for (const { hold, cid, want, by } of wishes) {
      if (want === 'pin') holds.add(hold)
      else if (want === 'unpin' ? !waits(by as Place, now) : !pinned.has(cid)) holds.delete(hold)
    }
    for (const cid of new Set(wishes.map((one) => one.cid))) {
      const isHeld = heldBy(cid).length > 0
      if (isHeld && !pinned.has(cid)) jobs.set(cid, 'pin')
      else if (!isHeld && (pinned.has(cid) || jobs.has(cid))) jobs.set(cid, 'unpin')
      else jobs.delete(cid)
    }
  }

  /** Whether a command would hold a place if it were taken. */
  const mayHold = (said: Said): boolean => placesOf(said).some((place) => outranks(place, known.get(place.name)))
  const isPlaced = (said: Said): boolean => [...places().values()].some((place) => place.said === said)

  return {
    authors,
    taken,
    pinned,
    jobs,
    heldBy,
    places,
    whyNot,
    wish,
    settle,
    isPlaced,
    mayHold,

    /** A file comes into force: a line that is gone closes its key, `@revoked` voids it, a line that is back opens it. */
    read(next: KeyFile, now: number): void {
      file = next
      for (const [author, { line, closedAt = now, isRevoked }] of authors) {
        authors.set(author, { line, closedAt, isRevoked: isRevoked || next.get(author) === 'revoked' })
      }
      for (const [author, line] of next) if (line !== 'revoked') authors.set(author, { line, isRevoked: false })
      settle(now)
    },

    /** What becomes of a command that gossip brings (PROTOCOL.md 7). */
    hear(said: Said, now: number): string {
      if (taken.has(said)) return 'duplicate'
      const line = file.get(said.author)
      if (line === undefined || line === 'revoked' || now < (line.validAfter ?? 0)) return 'unauthorised'
      if (now >= (line.expiryTime ?? Infinity)) return 'expired'
      if (said.time.ms > now + MAX_AHEAD_MS) return 'skew'
      return covers(line, said.pinset) ? 'accept' : 'pinset'
    },

    /** Whether the node keeps the set in step with others (PROTOCOL.md 11). */
    wants(author: Author, pinset: string): boolean {
      const known = authors.get(author)
      return known !== undefined && !known.isRevoked && covers(known.line, pinset)
    },

    /** What becomes of a command that another node hands over, who first accepted it at `acceptedAt` (PROTOCOL.md 11). */
    judge(said: Said, acceptedAt: number, now: number): string {
      const known = authors.get(said.author)
      if (taken.has(said)) return 'known'
      if (known === undefined || known.isRevoked) return 'unauthorised'
      if (acceptedAt > (known.closedAt ?? Infinity)) return 'expired'
      if (acceptedAt < (known.line.validAfter ?? 0)) return 'unauthorised'
      if (acceptedAt >= (known.line.expiryTime ?? Infinity)) return 'expired'
      if (said.time.ms > now + MAX_AHEAD_MS) return 'skew'
      if (!covers(known.line, said.pinset)) return 'pinset'
      return mayHold(said) ? 'held' : 'passed'
    },

    /** Keeps a command. */
    take(said: Said, acceptedAt: number, now: number): void {
      taken.set(said, acceptedAt)
      ever.add(said)
      known = standingPlaces(taken.keys())
      settle(now)
    },

    /** Lets go of a command that holds no place. */
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

    /** How far an operation has come, its amount and its tries left out (PROTOCOL.md 5); of several right answers all. */
    state(said: Said, index: number, now: number): readonly string[] {
      // An update speaks through the CID that it pins.
      const place = placesOf(said).find((one) => one.index === index) as Place
      const holder = places().get(place.name) as Place
      if (holder.said !== said) {
        const above = [...ever].flatMap(placesOf).filter((one) => one.name === place.name && outranks(one, place))
        return above.map((one) => `superseded by ${one.said.id}`)
      }
      // Of a revoked key either is true.
      if (holder.isUnknown) return ['refused unsupported', 'refused unauthorised']
      const code = whyNot(holder)
      if (code !== undefined) return [`refused ${code}`]
      const { cid, kind } = holder
      const { want, by } = wish(cid, said.pinset, now)
      if (kind !== want && (by?.said !== said || by.index !== index)) return [`superseded by ${by?.said.id}`]
      if (want === 'pin') return pinned.has(cid) ? ['pinned'] : ['queued', 'failed']
      return heldBy(cid).includes(said.pinset) || jobs.get(cid) === 'unpin' ? ['queued'] : [`unpinned ${heldBy(cid).toSorted().join()}`]
    }
  }

}

/** A node of the model. */
export type ModelNode = ReturnType<typeof createModelNode>
