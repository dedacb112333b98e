import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { openBlockIndex } from '../../src/storage/block-index.ts'

let dir: string
let file: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinsub-index-'))
  file = join(dir, 'blocks.db')
})
afterEach(() => rm(dir, { recursive: true, force: true }))

test('a file of a newer version is refused by name', () => {
  openBlockIndex(file).close()
  const db = new DatabaseSync(file)
  db.exec('PRAGMA user_version = 99')
  db.close()
  expect(() => openBlockIndex(file)).toThrow(`${file} was written by a newer pinsub`)
})

test('what was committed is there after a restart; what was not finished is found', async () => {
  const index = openBlockIndex(file)
  const root = index.begin('key', 'cid')
  await index.expect('b1', 10, 1_000)
  expect(await index.refer(root, 'b1', 0x55, 10)).toEqual({ blocks: 1, bytes: 10 })
  expect(await index.refer(root, 'b1', 0x70, 10)).toEqual({ blocks: 1, bytes: 10 })
  expect(await index.refer(root, 'b2', 0x55, 5)).toEqual({ blocks: 2, bytes: 15 })
  await index.finish(root)
  const half = index.begin('other', 'half')
  await index.refer(half, 'b3', 0x55, 7)
  index.close()

  const again = openBlockIndex(file)
  expect(again.pin('key')).toMatchObject({ cid: 'cid', blocks: 2, bytes: 15 })
  expect(again.pin('other')).toBeUndefined()
  expect(again.unfinished()).toEqual([half])
  expect(again.usage()).toEqual({ bytes: 22, pins: 1 })
  expect(again.begin('next', 'next')).toBeGreaterThan(half)
  again.close()
})

test('a dropped root lets go of what nothing else holds, in the order of the drops', async () => {
  const index = openBlockIndex(file)
  const [a, b] = [index.begin('a', 'a'), index.begin('b', 'b')]
  for (let i = 0; i < 2_500; i++) void index.refer(a, `only-${i}`, 0x55, 1)
  await Promise.all([index.refer(a, 'shared', 0x55, 1), index.refer(b, 'shared', 0x55, 1)])
  await Promise.all([index.finish(a), index.finish(b)])
  const dropped = index.drop(a, 500)
  expect(index.pin('a')).toBeUndefined()
  await dropped
  expect(index.free(499, 10)).toEqual([])
  expect(index.free(500, 5_000)).toHaveLength(2_500)
  await index.drop(b, 400)
  expect(index.free(450, 10).map(({ key }) => key)).toEqual(['shared'])
  expect(index.usage().pins).toBe(0)
  index.close()
})

test('a block that is held again is not forgotten', async () => {
  const index = openBlockIndex(file)
  await index.expect('block', 3, 100)
  const [free] = index.free(100, 1)
  const root = index.begin('key', 'cid')
  const held = index.refer(root, 'block', 0x55, 3)
  await index.forget([free?.id ?? 0])
  await held
  expect(index.knows('block')).toBe(true)
  expect(index.free(Number.MAX_SAFE_INTEGER, 1)).toEqual([])
  index.close()
})

test('a write that fails undoes what was committed with it, and no root of it becomes a pin', async () => {
  const index = openBlockIndex(file)
  const root = index.begin('key', 'cid')
  const good = index.refer(root, 'good', 0x55, 1)
  const bad = index.refer(root, 'bad', 0x55, 1.5)
  await expect(Promise.all([good, bad])).rejects.toThrow()
  await expect(good).rejects.toThrow()
  await expect(index.finish(root)).rejects.toThrow('an earlier write of this pin failed')
  expect(index.pin('key')).toBeUndefined()
  expect(index.usage()).toEqual({ bytes: 0, pins: 0 })
  await index.drop(root, 0)
  index.close()
})

test('the journal keeps the bytes of a block until it is settled or forgotten', async () => {
  const index = openBlockIndex(file)
  await index.expect('a', 1, 5, Uint8Array.of(1))
  await index.expect('b', 1, 5, Uint8Array.of(2))
  expect(index.journaled(0, 10).map(({ key, content }) => [key, ...content])).toEqual([
    ['a', 1],
    ['b', 2]
  ])
  await index.settle([index.lastJournaled()])
  await index.forget(index.free(5, 10).map(({ id }) => id))
  expect(index.journaled(0, 10)).toEqual([])
  expect(index.lastJournaled()).toBe(0)
  index.close()
})
