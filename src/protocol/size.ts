/** Sizes as people write them. */

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40
}

/** `38GB` (10^9), `500MiB` (2^20), `1.5TB`, or bare bytes, in any case; whole bytes, or undefined for anything else. */
export function bytesIn(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(text.trim().toLowerCase())
  const unit = UNITS[match?.[2] ?? 'none']
  const bytes = Math.floor(Number(match?.[1]) * (unit ?? Number.NaN))
  return Number.isSafeInteger(bytes) ? bytes : undefined
}
