import { expect, test } from 'vitest'
import { join } from 'node:path'
import { createFileBlockstore } from '../../src/content/blockstore.ts'
import { createGuards } from '../../src/content/guards.ts'
import { createKeeper } from '../../src/content/keeper.ts'
import { createSpace } from '../../src/content/space.ts'
import { systemClock } from '../../src/network/clock.ts'
import { openBlockIndex } from '../../src/storage/block-index.ts'
import { mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { leaf } from '../support/dags.ts'

test('a block gets its name after its row is durable, and cannot be freed meanwhile', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'pinsub-keeper-'))
  const real = openBlockIndex(join(dir, 'blocks.db'))
  const store = createFileBlockstore({ dir: join(dir, 'blocks'), durable: true })
  await store.start()
  const { cid, bytes } = await leaf('ordered')
  const guards = createGuards()
  const reached = Promise.withResolvers<string>()
  const gate = Promise.withResolvers<void>()
  const index: typeof real = {
    ...real,
    async expect(key, ...rest) {
      reached.resolve(key)
      await gate.promise
      return real.expect(key, ...rest)
    }
  }
  const space = createSpace({ dir }, { used: () => 0, makeRoom: async () => 0 })
  const keeper = createKeeper({ store, index, guards, space, clock: systemClock, fetch: async () => bytes, onStored: () => undefined })
  try {
    const controller = new AbortController()
    const keeping = keeper.keep(cid, index.begin('key', 'cid'), controller.signal)
    const key = await reached.promise
    // Time for a write that does not wait for its row.
    await store.put((await leaf('another')).cid, (await leaf('another')).bytes)
    await store.put((await leaf('third')).cid, (await leaf('third')).bytes)
    expect(await store.has(cid)).toBe(false)
    expect(guards.tryTake(key)).toBeUndefined()
    gate.resolve()
    await (
      await keeping
    ).referred
    expect(await store.has(cid)).toBe(true)
    guards.tryTake(key)?.()
  } finally {
    real.close()
    await rm(dir, { recursive: true, force: true })
  }
})
