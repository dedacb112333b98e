/** The one encoding of a value: what any two implementations must agree on before they may disagree with the sender. */
import { InvalidMessageError } from './errors.ts'
import { MAX_NESTING } from './limits.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const BYTE_ORDER_MARK = '\uFEFF'

const MAJOR = { bytes: 2, text: 3, list: 4, map: 5, tag: 6, simple: 7 } as const
const CID_TAG = 42
const [FALSE, NULL] = [20, 22]

/** A list or map that is being read. */
interface Frame {
  readonly isMap: boolean
  /** Items, keys and values alike, still to come. */
  left: number
  /** The last key of a map. */
  key?: Uint8Array
}

/**
 * Passes bytes that are exactly one DAG-CBOR item in its canonical form: definite lengths, shortest heads, map keys that are
 * text, sorted (shorter first, then bytewise) and unique, valid UTF-8 that starts with no byte order mark, no tag but 42 on
 * bytes (a CID in its one form), no floats, no `undefined`, nothing nested deeper than {@link MAX_NESTING}. Throws an `encoding` fault for all else.
 * One pass, no recursion, nothing built. @see https://ipld.io/specs/codecs/dag-cbor/spec/#strictness
 */
export function requireCanonical(bytes: Uint8Array): void {
  const stack: Frame[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  let tagged = false

  const argument = (minor: number): number => {
    if (minor < 24) return minor
    const size = 2 ** (minor - 24)
    if (size > 8 || at + size > bytes.byteLength) fail('a broken head')
    const value =
      size === 1 ? view.getUint8(at) : size === 2 ? view.getUint16(at) : size === 4 ? view.getUint32(at) : Number(view.getBigUint64(at))
    if (value < (size === 1 ? 24 : 2 ** (size * 4))) fail('a length or integer that is not in its shortest form')
    at += size
    return value
  }

  const skip = (length: number): Uint8Array => {
    if (length > bytes.byteLength - at) fail('it ends too early')
    at += length
    return bytes.subarray(at - length, at)
  }

  do {
    if (at >= bytes.byteLength) fail('it ends too early')
    const head = bytes[at++] as number
    const major = head >> 5
    const frame = stack.at(-1)
    const isKey = frame?.isMap === true && frame.left % 2 === 0
    if (isKey && (major !== MAJOR.text || tagged)) fail('a key that is not text')
    if (tagged && major !== MAJOR.bytes) fail('a link that is not bytes')
    const value = argument(head & 31)
    switch (major) {
      case MAJOR.bytes: {
        const raw = skip(value)
        // Behind the byte that says "binary". Decoders of CIDs check all else, and take this for one of a bare multihash.
        if (tagged && raw[1] === 0) fail('a CID of version 0 that says so')
        break
      }
      case MAJOR.text: {
        const raw = skip(value)
        checkText(raw)
        if (isKey) {
          if (frame.key !== undefined && compareKeys(frame.key, raw) >= 0) fail('keys that are not sorted or not unique')
          frame.key = raw
        }
        break
      }
      case MAJOR.tag:
        if (value !== CID_TAG) fail(`tag ${value}`)
        break
      case MAJOR.simple:
        if ((head & 31) < FALSE || (head & 31) > NULL) fail('a float or an unknown simple value')
        break
    }
    tagged = major === MAJOR.tag
    if (tagged) continue
    if (frame !== undefined) frame.left--
    if (major === MAJOR.list || major === MAJOR.map) {
      if (value > bytes.byteLength - at) fail('it ends too early')
      if (stack.length === MAX_NESTING) fail(`nested deeper than ${MAX_NESTING}`)
      stack.push({ isMap: major === MAJOR.map, left: major === MAJOR.map ? value * 2 : value })
    }
    while (stack.at(-1)?.left === 0) stack.pop()
  } while (stack.length > 0 || tagged)
  if (at !== bytes.byteLength) fail('more than one item')
}

function checkText(raw: Uint8Array): void {
  if (raw.every((byte) => byte < 0x80)) return
  let text: string
  try {
    text = utf8.decode(raw)
  } catch {
    fail('text that is not UTF-8')
  }
  if (text.startsWith(BYTE_ORDER_MARK)) fail('text that starts with a byte order mark')
}

function compareKeys(a: Uint8Array, b: Uint8Array): number {
  if (a.byteLength !== b.byteLength) return a.byteLength - b.byteLength
  const at = a.findIndex((byte, i) => byte !== b[i])
  return at < 0 ? 0 : (a[at] as number) - (b[at] as number)
}

function fail(what: string): never {
  throw new InvalidMessageError('encoding', `not canonical DAG-CBOR: ${what}`)
}
