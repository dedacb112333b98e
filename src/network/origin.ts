/** Where a connection comes from, as far as one owner may have it. */
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'

/** The start of an IPv4 address that is written as IPv6, hexadecimal: so a socket for both shows it. */
const MAPPED = '00000000000000000000ffff'

/** Names it: an IPv4 address, or the 64 bits of an IPv6 network, of which a single machine has all addresses; empty where the address has no IP. */
export function originOf(address: Multiaddr): string {
  const ip = address.getComponents().find(({ name }) => name === 'ip4' || name === 'ip6')
  if (ip?.value === undefined) return ''
  if (ip.name === 'ip4') return ip.value
  const hex = Buffer.from(multiaddr(`/ip6/${ip.value}`).bytes.subarray(1)).toString('hex')
  return hex.startsWith(MAPPED) ? Buffer.from(hex.slice(MAPPED.length), 'hex').join('.') : hex.slice(0, 16)
}
