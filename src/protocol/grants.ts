/** Who may command what: the meaning of an authorized_keys file, and the question every operation must pass. */
import type { RefusalCode } from './ack.ts'
import type { Author } from './ssh-key.ts'

/** A right that a line can grant. */
export type Right = 'pin' | 'unpin'

/** What one line grants. */
export interface Grant {
  readonly author: Author
  readonly comment: string
  readonly rights: readonly Right[]
  /** Patterns of pinsets, `*` for any run of characters; undefined for all. */
  readonly pinsets?: readonly string[]
  /** What was first accepted before this counts for nothing; milliseconds since the epoch. */
  readonly validAfter?: number
  /** From here on the key is closed; milliseconds since the epoch. */
  readonly expiryTime?: number
  /** How many pins of the key a node takes on, each CID once a pinset; undefined for as many as there are. */
  readonly maxPins?: number
  /** How many bytes these may come to; undefined for what the node has room for. */
  readonly maxBytes?: number
  readonly admin: boolean
}

/** Whether the grant covers a pinset at all. */
export function coversPinset(grant: Grant, pinset: string): boolean {
  return grant.pinsets === undefined || grant.pinsets.some((pattern) => matches(pattern, pinset))
}

/** Whether the key may say something new at `now`: undefined when it may, else why not. */
export function closedAt(grant: Grant | undefined, now: number): 'unauthorised' | 'expired' | undefined {
  if (grant === undefined || (grant.validAfter !== undefined && now < grant.validAfter)) return 'unauthorised'
  return grant.expiryTime !== undefined && now >= grant.expiryTime ? 'expired' : undefined
}

/** Whether an operation needing `rights` in `pinset`, first accepted at `acceptedAt`, counts: undefined when it does, else why not. */
export function refusalOf(grant: Grant, rights: readonly Right[], pinset: string, acceptedAt: number): RefusalCode | undefined {
  if (closedAt(grant, acceptedAt) !== undefined) return 'expired'
  if (!coversPinset(grant, pinset)) return 'pinset'
  return rights.every((right) => grant.rights.includes(right)) ? undefined : 'operation'
}

/** Whether everything that `grant` allows is allowed by `other` too, for however long. */
export function isWithin(grant: Grant, other: Grant): boolean {
  const { pinsets } = grant
  return (
    (other.admin || !grant.admin) &&
    grant.rights.every((right) => other.rights.includes(right)) &&
    isCapWithin(grant.maxPins, other.maxPins) &&
    isCapWithin(grant.maxBytes, other.maxBytes) &&
    // A `*` in a pattern of ours is met by a `*` of theirs alone, which then meets whatever it stands for.
    (other.pinsets === undefined || (pinsets !== undefined && pinsets.every((pattern) => coversPinset(other, pattern))))
  )
}

function isCapWithin(cap: number | undefined, other: number | undefined): boolean {
  return other === undefined || (cap !== undefined && cap <= other)
}

function matches(pattern: string, text: string): boolean {
  const parts = pattern.split('*')
  const first = parts[0] as string
  if (parts.length === 1) return pattern === text
  const last = parts.at(-1) as string
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false
  let at = first.length
  const end = text.length - last.length
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, at)
    if (found < 0 || found + part.length > end) return false
    at = found + part.length
  }
  return true
}
