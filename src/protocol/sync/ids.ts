/** Lists of ids without an object for each: a million take 32 MB, as arrays they would take five times that. */
import { ID_BYTES } from './item-block.ts'

/** Ids in the order in which they were put in; what is read is copied. */
export interface Ids extends Iterable<Uint8Array> {
  readonly length: number
  /** Those from position `from` on; all unless said. */
  slice(from?: number): Uint8Array[]
  map<T>(of: (id: Uint8Array) => T): T[]
}

/** Ids that more can be put behind. */
export interface IdCollector extends Ids {
  /** Puts ids behind the others that stand one behind the other in `ids`. */
  push(ids: Uint8Array): void
}

/** An empty list. */
export function createIds(): IdCollector {
  let bytes = new Uint8Array(0)
  let used = 0

  function* from(position: number): Generator<Uint8Array> {
    for (let at = position * ID_BYTES; at < used; at += ID_BYTES) yield bytes.slice(at, at + ID_BYTES)
  }

  return {
    get length() {
      return used / ID_BYTES
    },
    slice: (position = 0) => [...from(position)],
    map: (of) => from(0).map(of).toArray(),
    [Symbol.iterator]: () => from(0),
    push(ids) {
      if (used + ids.byteLength > bytes.byteLength) {
        const larger = new Uint8Array(Math.max(used + ids.byteLength, used * 2))
        larger.set(bytes.subarray(0, used))
        bytes = larger
      }
      bytes.set(ids, used)
      used += ids.byteLength
    }
  }
}
