/** What a node says of a command set that it holds: enough for another to see whether it holds the same. */
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import type { Author } from '../ssh-key.ts'
import * as wire from '../wire.ts'

/** Names a command set: all that one author says in one pinset, or, with no pinset, its admin operations. */
export interface SetName {
  readonly author: Author
  readonly pinset: string | undefined
}

/** A command set, summed up. */
export interface SetDigest extends SetName {
  /** Commands in it. */
  readonly count: number
  /** SHA-256 over the ids in order of (time in ms, id); 32 bytes. Equal roots are equal sets. */
  readonly root: Uint8Array
  /** Time of the newest, milliseconds since the epoch; 0 for an empty set. */
  readonly newest: number
  /** Set when the author has reached its limit on this node, which then takes only unpins: such a set stays behind others. */
  readonly capped?: boolean
}

const ROOT_BYTES = 32
const HASH_BYTES = 32
const PREFIX = 'SHA256:'

/** A digest as a wire value: `[author hash, pinset / null, count, root, newest, capped]`. */
export function digestToWire({ author, pinset, count, root, newest, capped = false }: SetDigest): unknown[] {
  return [...nameToWire({ author, pinset }), count, root, newest, capped]
}

/** Reads a digest; throws `shape` faults. */
export function digestFromWire(value: unknown): SetDigest {
  const items = wire.list(value, 'set', 6)
  if (items.length !== 6 || typeof items[5] !== 'boolean') wire.malformed('set')
  return {
    ...nameFromWire(items.slice(0, 2)),
    count: wire.uint(items[2], 'count'),
    root: wire.bytes(items[3], 'root', { length: ROOT_BYTES }),
    newest: wire.uint(items[4], 'newest'),
    ...(items[5] ? { capped: true } : {})
  }
}

/** The name of a set as a wire value: `[author hash, pinset / null]`. */
export function nameToWire({ author, pinset }: SetName): [Uint8Array, string | null] {
  return [fromString(author.slice(PREFIX.length), 'base64'), pinset ?? null]
}

/** Reads the name of a set; throws `shape` faults. */
export function nameFromWire(value: unknown): SetName {
  const items = wire.list(value, 'set', 2)
  if (items.length !== 2) wire.malformed('set')
  const hash = wire.bytes(items[0], 'author', { length: HASH_BYTES })
  return { author: `${PREFIX}${toString(hash, 'base64')}`, pinset: items[1] === null ? undefined : wire.label(items[1], 'pinset') }
}
