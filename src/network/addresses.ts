/** Addresses as people write them, and as errors show them. No name is ever looked up. */
import { isIP } from 'node:net'
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import { NetworkError } from './errors.ts'

/** The TCP port on which nodes listen unless told otherwise. */
const DEFAULT_PORT = 4101

const HOW = 'write an IP (203.0.113.1, 203.0.113.1:4101, [2001:db8::1]:4101) or a multiaddr (/ip4/203.0.113.1/tcp/4101/p2p/12D3KooW…)'

/**
 * Reads `IP`, `IP:PORT`, `[IPv6]:PORT` or a multiaddr and returns the text of the multiaddr; the port is 4101 unless given.
 * Throws {@link NetworkError} `address`, also for names: nothing here asks a name server.
 */
export function parseBootstrap(text: string): string {
  const trimmed = text.trim()
  if (trimmed.startsWith('/')) return parseMultiaddr(trimmed).toString()
  if (isIP(trimmed) === 4) return `/ip4/${trimmed}/tcp/${DEFAULT_PORT}`
  if (isIP(trimmed) === 6) return ip6(trimmed, DEFAULT_PORT)
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]*))(?::(\d{1,5}))?$/.exec(trimmed) ?? []
  const host = bracketed ?? plain
  if (host === undefined || host === '') throw new NetworkError('address', `"${text}" is not an address: ${HOW}`)
  const number = port === undefined ? DEFAULT_PORT : Number(port)
  if (number < 1 || number > 65_535) throw new NetworkError('address', `"${text}" has no port between 1 and 65535`)
  if (bracketed === undefined && isIP(host) === 4) return `/ip4/${host}/tcp/${number}`
  if (bracketed !== undefined && isIP(host) === 6) return ip6(host, number)
  if (/[a-z]/i.test(host)) throw new NetworkError('address', `"${text}" is a name, and pinsub looks no names up: ${HOW}`)
  throw new NetworkError('address', `"${text}" is not an address: ${HOW}`)
}

/**
 * Reads a multiaddr that we can dial: TCP over IPv4 or IPv6, with or without /p2p. Throws {@link NetworkError} `address`.
 */
export function parseMultiaddr(text: string): Multiaddr {
  let address: Multiaddr
  try {
    address = multiaddr(text)
  } catch (err) {
    throw new NetworkError('address', `"${text}" is not a multiaddr: ${HOW}`, { cause: err })
  }
  const names = address.getComponents().map(({ name }) => name)
  if (names.some((name) => name.startsWith('dns'))) {
    throw new NetworkError('address', `"${text}" needs a name server, and pinsub asks none: ${HOW}`)
  }
  const [ip, tcp, ...rest] = names.filter((name) => name !== 'ip6zone')
  if ((ip !== 'ip4' && ip !== 'ip6') || tcp !== 'tcp' || rest.some((name) => name !== 'p2p') || rest.length > 1) {
    throw new NetworkError('address', `"${text}" is not TCP over IP: ${HOW}`)
  }
  return address
}

/** The peer id in a multiaddr, text; undefined where it has none. */
export function peerIn(address: Multiaddr): string | undefined {
  return address.getComponents().find(({ name }) => name === 'p2p')?.value
}

/** `203.0.113.1:4101` of a multiaddr, for messages; the multiaddr itself where it has no host and port. */
export function hostPort(address: Multiaddr | string): string {
  const parts = multiaddr(String(address)).getComponents()
  const ip = parts.find(({ name }) => name === 'ip4' || name === 'ip6')
  const port = parts.find(({ name }) => name === 'tcp')?.value
  if (ip?.value === undefined || port === undefined) return String(address)
  return ip.name === 'ip6' ? `[${ip.value}]:${port}` : `${ip.value}:${port}`
}

function ip6(host: string, port: number): string {
  const [address, zone] = host.split('%')
  return `${zone === undefined ? '' : `/ip6zone/${zone}`}/ip6/${address}/tcp/${port}`
}
