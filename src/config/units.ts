/** Sizes and durations as people write them. */
import { ConfigError } from './errors.ts'

const SIZES: Readonly<Record<string, number>> = {
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

/** `38GB` (10^9), `500MiB` (2^20), `1.5TB`, or bare bytes; whole bytes. Throws {@link ConfigError}. */
export function parseSize(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([a-z]*)$/.exec(text.trim().toLowerCase())
  const unit = SIZES[match?.[2] ?? 'none']
  const bytes = Math.floor(Number(match?.[1]) * (unit ?? Number.NaN))
  if (!Number.isSafeInteger(bytes)) throw new ConfigError(`"${text}" is not a size: write it like 38GB or 500MiB`)
  return bytes
}

const DURATIONS: Readonly<Record<string, number>> = { ms: 1, s: 1e3, m: 60e3, h: 3_600e3, d: 86_400e3 }

/** `60s`, `5m`, `1h`, `1m30s`, `500ms`, `2d` in milliseconds; a number needs its unit. Throws {@link ConfigError}. */
export function parseDuration(text: string): number {
  const bare = text.trim().toLowerCase()
  if (!/^(\d+(\.\d+)?(ms|[smhd]))+$/.test(bare)) throw new ConfigError(`"${text}" is not a duration: write it like 60s, 5m or 1h`)
  let total = 0
  for (const [, value, unit] of bare.matchAll(/(\d+(?:\.\d+)?)(ms|[smhd])/g)) total += Number(value) * (DURATIONS[unit as string] as number)
  if (!Number.isSafeInteger(Math.round(total))) throw new ConfigError(`"${text}" is too long a duration`)
  return Math.round(total)
}
