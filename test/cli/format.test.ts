import { expect, test } from 'vitest'
import { ago, bytes, duration, shellWord, shortNode, table } from '../../src/cli/format.ts'

test('sizes and times as people read them', () => {
  expect([0, 999, 1_000, 18_400_000, 999_600, 1e12].map(bytes)).toEqual(['0 B', '999 B', '1.0 kB', '18.4 MB', '1.0 MB', '1.0 TB'])
  expect([3, 99, 100, 2_100, 119_999, 600_000].map(duration)).toEqual(['3 ms', '99 ms', '0.1 s', '2.1 s', '120.0 s', '10 min'])
  expect([-5, 12_000, 240_000, 10_800_000, 172_800_000].map(ago)).toEqual(['0 s ago', '12 s ago', '4 min ago', '3 h ago', '2 days ago'])
})

test('tables, ids and words for a shell', () => {
  expect(table([['a', 'bb'], ['ccc', 'd'], ['e']])).toEqual(['a    bb', 'ccc  d', 'e'])
  expect(shortNode('12D3KooWAwqPWrutnpZ8gcNPze9u8VfUzQpMG3EjwxTWTxz5Jwmc')).toBe('12D3KooWAwqP…Jwmc')
  expect(['plain', 'two words', "it's"].map(shellWord)).toEqual(['plain', "'two words'", String.raw`'it'\''s'`])
})
