/** Changes that know nothing of a format but that it may have lengths in it. */
import type { Random } from '../support/random.ts'

/** Bytes at which something often changes. */
const EDGES = [0, 1, 0x0a, 0x0d, 0x20, 0x22, 0x7f, 0x80, 0x81, 0xa1, 0xd8, 0xf6, 0xfb, 0xfe, 0xff]

/** Numbers at which lengths and counts break. */
const COUNTS = [0, 1, 2, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_fffe, 0xffff_ffff]

type Change = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array

const at = (bytes: Uint8Array, random: Random): number => random.between(0, Math.max(0, bytes.byteLength - 1))

/** Sometimes one byte, sometimes many. */
const span = (random: Random): number => (random.chance(0.7) ? random.between(1, 4) : random.between(1, 64))

const CHANGES: readonly Change[] = [
  function flipBit(bytes, random) {
    const place = at(bytes, random)
    bytes[place] = (bytes[place] ?? 0) ^ (1 << random.between(0, 7))
    return bytes
  },
  function setByte(bytes, random) {
    bytes[at(bytes, random)] = random.chance(0.5) ? random.pick(EDGES) : random.between(0, 255)
    return bytes
  },
  function count(bytes, random) {
    bytes[at(bytes, random)]! += random.pick([-1, 1, 2, 16, 32])
    return bytes
  },
  function remove(bytes, random) {
    const place = at(bytes, random)
    return Buffer.concat([bytes.subarray(0, place), bytes.subarray(place + span(random))])
  },
  function insert(bytes, random) {
    const place = random.between(0, bytes.byteLength)
    const put = Uint8Array.from({ length: span(random) }, () => random.between(0, 255))
    return Buffer.concat([bytes.subarray(0, place), put, bytes.subarray(place)])
  },
  function repeat(bytes, random) {
    const place = at(bytes, random)
    const part = bytes.subarray(place, place + span(random))
    const times = random.chance(0.98) ? random.between(1, 8) : random.between(1, 2_000)
    return Buffer.concat([bytes.subarray(0, place), ...Array.from({ length: times }, () => part), bytes.subarray(place)])
  },
  function truncate(bytes, random) {
    return bytes.subarray(0, random.between(0, bytes.byteLength))
  },
  function splice(bytes, random, other) {
    const [place, from] = [random.between(0, bytes.byteLength), random.between(0, other.byteLength)]
    const part = other.subarray(from, from + random.between(1, 256))
    return Buffer.concat([bytes.subarray(0, place), part, bytes.subarray(place + (random.chance(0.5) ? part.byteLength : 0))])
  },
  function cross(bytes, random, other) {
    return Buffer.concat([bytes.subarray(0, random.between(0, bytes.byteLength)), other.subarray(random.between(0, other.byteLength))])
  },
  function editLength(bytes, random) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const places: number[] = []
    // What looks like a length, as it would end within the bytes.
    for (let i = 0; i + 4 <= bytes.byteLength; i++) {
      const value = view.getUint32(i)
      if (value > 0 && value <= bytes.byteLength - i - 4) places.push(i)
    }
    if (places.length === 0) return bytes
    const place = random.pick(places)
    view.setUint32(place, random.chance(0.5) ? random.pick(COUNTS) : view.getUint32(place) + random.between(-4, 4))
    return bytes
  },
  function noise(_bytes, random) {
    return Uint8Array.from({ length: random.between(0, 200) }, () => random.between(0, 255))
  }
]

/** One change to a copy; `other` is what it may take parts of. */
export function mutateBytes(bytes: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  // Noise seldom gets anywhere.
  const change = random.pick(random.chance(0.02) ? CHANGES : CHANGES.slice(0, -1))
  return change(bytes.slice(), random, other)
}
