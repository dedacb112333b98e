/** docs/SECURITY.md claims nothing that no test shows: each test that it names exists, under that title. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as limits from '../../src/protocol/limits.ts'
import { read, ROOT } from './support.ts'

const page = read('docs/SECURITY.md')
const named = [...page.matchAll(/`(test\/[^`]+\.ts)`((?:[:,] "[^"]+")*)/g)].map(([, file = '', titles = '']) => ({
  file,
  titles: [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title)
}))
/** Titles as a file has them, whatever quotes it needs. */
const titlesIn = (file: string): Set<string> =>
  new Set([...read(file).matchAll(/(["'`])((?:\\.|(?!\1).)*)\1/g)].map(([, , title = '']) => title.replace(/\\(.)/g, '$1')))

test('tests are found', () => {
  expect(named.length).toBeGreaterThan(30)
})

test.each(named)('$file', ({ file, titles }) => {
  expect(existsSync(join(ROOT, file)), file).toBe(true)
  const there = titlesIn(file)
  expect(titles.filter((title) => !there.has(title))).toEqual([])
})

describe('every kind of attacker', () => {
  const sections = page.split(/^### /m).slice(1)

  test.each(sections.map((section) => [section.split('\n')[0], section] as const))(
    '%s: something stops it, and a test shows that',
    (_, section) => {
      expect(section).toMatch(/`test\/[^`]+\.test\.ts`/)
    }
  )

  test('every limit that is named exists', () => {
    const names = [...page.matchAll(/\bMAX_[A-Z_]+/g)].map(([name]) => name)
    expect(names.filter((name) => !(name in limits))).toEqual([])
  })
})
