/** Fields of the JSON lines that are exported, and their strict reading: each reader returns the value or throws a fault that names it. */
import { InvalidMessageError } from './errors.ts'
import * as wire from './wire.ts'

/** The last time that can be written as RFC 3339, milliseconds since the epoch. @see https://tc39.es/ecma262/#sec-time-values */
const MAX_DATE_MS = 8.64e15

/** A time (milliseconds since the epoch) as RFC 3339 in UTC with milliseconds; the bare number for one that no calendar has. */
export function isoTime(ms: number): string {
  return ms <= MAX_DATE_MS ? new Date(ms).toISOString() : String(ms)
}

/** A time since 1970, written as {@link isoTime} does; milliseconds since the epoch. */
export function readTime(value: unknown, what: string): number {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN
  // Date.parse takes other forms too, and 31 February.
  return ms >= 0 && isoTime(ms) === value ? ms : wire.malformed(what)
}

/** The JSON of a line; an `encoding` fault for anything else, with the text as it stood. */
export function readJson(bytes: Uint8Array): { readonly value: unknown; readonly text: string } {
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
    return { value: JSON.parse(text) as unknown, text }
  } catch {
    throw new InvalidMessageError('encoding', 'not JSON')
  }
}

/** 32 bytes in lower-case hex: a SHA-256, the id of a command. */
export function readHash(value: unknown, what: string): string {
  return typeof value === 'string' && /^[0-9a-f]{64}$/.test(value) ? value : wire.malformed(what)
}

/** Bytes in base64. */
export function toBase64({ buffer, byteOffset, byteLength }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64')
}

/** At most `max` bytes in base64; Buffer takes anything for that: only what it writes itself is. */
export function readBase64(value: unknown, what: string, max: number): Uint8Array {
  const text = wire.text(value, what, 4 * Math.ceil(max / 3))
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw new InvalidMessageError('encoding', `${what} is not base64`)
  return new Uint8Array(bytes)
}
