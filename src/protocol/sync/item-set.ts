/** Sorted sets of commands as reconciliation needs them: little memory, quick sums over ranges, changes at any time. */
import { createHash } from 'node:crypto'
import {
  addIds,
  append,
  BLOCK_ITEMS,
  carried,
  compareAt,
  createBlock,
  halve,
  ID_BYTES,
  insertAt,
  rankIn,
  removeAt,
  SUM_DIGITS
} from './item-block.ts'
import type { Block } from './item-block.ts'
import { encodeVarint } from './varint.ts'

/** An item as it comes and goes: milliseconds since the epoch, and 32 bytes. */
interface Item {
  readonly ms: number
  readonly id: Uint8Array
}

/**
 * A sorted set of (time in ms, 32-byte id) that can be summed over ranges quickly and changed while it is being reconciled. Items
 * are ordered by time, then by id bytewise; a position is a place in that order. What is given or handed out is copied.
 */
export interface ItemSet {
  readonly size: number
  /** False when it was there. */
  add(ms: number, id: Uint8Array): boolean
  /** False when it was not there. */
  remove(ms: number, id: Uint8Array): boolean
  has(ms: number, id: Uint8Array): boolean
  /** Time of the newest item, 0 when empty. */
  newest(): number
  /** SHA-256 over all ids in order; kept until the set changes. */
  root(): Uint8Array
  /** Items in order from position `from` up to (not including) `to`; the set must not change until all are read. */
  items(from: number, to: number): Iterable<Item>
  /** The ids of the same items, one behind the other. */
  ids(from: number, to: number): Uint8Array
  /** Position of the first item at or above (ms, id prefix): how many are below. */
  rankOf(ms: number, idPrefix: Uint8Array): number
  /** What sums up the items from position `from` up to `to`, as Negentropy does; 16 bytes. */
  fingerprint(from: number, to: number): Uint8Array
}

/** Items that a new set has room for: most sets of a network hold a handful. */
const FIRST_ITEMS = 4

/** Neighbours that hold no more than this together become one block: half of {@link BLOCK_ITEMS}, or the next item would part them. */
const MERGE_ITEMS = BLOCK_ITEMS / 2

const FINGERPRINT_BYTES = 16

/** An empty set. Its methods throw `RangeError` for an id that is not 32 bytes or a time that is no safe integer of 0 or more. */
export function createItemSet(): ItemSet {
  let blocks: Block[] = []
  let size = 0
  /** Positions of the first items of the blocks, while they are right. */
  let starts: number[] | undefined
  let root: Uint8Array | undefined

  const changed = (by: number): void => {
    size += by
    starts = undefined
    root = undefined
  }

  /** How many blocks start below the bound; with `orAt`, at or below. */
  const blocksBelow = (ms: number, prefix: Uint8Array, orAt: boolean): number => {
    let [low, high] = [0, blocks.length]
    while (low < high) {
      const middle = (low + high) >> 1
      const compared = compareAt(blocks[middle] as Block, 0, ms, prefix)
      if (compared < 0 || (orAt && compared === 0)) low = middle + 1
      else high = middle
    }
    return low
  }

  /** Where the item is, or where it belongs. */
  const find = (ms: number, id: Uint8Array): { readonly index: number; readonly at: number; readonly isThere: boolean } => {
    const index = Math.max(0, blocksBelow(ms, id, true) - 1)
    const block = blocks[index]
    if (block === undefined) return { index, at: 0, isThere: false }
    const at = rankIn(block, ms, id)
    return { index, at, isThere: at < block.count && compareAt(block, at, ms, id) === 0 }
  }

  const place = (index: number, at: number, ms: number, id: Uint8Array): void => {
    const block = blocks[index]
    if (block === undefined) {
      blocks.push(createBlock(FIRST_ITEMS))
      return place(index, at, ms, id)
    }
    if (block.count < BLOCK_ITEMS) return insertAt(block, at, ms, id)
    if (at === block.count && index === blocks.length - 1) {
      // Items mostly come in order: full blocks behind them take half the memory of halves.
      blocks.push(createBlock(BLOCK_ITEMS))
      return place(index + 1, 0, ms, id)
    }
    const upper = halve(block)
    blocks.splice(index + 1, 0, upper)
    return at <= block.count ? insertAt(block, at, ms, id) : insertAt(upper, at - block.count, ms, id)
  }

  const mergeAround = (index: number): void => {
    if ((blocks[index] as Block).count === 0) blocks.splice(index, 1)
    for (const left of [index, index - 1]) {
      const [block, next] = [blocks[left], blocks[left + 1]]
      if (block === undefined || next === undefined || block.count + next.count > MERGE_ITEMS) continue
      append(block, next, 0)
      blocks.splice(left + 1, 1)
    }
  }

  const startsNow = (): readonly number[] => {
    if (starts !== undefined) return starts
    let sum = 0
    starts = blocks.map(({ count }) => (sum += count) - count)
    return starts
  }

  /** The blocks that hold positions `from` to `to`, and which of their items these are. */
  function* runs(from: number, to: number): Iterable<readonly [block: Block, from: number, to: number]> {
    const all = startsNow()
    let [index, high] = [0, blocks.length]
    while (high - index > 1) {
      const middle = (index + high) >> 1
      if ((all[middle] as number) <= from) index = middle
      else high = middle
    }
    for (; index < blocks.length; index++) {
      const [block, start] = [blocks[index] as Block, all[index] as number]
      if (start >= to) return
      yield [block, Math.max(0, from - start), Math.min(block.count, to - start)]
    }
  }

  return {
    get size() {
      return size
    },
    add(ms, id) {
      requireSound(ms, id)
      const { index, at, isThere } = find(ms, id)
      if (isThere) return false
      place(index, at, ms, id)
      changed(1)
      return true
    },
    remove(ms, id) {
      requireSound(ms, id)
      const { index, at, isThere } = find(ms, id)
      if (!isThere) return false
      removeAt(blocks[index] as Block, at)
      mergeAround(index)
      changed(-1)
      return true
    },
    has(ms, id) {
      requireSound(ms, id)
      return find(ms, id).isThere
    },
    newest() {
      const last = blocks.at(-1)
      return last?.ms[last.count - 1] ?? 0
    },
    root() {
      if (root === undefined) {
        const hash = createHash('sha256')
        for (const { ids, count } of blocks) hash.update(ids.subarray(0, count * ID_BYTES))
        root = new Uint8Array(hash.digest())
      }
      return root.slice()
    },
    *items(from, to) {
      for (const [block, first, end] of runs(from, to)) {
        for (let at = first; at < end; at++) {
          yield { ms: block.ms[at] as number, id: block.ids.slice(at * ID_BYTES, (at + 1) * ID_BYTES) }
        }
      }
    },
    ids(from, to) {
      const all = new Uint8Array(Math.max(0, to - from) * ID_BYTES)
      let length = 0
      for (const [{ ids }, first, end] of runs(from, to)) {
        all.set(ids.subarray(first * ID_BYTES, end * ID_BYTES), length)
        length += (end - first) * ID_BYTES
      }
      return all.subarray(0, length)
    },
    rankOf(ms, prefix) {
      const index = Math.max(0, blocksBelow(ms, prefix, false) - 1)
      const block = blocks[index]
      return block === undefined ? 0 : (startsNow()[index] as number) + rankIn(block, ms, prefix)
    },
    fingerprint(from, to) {
      const digits = new Float64Array(SUM_DIGITS)
      for (const [block, first, end] of runs(from, to)) addIds(digits, block, first, end)
      return fingerprintOf(carried(digits), to - from)
    }
  }
}

/** A set of items in any order, duplicates merged; quickest and smallest when they come sorted. */
export function createItemSetFrom(items: Iterable<Item>): ItemSet {
  const set = createItemSet()
  for (const { ms, id } of items) set.add(ms, id)
  return set
}

function fingerprintOf(sum: Uint32Array, count: number): Uint8Array {
  const varint = encodeVarint(count)
  const bytes = new Uint8Array(ID_BYTES + varint.length)
  const view = new DataView(bytes.buffer)
  for (const [i, digit] of sum.entries()) view.setUint32(i * 4, digit, true)
  bytes.set(varint, ID_BYTES)
  return new Uint8Array(createHash('sha256').update(bytes).digest().subarray(0, FINGERPRINT_BYTES))
}

function requireSound(ms: number, id: Uint8Array): void {
  if (id.byteLength !== ID_BYTES) throw new RangeError(`an id of ${id.byteLength} bytes, not ${ID_BYTES}`)
  if (!Number.isSafeInteger(ms) || ms < 0) throw new RangeError(`${ms} is no time`)
}
