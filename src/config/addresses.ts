/** Whether text can be an address at all, so that the message names the flag or file; what can be dialled, the network decides. */
import { isIP } from 'node:net'
import { multiaddr } from '@multiformats/multiaddr'
import { ConfigError } from './errors.ts'

/** Throws {@link ConfigError} for text that is not a multiaddr. */
export function checkMultiaddr(text: string): void {
  if (!isMultiaddr(text)) throw new ConfigError(`"${text}" is not a multiaddr: write it like /ip4/203.0.113.1/tcp/4101`)
}

/** Throws {@link ConfigError} for text that is neither a multiaddr nor `IP[:PORT]` (an IPv6 address with a port in brackets). */
export function checkBootstrap(text: string): void {
  if (text.startsWith('/')) return checkMultiaddr(text)
  const [, bracketed, plain = text, port = '4101'] = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? []
  const good = bracketed === undefined ? isIP(plain) !== 0 : isIP(bracketed) === 6
  if (good && Number(port) > 0 && Number(port) < 65_536) return
  throw new ConfigError(`"${text}" is not an address: give an IP, IP:PORT or a multiaddr (names are not looked up)`)
}

function isMultiaddr(text: string): boolean {
  try {
    return text.startsWith('/') && multiaddr(text).getComponents().length > 0
  } catch {
    return false
  }
}
