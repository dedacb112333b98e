import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { randomNetworkName } from '../../src/config/network-name.ts'
import { parseDuration, parseSize } from '../../src/config/units.ts'
import { isLabel } from '../../src/protocol/wire.ts'

test.each([
  ['0', 0],
  ['1024', 1024],
  ['10B', 10],
  ['38GB', 38_000_000_000],
  ['500MiB', 524_288_000],
  ['1.5 TB', 1_500_000_000_000],
  ['2kib', 2_048]
])('size %s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes)
})

test.each(['', 'GB', '-1', '1e3', '10XB', '1,5GB', '9999999TiB', '5 G B', '0x10'])('%j is not a size', (text) => {
  expect(() => parseSize(text)).toThrow(`"${text}"`)
})

test.each([
  ['60s', 60_000],
  ['5m', 300_000],
  ['1h', 3_600_000],
  ['500ms', 500],
  ['1m30s', 90_000],
  ['1.5h', 5_400_000],
  ['2D', 172_800_000]
])('duration %s', (text, ms) => {
  expect(parseDuration(text)).toBe(ms)
})

test.each(['', '60', 's', '-1s', '1 m', '1y', '1s1', '99999999999999999d'])('%j is not a duration', (text) => {
  expect(() => parseDuration(text)).toThrow(`"${text}"`)
})

test('a random network name is a valid one, and any of 4,096 pairs of words', () => {
  const names = new Set<string>()
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
      const name = randomNetworkName(() => bytes)
      expect(name).toMatch(/^[a-z]+-[a-z]+-[0-9a-f]{7}$/)
      expect(isLabel(name)).toBe(true)
    })
  )
  for (let a = 0; a < 64; a++) for (let b = 0; b < 64; b++) names.add(randomNetworkName(() => Uint8Array.of(a, b, 0, 0, 0, 0)))
  expect(names.size).toBe(4_096)
  expect(randomNetworkName((length) => new Uint8Array(randomBytes(length)))).not.toBe(
    randomNetworkName((length) => new Uint8Array(randomBytes(length)))
  )
})
