/** Where a connection comes from, as far as one owner may have it. */
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'

/** The start of an IPv4 address that is written as IPv6, hexadecimal: so a socket for both shows it. */
const MAPPED = '00000000000000000000ffff'

/** The first IP address in a multiaddr: IPv4 as text, in IPv6 dress too, and IPv6 as 32 hexadecimal digits; undefined where there is none. */
export function ipIn(address: Multiaddr): string | undefined {
  const ip = address.getComponents().find(({ name }) => name === 'ip4' || name === 'ip6')
  if (ip?.value === undefined || ip.name === 'ip4') return ip?.value
  const hex = Buffer.from(multiaddr(`/ip6/${ip.value}`).bytes.subarray(1)).toString('hex')
  return hex.startsWith(MAPPED) ? Buffer.from(hex.slice(MAPPED.length), 'hex').join('.') : hex
}

/** Names it: an IPv4 address, or the 64 bits of an IPv6 network, of which a single machine has all addresses; empty where the address has no IP. */
export function originOf(address: Multiaddr): string {
  // An IPv4 address has 15 characters at most.
  return ipIn(address)?.slice(0, 16) ?? ''
}
