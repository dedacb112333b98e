/**
 * Finds what two sets lack of each other by comparing sums of ranges: Negentropy, protocol version 1, with times in milliseconds.
 * The sets may change between messages; what did not change is found all the same.
 * @see https://github.com/hoytech/negentropy
 */
import { equals } from 'uint8arrays/equals'
import { InvalidMessageError } from '../errors.ts'
import { MAX_SYNC_MESSAGE_BYTES, MAX_SYNC_RANGES, MAX_SYNC_ROUNDS } from '../limits.ts'
import { createIds, type Ids } from './ids.ts'
import { ID_BYTES } from './item-block.ts'
import { createItemSet, type ItemSet } from './item-set.ts'
import {
  boundBetween,
  compareBounds,
  createRangeWriter,
  HIGHEST,
  isOtherVersion,
  LOWEST,
  MAX_HEAD_BYTES,
  readRanges,
  VERSION,
  type Bound,
  type Range,
  type RangeWriter,
  type Span
} from './ranges.ts'

/** How much a side says at once. */
export interface MessageOptions {
  /** Bytes of a message it writes, at least 4,096; {@link MAX_SYNC_MESSAGE_BYTES} unless said. What does not fit takes further messages. */
  readonly maxBytes?: number
}

/** The side that asks, and learns what differs. Once a method has thrown, it is of no use any more. */
export interface Initiator {
  /** The first message. */
  start(): Uint8Array
  /**
   * Takes the answer to the last message; the next one, or undefined when all is known. Throws {@link InvalidMessageError} for what no
   * honest peer sends, and after MAX_SYNC_ROUNDS answers.
   */
  next(answer: Uint8Array): Uint8Array | undefined
  /** Ids that the other side has and we lack, as far as found; 4,096 more with each answer at most. An honest peer names none twice. */
  readonly need: Ids
  /** Ids that we have and the other side lacks, as far as found. */
  readonly have: Ids
}

/** Ranges that one that differs is divided into. */
const PARTS = 16

/** A range with fewer items than this is listed instead. */
const LISTED = 2 * PARTS

const MIN_MESSAGE_BYTES = 4_096

/** Most that the end of an answer takes that does not fit: a range to skip, and a fingerprint of all that follows. */
const REST_BYTES = MAX_HEAD_BYTES + 3 + 16

/** Most that a list takes beside its ids: a count of up to 2^21 is written in 3 bytes. */
const MAX_LIST_HEAD_BYTES = MAX_HEAD_BYTES + 3

/** Ranges that one message asks about: as many as an honest answer can be about, and no more milliseconds than that for small ones. */
const MAX_ASKED = 4_096

/** Something to ask about: as it is, or in parts because it is known to differ. */
interface Question extends Span {
  readonly inParts: boolean
}

/** Makes the asking side. Throws `RangeError` for too small a `maxBytes`. */
export function createInitiator(set: ItemSet, options: MessageOptions = {}): Initiator {
  const maxBytes = boundOf(options)
  const [need, have] = [createIds(), createIds()]
  /** What the last message asked about, and what is left for the next ones: in order, and all of this behind all of that. */
  let asked: readonly Question[] = []
  let open: readonly Question[] = [{ lower: LOWEST, upper: HIGHEST, inParts: true }]
  let rounds = 0

  /** Asks about as much as fits, from the lowest on: so ids are found early, and what is open stays little. */
  const write = (): Uint8Array => {
    const out = createRangeWriter()
    const written: Question[] = []
    let done = 0
    for (const question of open) {
      const takeBack = out.mark()
      out.skip(question.lower)
      const parts = question.inParts
        ? partsOf(set, question.lower, question.upper)
        : [{ ...question, ...positions(set, question), isListed: false }]
      for (const part of parts) writePart(set, part, out)
      if (out.length > maxBytes || written.length + parts.length > MAX_ASKED) {
        takeBack()
        break
      }
      for (const { lower, upper } of parts) written.push({ lower, upper, inParts: false })
      done++
    }
    asked = written
    open = open.slice(done)
    return out.finish()
  }

  const compareLists = (range: Span, theirs: Uint8Array): void => {
    const { from, to } = positions(set, range)
    const others = createItemSet()
    for (const id of eachId(theirs)) {
      if (!others.add(0, id)) throw new InvalidMessageError('shape', 'a list names an id twice')
    }
    for (const id of eachId(set.ids(from, to))) if (!others.remove(0, id)) have.push(id)
    for (const id of eachId(theirs)) if (others.has(0, id)) need.push(id)
  }

  /** What is still to be asked of `parts`, which is all that was asked about in the range. */
  const settle = (range: Range, parts: readonly Question[]): readonly Question[] => {
    if (range.mode === 'skip' || (parts.length === 0 && (range.mode === 'fingerprint' || range.ids.byteLength === 0))) return []
    if (range.mode === 'list') {
      if (parts.length === 0 || !areWhole(range, parts)) throw new InvalidMessageError('shape', 'a list of what was not asked about')
      compareLists(range, range.ids)
      return []
    }
    const { from, to } = positions(set, range)
    if (equals(range.fingerprint, set.fingerprint(from, to))) return []
    // A fingerprint over more than one question is all that fitted: it says nothing of what was asked.
    return parts.length === 1 && areWhole(range, parts) ? [{ lower: range.lower, upper: range.upper, inParts: true }] : parts
  }

  return {
    need,
    have,
    start: write,
    next(answer) {
      if (++rounds > MAX_SYNC_ROUNDS) throw new InvalidMessageError('shape', `a reconciliation without end: ${MAX_SYNC_ROUNDS} rounds`)
      requireSize(answer)
      if (isOtherVersion(answer)) throw new InvalidMessageError('shape', 'another version of the reconciliation')
      const left: Question[] = []
      const waiting = createCutter(asked)
      for (const range of readRanges(answer)) left.push(...settle(range, waiting.upTo(range.upper)))
      open = [...left, ...open]
      if (open.length > MAX_SYNC_RANGES) throw new InvalidMessageError('shape', `${open.length} ranges to compare`)
      return open.length === 0 ? undefined : write()
    }
  }
}

/**
 * The other side, which remembers nothing between messages: the answer to a message. One of another version is answered by the version
 * that is spoken here. Throws {@link InvalidMessageError} (`size`, `encoding`, `shape`), and `RangeError` for too small a `maxBytes`.
 */
export function respond(set: ItemSet, message: Uint8Array, options: MessageOptions = {}): Uint8Array {
  const maxBytes = boundOf(options)
  requireSize(message)
  const out = createRangeWriter()
  if (isOtherVersion(message)) return Uint8Array.of(VERSION)
  for (const range of readRanges(message)) {
    const { from, to } = positions(set, range)
    if (range.mode === 'skip' || (range.mode === 'fingerprint' && equals(range.fingerprint, set.fingerprint(from, to)))) continue
    const takeBack = out.mark()
    out.skip(range.lower)
    if (range.mode === 'list') {
      const room = Math.max(0, Math.floor((maxBytes - REST_BYTES - out.length - MAX_LIST_HEAD_BYTES) / ID_BYTES))
      const end = Math.min(to, from + room)
      if (end === to) {
        out.list(range.upper, set.ids(from, to))
        continue
      }
      if (end > from) out.list(boundAt(set, end), set.ids(from, end))
    } else {
      for (const part of partsOf(set, range.lower, range.upper)) writePart(set, part, out)
      if (out.length <= maxBytes - REST_BYTES) continue
      takeBack()
      out.skip(range.lower)
    }
    // The asker comes back to what is left: one fingerprint stands for all of it.
    out.fingerprint(HIGHEST, set.fingerprint(positions(set, { lower: out.end, upper: HIGHEST }).from, set.size))
    break
  }
  return out.finish()
}

/** A span and where its items are. */
interface Part extends Span {
  readonly from: number
  readonly to: number
  /** Whether its ids are listed; else their sum is said. */
  readonly isListed: boolean
}

/** Parts of about the same number of items; one part, to be listed, where there are few. */
function partsOf(set: ItemSet, lower: Bound, upper: Bound): readonly Part[] {
  const { from, to } = positions(set, { lower, upper })
  const count = to - from
  if (count < LISTED) return [{ lower, upper, from, to, isListed: true }]
  const starts = Array.from({ length: PARTS }, (_, i) => from + i * Math.floor(count / PARTS) + Math.min(i, count % PARTS))
  const bounds = starts.map((start) => (start === from ? lower : boundAt(set, start)))
  return starts.map((start, i) => ({
    lower: bounds[i] as Bound,
    upper: bounds[i + 1] ?? upper,
    from: start,
    to: starts[i + 1] ?? to,
    isListed: false
  }))
}

function writePart(set: ItemSet, { upper, from, to, isListed }: Part, out: RangeWriter): void {
  if (isListed) out.list(upper, set.ids(from, to))
  else out.fingerprint(upper, set.fingerprint(from, to))
}

/** The bound between the item at a position and the one before it; both must be there. */
function boundAt(set: ItemSet, position: number): Bound {
  const [below, above] = set.items(position - 1, position + 1)
  if (below === undefined || above === undefined) throw new RangeError(`no item on both sides of ${position}`)
  return boundBetween(below, above)
}

function positions(set: ItemSet, { lower, upper }: Span): { readonly from: number; readonly to: number } {
  return { from: set.rankOf(lower.ms, lower.prefix), to: set.rankOf(upper.ms, upper.prefix) }
}

/** Cuts questions that are in order at bounds that come in order. */
function createCutter(questions: readonly Question[]): { upTo(bound: Bound): readonly Question[] } {
  let index = 0
  let rest = questions[0]
  return {
    upTo(bound) {
      const parts: Question[] = []
      while (rest !== undefined && compareBounds(rest.lower, bound) < 0) {
        if (compareBounds(rest.upper, bound) <= 0) {
          parts.push(rest)
          rest = questions[++index]
        } else {
          parts.push({ ...rest, upper: bound })
          rest = { ...rest, lower: bound }
        }
      }
      return parts
    }
  }
}

/** Whether spans in order have no gap between them and cover the whole one. */
function areWhole({ lower, upper }: Span, spans: readonly Span[]): boolean {
  let end = lower
  for (const span of spans) {
    if (compareBounds(end, span.lower) !== 0) return false
    end = span.upper
  }
  return compareBounds(end, upper) === 0
}

function* eachId(ids: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < ids.byteLength; at += ID_BYTES) yield ids.subarray(at, at + ID_BYTES)
}

function requireSize({ byteLength }: Uint8Array): void {
  if (byteLength > MAX_SYNC_MESSAGE_BYTES) throw new InvalidMessageError('size', `${byteLength} bytes, at most ${MAX_SYNC_MESSAGE_BYTES}`)
}

function boundOf({ maxBytes = MAX_SYNC_MESSAGE_BYTES }: MessageOptions): number {
  if (maxBytes < MIN_MESSAGE_BYTES) throw new RangeError(`messages of ${maxBytes} bytes, at least ${MIN_MESSAGE_BYTES}`)
  return maxBytes
}
