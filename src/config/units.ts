/** Sizes and durations as people write them. */
import { bytesIn } from '../protocol/size.ts'
import { ConfigError } from './errors.ts'

/** What {@link bytesIn} reads. Throws {@link ConfigError} for anything else. */
export function parseSize(text: string): number {
  const bytes = bytesIn(text)
  if (bytes === undefined) throw new ConfigError(`"${text}" is not a size: write it like 38GB or 500MiB`)
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
