/** Strict reading of decoded DAG-CBOR: each reader returns the value or throws a `shape` fault that names it. */
import * as dagCbor from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'
import { requireCanonical } from './canonical.ts'
import { isSoundCid } from './cid.ts'
import { InvalidMessageError } from './errors.ts'
import { MAX_NAME_LABEL } from './limits.ts'
import { isAuthor, type Author } from './ssh-key.ts'

const utf8 = new TextEncoder()

/** A decoded DAG-CBOR map. */
export type Fields = Readonly<Record<string, unknown>>

/** Encodes a value as DAG-CBOR (canonical). @see https://ipld.io/specs/codecs/dag-cbor/spec/ */
export function encode(value: unknown): Uint8Array<ArrayBuffer> {
  return new Uint8Array(dagCbor.encode(value))
}

/** Decodes DAG-CBOR; throws an `encoding` fault for anything that is not exactly one canonical item. */
export function decode(bytes: Uint8Array): unknown {
  requireCanonical(bytes)
  try {
    return dagCbor.decode(bytes)
  } catch (err) {
    throw new InvalidMessageError('encoding', `not DAG-CBOR: ${err instanceof Error ? err.message : String(err)}`)
  }
}

/** Throws a `shape` fault that names `what`. */
export function malformed(what: string): never {
  throw new InvalidMessageError('shape', `malformed ${what}`)
}

/** A map. */
export function fields(value: unknown, what: string): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array || value instanceof CID) {
    malformed(what)
  }
  return value as Fields
}

/** A list of at most `max` items. */
export function list(value: unknown, what: string, max: number): readonly unknown[] {
  if (!Array.isArray(value) || value.length > max) malformed(what)
  return value
}

/** An integer between 0 and `max`. */
export function uint(value: unknown, what: string, max: number = Number.MAX_SAFE_INTEGER): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > max) malformed(what)
  return value
}

/** Text of at most `max` bytes of UTF-8. */
export function text(value: unknown, what: string, max: number): string {
  if (typeof value !== 'string' || value.length > max || utf8.encode(value).byteLength > max) malformed(what)
  return value
}

/** Bytes: exactly `length` long where it is given, else at most `max`. */
export function bytes(value: unknown, what: string, size: { length: number } | { max: number }): Uint8Array {
  if (!(value instanceof Uint8Array)) malformed(what)
  if ('length' in size ? value.byteLength !== size.length : value.byteLength > size.max) malformed(what)
  return value
}

/** The fingerprint of a key. */
export function author(value: unknown, what: string): Author {
  return isAuthor(value) ? value : malformed(what)
}

/** A CID link. */
export function cid(value: unknown, what: string): CID {
  // Not CID.asCID: it also takes a map that only looks like one.
  if (!(value instanceof CID) || !isSoundCid(value)) malformed(what)
  return value
}

/** A map from text to text, `max` entries and `maxBytes` of UTF-8 at most. */
export function textMap(value: unknown, what: string, max: number, maxBytes: number): Readonly<Record<string, string>> {
  const map = fields(value, what)
  const entries = Object.entries(map)
  if (entries.length > max) malformed(what)
  let size = 0
  for (const [key, item] of entries) size += utf8.encode(key + text(item, what, maxBytes)).byteLength
  if (size > maxBytes) malformed(what)
  return map as Readonly<Record<string, string>>
}

const LABEL = /^[A-Za-z0-9][A-Za-z0-9._-]*$/

/** Whether `value` may name a network or a pinset: letters, digits, `.`, `_`, `-`, at most 64, not starting with a sign. */
export function isLabel(value: string): boolean {
  return value.length <= MAX_NAME_LABEL && LABEL.test(value)
}

/** The name of a network or a pinset. */
export function label(value: unknown, what: string): string {
  if (typeof value !== 'string' || !isLabel(value)) malformed(what)
  return value
}
