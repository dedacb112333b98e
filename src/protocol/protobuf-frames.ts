/**
 * Counts the fields of protobuf messages, each behind its length, as they come: a decoder makes an object of two bytes, a hundred times as
 * large. Reads strictly what it looks into, so that no decoder finds more in it. @see https://protobuf.dev/programming-guides/encoding/
 */
import { InvalidMessageError } from './errors.ts'

/**
 * The fields of a message by number; others are skipped, and each counts as one. Every message must be named that the decoder knows: it may
 * read on behind the end of one that is not sound, and find there what was not counted. A number is that of bytes which the field may have.
 */
export interface Shape {
  readonly [field: number]: 'number' | 'bytes' | number | Shape
}

/** The counter of one stream. */
export interface FieldCounter {
  /** Goes on with these bytes. Throws {@link InvalidMessageError}: `size` for a message of too many fields or one that is too long, `encoding` for what is none. */
  take(bytes: Uint8Array): void
}

/** What a varint is, that is being read. */
type Reading = 'frame' | 'tag' | 'length' | 'number'

const MAX_NUMBER_BYTES = 10
const WIRE = { number: 0, eight: 1, bytes: 2, four: 5 } as const

/** Makes it; `most` fields of a message and of those within it. */
export function createFieldCounter(shape: Shape, most: number): FieldCounter {
  /** Messages within each other, the innermost last, with the bytes that are left of each. */
  const within: { readonly shape: Shape; left: number }[] = []
  let reading: Reading = 'frame'
  let inside: Shape | undefined
  let longest = Infinity
  let value = 0
  let bytesRead = 0
  let skip = 0
  let fields = 0

  const refuse = (what: string): never => {
    throw new InvalidMessageError('encoding', what)
  }

  const spend = (bytes: number): void => {
    for (const level of within) level.left -= bytes
    if ((within.at(-1)?.left ?? 0) < 0) refuse('a field that is longer than its message')
  }

  const leave = (): void => {
    while (within.at(-1)?.left === 0) within.pop()
    reading = within.length === 0 ? 'frame' : 'tag'
  }

  const enter = (next: Shape, left: number): void => {
    if (left > (within.at(-1)?.left ?? left)) refuse('a message that is longer than the one around it')
    within.push({ shape: next, left })
    leave()
  }

  const pass = (bytes: number): void => {
    spend(bytes)
    skip = bytes
    leave()
  }

  const onTag = (tag: number): void => {
    if (++fields > most) throw new InvalidMessageError('size', `a message of more than ${most} fields`)
    const wire = tag % 8
    const known = within.at(-1)?.shape[Math.floor(tag / 8)]
    if (known !== undefined && wire !== (known === 'number' ? WIRE.number : WIRE.bytes)) refuse('a field of another type')
    inside = typeof known === 'object' ? known : undefined
    longest = typeof known === 'number' ? known : Infinity
    if (wire === WIRE.number) reading = 'number'
    else if (wire === WIRE.bytes) reading = 'length'
    else if (wire === WIRE.eight) pass(8)
    else if (wire === WIRE.four) pass(4)
    else refuse('a field of no known type')
  }

  const onVarint = (): void => {
    if (reading === 'frame') {
      fields = 0
      enter(shape, value)
    } else if (reading === 'tag') onTag(value)
    else if (reading === 'number') leave()
    else if (inside !== undefined) enter(inside, value)
    else if (value > longest) throw new InvalidMessageError('size', `a field of more than ${longest} bytes`)
    else pass(value)
  }

  const onByte = (byte: number): void => {
    if (reading !== 'frame') spend(1)
    value += (byte & 0x7f) * 2 ** (7 * bytesRead++)
    if (byte >= 0x80) {
      if (bytesRead === MAX_NUMBER_BYTES) refuse('a number without end')
      return
    }
    // Decoders disagree on what is longer than it needs to be.
    if (reading !== 'number' && ((byte === 0 && bytesRead > 1) || value >= 2 ** 32)) refuse('a number that is none')
    onVarint()
    value = 0
    bytesRead = 0
  }

  return {
    take(bytes) {
      for (let at = 0; at < bytes.byteLength;) {
        const skipped = Math.min(skip, bytes.byteLength - at)
        skip -= skipped
        at += skipped
        if (at < bytes.byteLength) onByte(bytes[at++] as number)
      }
    }
  }
}
