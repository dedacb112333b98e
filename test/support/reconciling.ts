/** Two sets that reconcile, and sets of all shapes to do it with. */
import fc from 'fast-check'
import { toString } from 'uint8arrays/to-string'
import { createItemSetFrom, type ItemSet } from '../../src/protocol/sync/item-set.ts'
import { createInitiator, respond } from '../../src/protocol/sync/negentropy.ts'
import { createRandom } from './random.ts'

/** A time and an id of 32 bytes. */
export interface TestItem {
  readonly ms: number
  readonly id: Uint8Array
}

/** What two sets hold. */
export interface Pair {
  readonly both: readonly TestItem[]
  readonly ours: readonly TestItem[]
  readonly theirs: readonly TestItem[]
}

/** Bytes as text. */
export const hex = (bytes: Uint8Array): string => toString(bytes, 'hex')

/** Ids as sorted text. */
export const sorted = (ids: Iterable<Uint8Array>): string[] => [...ids].map(hex).toSorted()

/** Ids of items as sorted text. */
export const idsOf = (items: readonly TestItem[]): string[] => sorted(items.map(({ id }) => id))

/** What came of a reconciliation, on the side that asked. */
export interface Talk {
  readonly need: readonly string[]
  readonly have: readonly string[]
  /** Questions and answers in turn. */
  readonly messages: readonly Uint8Array[]
  readonly bytes: number
  readonly roundTrips: number
}

/** Both sides as they talk until the asking one has nothing more to ask. `between` runs between any two messages. */
export function reconcile(
  ours: ItemSet,
  theirs: ItemSet,
  options: { readonly ourBytes?: number; readonly theirBytes?: number; readonly between?: () => void } = {}
): Talk {
  const { ourBytes = 128 * 1024, theirBytes = 128 * 1024, between = () => undefined } = options
  const initiator = createInitiator(ours, { maxBytes: ourBytes })
  const messages: Uint8Array[] = []
  for (let question: Uint8Array | undefined = initiator.start(); question !== undefined;) {
    between()
    const answer = respond(theirs, question, { maxBytes: theirBytes })
    if (question.byteLength > ourBytes || answer.byteLength > theirBytes) throw new Error('a message that is larger than it may be')
    messages.push(question, answer)
    between()
    question = initiator.next(answer)
  }
  const bytes = messages.reduce((sum, { byteLength }) => sum + byteLength, 0)
  return { need: sorted(initiator.need), have: sorted(initiator.have), messages, bytes, roundTrips: messages.length / 2 }
}

/** The sets of both sides. */
export function setsOf({ both, ours, theirs }: Pair): { readonly ours: ItemSet; readonly theirs: ItemSet } {
  return { ours: createItemSetFrom([...both, ...ours]), theirs: createItemSetFrom([...both, ...theirs]) }
}

const LAST_MS = Number.MAX_SAFE_INTEGER

/** Pairs of any shape: few and many, all at one time or up to `maxMs`, ids that start alike, little or much that differs on either side. */
export const pairs = (maxItems: number, maxMs = LAST_MS): fc.Arbitrary<Pair> =>
  fc
    .record({
      seed: fc.nat(),
      count: fc.oneof(fc.nat(5), fc.nat(100), fc.nat(maxItems)),
      times: fc.constantFrom(1, 3, 1_000, maxMs),
      alike: fc.constantFrom(0, 0, 1, 27),
      oursOnly: fc.constantFrom(0, 0.003, 0.1, 0.5),
      theirsOnly: fc.constantFrom(0, 0.003, 0.1, 0.5)
    })
    .map((shape) => {
      const { seed, count, times, alike, oursOnly, theirsOnly } = shape
      const random = createRandom(seed)
      const [both, ours, theirs]: TestItem[][] = [[], [], []]
      for (let i = 0; i < count; i++) {
        const id = new Uint8Array(32)
        for (let at = alike; at < 32; at++) id[at] = random.between(0, 255)
        // No id twice: the number of the item is in it, too.
        id.set([random.between(0, 255), (i * 197) % 256, i >> 8, i & 255], 28)
        // The last time of all is one of them.
        const item = { ms: maxMs - random.between(0, times - 1), id }
        const side = random.next()
        if (side < oursOnly) ours?.push(item)
        else if (side < oursOnly + theirsOnly) theirs?.push(item)
        else both?.push(item)
      }
      // A failure is told by the shape: the items themselves fill a screen for each.
      return { both: both ?? [], ours: ours ?? [], theirs: theirs ?? [], [fc.toStringMethod]: () => JSON.stringify({ ...shape, maxMs }) }
    })
