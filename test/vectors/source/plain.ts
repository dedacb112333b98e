import { CID } from 'multiformats/cid'
import { toString } from 'uint8arrays/to-string'

/** A message as JSON: CIDs as spelled, bytes in hex. */
export function plain(value: unknown): unknown {
  if (value instanceof CID) return value.toString()
  if (value instanceof Uint8Array) return toString(value, 'hex')
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, plain(item)])
  )
}
