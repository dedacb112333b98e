import { multiaddr } from '@multiformats/multiaddr'

/** A binary multiaddr as text; nothing for one that this version cannot read or that would need DNS. */
export function textAddress(bytes: Uint8Array): string[] {
  try {
    const text = multiaddr(bytes).toString()
    return text.startsWith('/dns') ? [] : [text]
  } catch {
    return []
  }
}
