/** The data types of the SSH protocol. @see https://www.rfc-editor.org/rfc/rfc4251#section-5 */
import { concat } from 'uint8arrays/concat'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'

/** `string`: a 32-bit big-endian length, then the bytes; text is UTF-8. */
export function sshString(value: Uint8Array | string): Uint8Array {
  const bytes = typeof value === 'string' ? fromString(value) : value
  return concat([sshUint32(bytes.byteLength), bytes])
}

/** `uint32`, big-endian. */
export function sshUint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value)
  return bytes
}

/** Reads SSH data types one behind the other; every method throws `RangeError` past the end. */
export interface SshReader {
  uint32(): number
  string(): Uint8Array
  text(): string
  /** The next `length` raw bytes. */
  raw(length: number): Uint8Array
  /** How many bytes are left. */
  left(): number
}

/** A reader over `bytes`. */
export function sshReader(bytes: Uint8Array): SshReader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const raw = (length: number): Uint8Array => {
    if (length > bytes.byteLength - at) throw new RangeError('SSH data ends too early')
    at += length
    return bytes.subarray(at - length, at)
  }
  const uint32 = (): number => {
    const value = view.getUint32(at)
    at += 4
    return value
  }
  const string = (): Uint8Array => raw(uint32())
  return { uint32, string, raw, text: () => toString(string()), left: () => bytes.byteLength - at }
}
