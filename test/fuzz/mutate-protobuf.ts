/** Changes to one field of protobuf messages, each behind its length, as streams carry them. */
import type { Random } from '../support/random.ts'
import { mutateBytes } from './mutate-bytes.ts'

/** A field: a number, bytes, or a message; or bytes that stand for one, right or not. */
type Field = { readonly field: number; readonly value: bigint | Uint8Array | Field[] } | Uint8Array

/** Numbers at which readers of varints, lengths and counts break. */
const NUMBERS = [0n, 1n, 2n, 127n, 128n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n]

/** Fields that are none, or that only some readers take. */
const ODD = [
  '0b', // A group that never ends.
  '0b0c',
  '0c',
  '0f00',
  '00',
  '0000',
  '8a0000',
  '0a8000',
  '0aff',
  '0affffffff0f',
  '0affffffffffffffffff01',
  '1affffffff07',
  'ffffffffffffffffffff01',
  '08ffffffffffffffffffff7f',
  '0d00',
  '0900',
  '2800'
].map((hex) => new Uint8Array(Buffer.from(hex, 'hex')))

/** A number as protobuf writes it. */
function varint(value: number | bigint): Uint8Array {
  const bytes: number[] = []
  for (let rest = BigInt(value); ; rest >>= 7n) {
    if (rest < 0x80n) return Uint8Array.from([...bytes, Number(rest)])
    bytes.push(Number(rest & 0x7fn) | 0x80)
  }
}

/** Bytes behind their length. */
export const delimited = (bytes: Uint8Array): Uint8Array => Buffer.concat([varint(bytes.byteLength), bytes])

/** A message of these fields. */
export function message(...fields: readonly (readonly [field: number, value: number | string | Uint8Array])[]): Uint8Array {
  return write(
    fields.map(([field, value]) => ({
      field,
      value: typeof value === 'number' ? BigInt(value) : typeof value === 'string' ? new TextEncoder().encode(value) : value
    }))
  )
}

/** One change; undefined where the bytes are no such messages. */
export function mutateProtobuf(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array | undefined {
  const frames = read(bytes, frameAt)
  if (frames === undefined || frames.length === 0) return undefined
  change(random.pick(listsIn(frames.map(messageOf))), random, other)
  const parts = frames.map((frame) => delimited(write(messageOf(frame))))
  if (random.chance(0.1)) parts.splice(random.between(0, parts.length), 0, random.pick(parts))
  return Buffer.concat(parts)
}

const messageOf = (frame: Field): Field[] => (frame as { value: Field[] }).value

function listsIn(messages: readonly Field[][]): readonly Field[][] {
  const inside = messages.flatMap((fields) =>
    fields.slice(0, 100).flatMap((one) => (!(one instanceof Uint8Array) && Array.isArray(one.value) ? [one.value] : []))
  )
  return inside.length === 0 ? messages : [...messages, ...listsIn(inside)]
}

function change(fields: Field[], random: Random, other: Uint8Array): void {
  const at = random.between(0, Math.max(0, fields.length - 1))
  const one = fields[at]
  if (one === undefined || one instanceof Uint8Array || random.chance(0.1)) {
    const theirs = (read(other, frameAt) ?? []).flatMap(messageOf)
    fields.splice(at, 0, random.pick(random.chance(0.5) || theirs.length === 0 ? ODD : theirs))
    return
  }
  const { field, value } = one
  switch (random.between(0, 8)) {
    case 0:
      fields.splice(at, 1)
      break
    case 1: {
      const times = random.chance(0.99) ? random.pick([1, 2, 17, 65]) : random.pick([513, 1_001, 5_001, 20_000])
      fields.splice(at, 0, ...Array.from({ length: times }, () => one))
      break
    }
    case 2:
      fields.reverse()
      break
    case 3:
      fields[at] = { field: random.pick([1, 2, 3, 4, 5, 6, 15, 16, 2 ** 29 - 1]), value }
      break
    case 4:
      fields[at] = { field, value: random.pick(NUMBERS) }
      break
    case 5:
      fields[at] = { field, value: new Uint8Array(random.pick([0, 1, 36, 4_096])) }
      break
    case 6: {
      let deep = write([one])
      for (let n = random.chance(0.95) ? 3 : 1_000; n > 0; n--) deep = write([{ field, value: deep }])
      fields[at] = deep
      break
    }
    case 7: {
      // A length that is not that of what follows.
      const bytes = write([one])
      const place = varint(field << 3).byteLength
      fields[at] = Buffer.concat([bytes.subarray(0, place), varint(random.pick(NUMBERS)), bytes.subarray(place + 1)])
      break
    }
    default:
      fields[at] = { field, value: typeof value === 'bigint' ? value + 1n : mutateBytes(bytesOf(value), random, new Uint8Array(8)) }
  }
}

const bytesOf = (value: Uint8Array | Field[]): Uint8Array => (value instanceof Uint8Array ? value : write(value))

function write(fields: readonly Field[]): Uint8Array {
  return Buffer.concat(
    fields.flatMap((one) => {
      if (one instanceof Uint8Array) return [one]
      const { field, value } = one
      const wire = typeof value === 'bigint' ? 0 : 2
      return [varint(BigInt(field) * 8n + BigInt(wire)), typeof value === 'bigint' ? varint(value) : delimited(bytesOf(value))]
    })
  )
}

/** Messages within each other that are looked into. */
const MAX_DEPTH = 8

type Taken = { readonly field: Field; readonly end: number } | undefined

/** All of it, one behind the other; undefined where the last one does not end with the bytes. */
function read(bytes: Uint8Array, take: (bytes: Uint8Array, at: number, depth: number) => Taken, depth = 0): Field[] | undefined {
  const fields: Field[] = []
  for (let at = 0; at < bytes.byteLength;) {
    const taken = take(bytes, at, depth)
    if (taken === undefined) return undefined
    fields.push(taken.field)
    at = taken.end
  }
  return fields
}

function frameAt(bytes: Uint8Array, at: number): Taken {
  const length = varintAt(bytes, at)
  if (length === undefined || length.end + Number(length.value) > bytes.byteLength) return undefined
  const end = length.end + Number(length.value)
  const fields = read(bytes.subarray(length.end, end), fieldAt)
  return fields === undefined ? undefined : { field: { field: 0, value: fields }, end }
}

function fieldAt(bytes: Uint8Array, at: number, depth: number): Taken {
  const tag = varintAt(bytes, at)
  if (tag === undefined) return undefined
  const [field, wire] = [Number(tag.value >> 3n), Number(tag.value & 7n)]
  const number = varintAt(bytes, tag.end)
  if (number === undefined || (wire !== 0 && wire !== 2)) return undefined
  if (wire === 0) return { field: { field, value: number.value }, end: number.end }
  const end = number.end + Number(number.value)
  if (end > bytes.byteLength) return undefined
  const value = bytes.slice(number.end, end)
  // What may be a message is taken for one, where it is the same when it is written again.
  const inside = value.byteLength < 2 || depth === MAX_DEPTH ? undefined : read(value, fieldAt, depth + 1)
  const isSame = inside !== undefined && Buffer.compare(write(inside), value) === 0
  return { field: { field, value: isSame ? inside : value }, end }
}

function varintAt(bytes: Uint8Array, at: number): { readonly value: bigint; readonly end: number } | undefined {
  let value = 0n
  for (let end = at; end < Math.min(bytes.byteLength, at + 10);) {
    const byte = bytes[end++] as number
    value |= BigInt(byte & 0x7f) << BigInt(7 * (end - at - 1))
    if (byte < 0x80) return { value, end }
  }
  return undefined
}
