/** A short run of items in order, without an object for each: item sets are made of these. */

/** Bytes of an id. */
export const ID_BYTES = 32

/** Items of a block: as many as are shifted or added up in some microseconds. */
export const BLOCK_ITEMS = 512

/** 32-bit digits of a sum of ids. */
export const SUM_DIGITS = 8

/** Items in order of (ms, id). */
export interface Block {
  count: number
  /** Times of the items, and room for more. */
  ms: Float64Array
  /** Their ids one behind the other, with room for as many. */
  ids: Uint8Array
  /** The sum of all ids modulo 2^256, lowest digit first; absent until it is asked for. */
  sum: Uint32Array | undefined
}

/** An empty block. */
export function createBlock(capacity: number): Block {
  return { count: 0, ms: new Float64Array(capacity), ids: new Uint8Array(capacity * ID_BYTES), sum: undefined }
}

/** Negative where the item at `at` is below (ms, prefix), 0 where it starts so, positive above. A prefix is as if filled up with zeros. */
export function compareAt(block: Block, at: number, ms: number, prefix: Uint8Array): number {
  const later = (block.ms[at] as number) - ms
  if (later !== 0) return later
  const { ids } = block
  const start = at * ID_BYTES
  for (let i = 0; i < prefix.length; i++) {
    const above = (ids[start + i] as number) - (prefix[i] as number)
    if (above !== 0) return above
  }
  return 0
}

/** How many items of the block are below (ms, prefix). */
export function rankIn(block: Block, ms: number, prefix: Uint8Array): number {
  let [low, high] = [0, block.count]
  while (low < high) {
    const middle = (low + high) >> 1
    if (compareAt(block, middle, ms, prefix) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Puts an item in its place; the block must have less than {@link BLOCK_ITEMS}. */
export function insertAt(block: Block, at: number, ms: number, id: Uint8Array): void {
  const { count } = block
  if (count === block.ms.length) resize(block, Math.min(count * 2, BLOCK_ITEMS))
  block.ms.copyWithin(at + 1, at, count)
  block.ids.copyWithin((at + 1) * ID_BYTES, at * ID_BYTES, count * ID_BYTES)
  block.ms[at] = ms
  block.ids.set(id, at * ID_BYTES)
  block.count++
  block.sum = undefined
}

/** Takes an item out, and gives back memory that is not needed. */
export function removeAt(block: Block, at: number): void {
  const { count } = block
  block.ms.copyWithin(at, at + 1, count)
  block.ids.copyWithin(at * ID_BYTES, (at + 1) * ID_BYTES, count * ID_BYTES)
  block.count--
  block.sum = undefined
  if (block.count > 0 && block.count * 4 <= block.ms.length) resize(block, block.count * 2)
}

/** Cuts a block in two and answers the upper half. */
export function halve(block: Block): Block {
  const half = block.count >> 1
  const upper = createBlock(block.count - half)
  append(upper, block, half)
  block.count = half
  block.sum = undefined
  resize(block, half)
  return upper
}

/** Puts the items of `other` from `from` on behind those of `block`. */
export function append(block: Block, other: Block, from: number): void {
  const count = block.count + other.count - from
  if (count > block.ms.length) resize(block, count)
  block.ms.set(other.ms.subarray(from, other.count), block.count)
  block.ids.set(other.ids.subarray(from * ID_BYTES, other.count * ID_BYTES), block.count * ID_BYTES)
  block.count = count
  block.sum = undefined
}

/** Adds the ids of items `from` to `to` digit by digit, without carrying: the digits stay exact far beyond what fits in memory. */
export function addIds(digits: Float64Array, block: Block, from: number, to: number): void {
  if (from === 0 && to === block.count) {
    block.sum ??= carried(sumOf(block, 0, block.count))
    for (let i = 0; i < SUM_DIGITS; i++) digits[i] = (digits[i] as number) + (block.sum[i] as number)
  } else {
    const sum = sumOf(block, from, to)
    for (let i = 0; i < SUM_DIGITS; i++) digits[i] = (digits[i] as number) + (sum[i] as number)
  }
}

/** Carries between digits; what is above 2^256 falls away. */
export function carried(digits: Float64Array): Uint32Array {
  const sum = new Uint32Array(SUM_DIGITS)
  let carry = 0
  for (let i = 0; i < SUM_DIGITS; i++) {
    const digit = (digits[i] as number) + carry
    carry = Math.floor(digit / 2 ** 32)
    sum[i] = digit % 2 ** 32
  }
  return sum
}

function sumOf({ ids }: Block, from: number, to: number): Float64Array {
  const digits = new Float64Array(SUM_DIGITS)
  // Not a Uint32Array over the ids: it would read them in the byte order of the machine.
  const view = new DataView(ids.buffer)
  for (let i = 0; i < SUM_DIGITS; i++) {
    let digit = 0
    for (let at = from * ID_BYTES; at < to * ID_BYTES; at += ID_BYTES) digit += view.getUint32(at + i * 4, true)
    digits[i] = digit
  }
  return digits
}

function resize(block: Block, capacity: number): void {
  const { count, ms, ids } = block
  block.ms = new Float64Array(capacity)
  block.ids = new Uint8Array(capacity * ID_BYTES)
  block.ms.set(ms.subarray(0, count))
  block.ids.set(ids.subarray(0, count * ID_BYTES))
}
