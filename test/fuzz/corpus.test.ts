import { readFileSync } from 'node:fs'
import { afterAll, describe, expect, test } from 'vitest'
import { readCorpus } from './corpus.ts'
import { runOnce } from './fuzzer.ts'
import { TARGETS } from './targets.ts'

afterAll(async () => {
  for (const target of TARGETS) await target.stop?.()
})

describe('what once failed', () => {
  const corpus = readCorpus()

  test('is of targets that there are', () => {
    expect(corpus.length).toBeGreaterThan(5)
    expect(corpus.map(({ target }) => target).filter((name) => !TARGETS.some((target) => target.name === name))).toEqual([])
  })

  test.each(corpus.map(({ file, target }) => [file.slice(file.indexOf('/corpus/') + 1), target, file]))(
    '%s is read or refused',
    async (_, name, file) => {
      const target = TARGETS.find((each) => each.name === name)
      if (target === undefined) throw new Error(`no target ${name}`)
      expect((await runOnce(target, new Uint8Array(readFileSync(file)))).failure).toBeUndefined()
    }
  )
})

describe('good inputs', () => {
  test.each(TARGETS.map((target) => [target.name, target] as const))('%s reads one of its own, at least', async (_, target) => {
    const words = await Promise.all(target.seeds.map(async (seed) => runOnce(target, seed)))
    expect(words.flatMap(({ failure }) => failure ?? [])).toEqual([])
    expect(words.some(({ word }) => word.startsWith('read '))).toBe(true)
  })
})
