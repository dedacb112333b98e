/**
 * Messages of a reconciliation, as Negentropy writes them: ranges one behind the other, each up to a bound, that together cover all
 * times and ids. @see https://github.com/hoytech/negentropy/blob/master/docs/negentropy-protocol-v1.md
 */
import { InvalidMessageError } from '../errors.ts'
import { ID_BYTES } from './item-block.ts'
import { decodeVarint, encodeVarint } from './varint.ts'

/** A place between items: above all that is below (ms, prefix filled up with zeros). No prefix ends in a zero. */
export interface Bound {
  /** Milliseconds since the epoch; Infinity above all items. */
  readonly ms: number
  readonly prefix: Uint8Array
}

/** From `lower` up to, and not including, `upper`. */
export interface Span {
  readonly lower: Bound
  readonly upper: Bound
}

/** What a message says of a span. */
export type Range = Span &
  (
    | { readonly mode: 'skip' }
    /** What sums up the items that the writer has there. */
    | { readonly mode: 'fingerprint'; readonly fingerprint: Uint8Array }
    /** All ids that the writer has there, one behind the other. */
    | { readonly mode: 'list'; readonly ids: Uint8Array }
  )

/** Below and above all items. */
export const LOWEST: Bound = { ms: 0, prefix: new Uint8Array(0) }
export const HIGHEST: Bound = { ms: Infinity, prefix: new Uint8Array(0) }

/** The bytes that a message of version 1 starts with, and, after these, of any version. */
export const VERSION = 0x61
const VERSIONS = { min: 0x60, max: 0x6f }

const MODES = ['skip', 'fingerprint', 'list'] as const
const FINGERPRINT_BYTES = 16

/** Most that a range takes beside what it carries: a time, a prefix with its length, a mode. */
export const MAX_HEAD_BYTES = 8 + 1 + ID_BYTES + 1

/** Negative when `a` is below `b`, 0 when they are one, positive above. */
export function compareBounds(a: Bound, b: Bound): number {
  if (a.ms !== b.ms) return a.ms < b.ms ? -1 : 1
  const length = Math.min(a.prefix.length, b.prefix.length)
  for (let i = 0; i < length; i++) {
    const above = (a.prefix[i] as number) - (b.prefix[i] as number)
    if (above !== 0) return above
  }
  return a.prefix.length - b.prefix.length
}

/** The shortest bound that parts two items that follow each other. */
export function boundBetween(below: { ms: number; id: Uint8Array }, above: { ms: number; id: Uint8Array }): Bound {
  if (below.ms !== above.ms) return { ms: above.ms, prefix: LOWEST.prefix }
  let shared = 0
  while (shared < ID_BYTES - 1 && below.id[shared] === above.id[shared]) shared++
  return { ms: above.ms, prefix: above.id.subarray(0, shared + 1) }
}

/** Whether a message is of a version that this one knows to be another. Throws an `encoding` fault where it is of none. */
export function isOtherVersion(message: Uint8Array): boolean {
  const [version = 0] = message
  if (version < VERSIONS.min || version > VERSIONS.max) throw new InvalidMessageError('encoding', 'not a message of a reconciliation')
  return version !== VERSION
}

/**
 * Reads the ranges of a message of this version in order, the one that is left out at the end, too. Bytes of the message are not copied.
 * Throws `encoding` and `shape` faults when it comes to what is wrong.
 */
export function* readRanges(message: Uint8Array): Generator<Range> {
  let at = 1
  let lower = LOWEST
  const varint = (): number => {
    const { value, end } = decodeVarint(message, at)
    at = end
    return value
  }
  const bytes = (count: number, size: number): Uint8Array => {
    if (count > (message.byteLength - at) / size) throw new InvalidMessageError('encoding', 'a range says more than there is')
    at += count * size
    return message.subarray(at - count * size, at)
  }
  const bound = (): Bound => {
    const step = varint()
    const length = varint()
    if (length > ID_BYTES) throw new InvalidMessageError('shape', 'an id with more than 32 bytes')
    const prefix = bytes(length, 1)
    // What stands behind the end of time means nothing.
    if (step === 0) return HIGHEST
    const ms = lower.ms + (step - 1)
    if (ms > Number.MAX_SAFE_INTEGER) throw new InvalidMessageError('encoding', 'a time that is too large')
    return { ms, prefix: withoutZeros(prefix) }
  }
  while (at < message.byteLength) {
    const upper = bound()
    if (compareBounds(lower, upper) > 0) throw new InvalidMessageError('shape', 'ranges overlap or are not in order')
    const mode = MODES[varint()]
    if (mode === undefined) throw new InvalidMessageError('shape', 'a range of an unknown mode')
    if (mode === 'skip') yield { lower, upper, mode }
    else if (mode === 'fingerprint') yield { lower, upper, mode, fingerprint: bytes(1, FINGERPRINT_BYTES) }
    else yield { lower, upper, mode, ids: bytes(varint(), ID_BYTES) }
    lower = upper
  }
  yield { lower, upper: HIGHEST, mode: 'skip' }
}

/** Writes a message, range by range. */
export interface RangeWriter {
  /** Bytes so far. */
  readonly length: number
  /** Where the next range starts. */
  readonly end: Bound
  /** Says nothing up to `upper`; nothing at all where that is where the next range starts. */
  skip(upper: Bound): void
  fingerprint(upper: Bound, fingerprint: Uint8Array): void
  list(upper: Bound, ids: Uint8Array): void
  /** Remembers where it is; the answer takes back all that was written since. */
  mark(): () => void
  finish(): Uint8Array
}

/** A message without ranges. */
export function createRangeWriter(): RangeWriter {
  let message = new Uint8Array(1024)
  message[0] = VERSION
  let length = 1
  let end = LOWEST

  const put = (bytes: ArrayLike<number>): void => {
    if (length + bytes.length > message.byteLength) {
      const larger = new Uint8Array(2 * (length + bytes.length))
      larger.set(message)
      message = larger
    }
    message.set(bytes, length)
    length += bytes.length
  }
  const head = (upper: Bound, mode: (typeof MODES)[number]): void => {
    put(encodeVarint(upper.ms === Infinity ? 0 : upper.ms - end.ms + 1))
    put(encodeVarint(upper.prefix.byteLength))
    put(upper.prefix)
    put(encodeVarint(MODES.indexOf(mode)))
    end = upper
  }

  return {
    get length() {
      return length
    },
    get end() {
      return end
    },
    skip(upper) {
      if (compareBounds(end, upper) < 0) head(upper, 'skip')
    },
    fingerprint(upper, fingerprint) {
      head(upper, 'fingerprint')
      put(fingerprint)
    },
    list(upper, ids) {
      head(upper, 'list')
      put(encodeVarint(ids.byteLength / ID_BYTES))
      put(ids)
    },
    mark() {
      const marked = { length, end }
      return () => ({ length, end } = marked)
    },
    finish: () => message.slice(0, length)
  }
}

function withoutZeros(prefix: Uint8Array): Uint8Array {
  let { length } = prefix
  // Most bounds have none: one for all of them.
  if (length === 0) return LOWEST.prefix
  while (length > 0 && prefix[length - 1] === 0) length--
  return prefix.subarray(0, length)
}
