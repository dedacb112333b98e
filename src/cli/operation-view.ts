/** The operations of a command, for people and for programs. */
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { toString } from 'uint8arrays/to-string'
import type { Operation } from '../protocol/command.ts'
import { isoTime } from '../protocol/line-fields.ts'
import type { Hlc } from '../protocol/order.ts'

/** An operation as plain data: CIDs, addresses and times as text, under the names that PROTOCOL.md gives them. */
export function plainOperation(operation: Operation): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(operation).map(([name, value]) => [name, plain(name, value)]))
}

/** An operation as cells of a table: what, which, and the rest of it in words. */
export function tellOperation(operation: Operation): string[] {
  const { op, cid, from, to, kind, ...rest } = plainOperation(operation) as Readonly<Record<string, string | undefined>>
  const which = from === undefined ? (cid ?? '') : `${from} -> ${to}`
  const words = Object.entries<unknown>(rest).map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return [kind ?? op ?? '', which, words.join(', ')]
}

function plain(name: string, value: unknown): unknown {
  if (value instanceof CID) return String(value)
  if (name === 'expires') return isoTime(value as number)
  if (name === 'at') return isoTime((value as Hlc).ms)
  if (name === 'origins') return (value as readonly Uint8Array[]).map(address)
  return value
}

/** Nobody has looked at the bytes of an origin before it is dialled. */
function address(bytes: Uint8Array): string {
  try {
    return multiaddr(bytes).toString()
  } catch {
    return toString(bytes, 'hex')
  }
}
