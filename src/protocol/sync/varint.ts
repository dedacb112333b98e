/** Variable-length integers as Negentropy writes them: base 128, most significant digit first, as few bytes as possible. */
import { InvalidMessageError } from '../errors.ts'

/** The largest that is read or written. An offset is written with one added, so this is one above the largest time. */
const MAX_VARINT = 2 ** 53

const BASE = 128
const MAX_DIGITS_BEFORE = MAX_VARINT / BASE

/** The bytes of an integer between 0 and {@link MAX_VARINT}: 8 at most. */
export function encodeVarint(value: number): number[] {
  const bytes = [value % BASE]
  for (let rest = Math.floor(value / BASE); rest > 0; rest = Math.floor(rest / BASE)) bytes.unshift(BASE + (rest % BASE))
  return bytes
}

/**
 * Reads the integer that starts at `at`, and says where it ends. Throws an `encoding` fault for one that ends too early, is above
 * {@link MAX_VARINT} or has more bytes than it needs.
 */
export function decodeVarint(bytes: Uint8Array, at: number): { readonly value: number; readonly end: number } {
  let value = 0
  for (let end = at; end < bytes.byteLength; end++) {
    const byte = bytes[end] as number
    const digit = byte % BASE
    // No shifting: it would cut times to 32 bits.
    if (value > MAX_DIGITS_BEFORE || (value === MAX_DIGITS_BEFORE && digit > 0)) break
    if (byte === BASE && end === at) throw new InvalidMessageError('encoding', 'an integer is longer than it needs to be')
    value = value * BASE + digit
    if (byte < BASE) return { value, end: end + 1 }
  }
  throw new InvalidMessageError('encoding', 'an integer is too large or ends too early')
}
