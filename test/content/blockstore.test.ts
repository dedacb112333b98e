import { mkdtempSync } from 'node:fs'
import { readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { identity } from 'multiformats/hashes/identity'
import { sha512 } from 'multiformats/hashes/sha2'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createFileBlockstore } from '../../src/content/blockstore.ts'
import { blockKey } from '../../src/content/multihash.ts'
import { blockFile } from '../support/block-file.ts'
import { leaf } from '../support/dags.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinsub-blocks-'))
})
afterEach(() => rm(dir, { recursive: true, force: true }))

const filesIn = async () => (await readdir(dir, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile())

test('a block is a file named by its multihash, whatever the CID around it', async () => {
  const store = createFileBlockstore({ dir, durable: true })
  await store.start()
  const { cid, bytes } = await leaf('kept')
  await store.put(cid, bytes)
  const [file, ...others] = await filesIn()
  expect(others).toEqual([])
  expect(file?.name).toBe(blockKey(cid.multihash))
  expect(file?.parentPath).toBe(join(dir, blockKey(cid.multihash).slice(-3, -1)))
  const other = CID.createV1(0x70, cid.multihash)
  expect(await store.has(other)).toBe(true)
  for await (const piece of store.get(other)) expect(Buffer.from(piece).equals(bytes)).toBe(true)
})

test('bytes that do not have the hash are refused, and nothing is left', async () => {
  const store = createFileBlockstore({ dir, durable: true })
  await store.start()
  const { cid } = await leaf('true')
  await expect(store.put(cid, new TextEncoder().encode('false'))).rejects.toMatchObject({ code: 'invalid' })
  expect(await filesIn()).toEqual([])
})

test('sha2-512 is known, identity needs no file, others are refused by name', async () => {
  const store = createFileBlockstore({ dir, durable: true })
  await store.start()
  const bytes = new TextEncoder().encode('bytes')
  await store.put(CID.createV1(raw.code, await sha512.digest(bytes)), bytes)
  expect(await filesIn()).toHaveLength(1)
  const inline = CID.createV1(raw.code, identity.digest(bytes))
  expect(await store.has(inline)).toBe(true)
  expect(await store.read(inline)).toEqual(bytes)
  expect(await filesIn()).toHaveLength(1)
  const odd = CID.createV1(raw.code, {
    code: 0x1e,
    digest: new Uint8Array(32),
    size: 32,
    bytes: Uint8Array.from([0x1e, 32, ...new Uint8Array(32)])
  })
  await expect(store.put(odd, bytes)).rejects.toThrow('0x1e')
})

test('what a crash left without a name is removed at the next start', async () => {
  const store = createFileBlockstore({ dir, durable: true })
  await store.start()
  const { cid, bytes } = await leaf('half')
  await store.stage(cid, bytes, { sync: true })
  await writeFile(join(dir, 'tmp', 'older'), 'x')
  expect(await filesIn()).toHaveLength(2)
  await createFileBlockstore({ dir, durable: true }).start()
  expect(await filesIn()).toEqual([])
  expect(await store.has(cid)).toBe(false)
})

test('a block that is not here is a not-found', async () => {
  const store = createFileBlockstore({ dir, durable: true })
  await store.start()
  const { cid } = await leaf('absent')
  await expect(store.get(cid).next()).rejects.toMatchObject({ name: 'ContentError', code: 'not-found' })
  await store.remove([blockKey(cid.multihash)])
})

test.runIf(process.platform === 'linux')('a block on a bad spot of the disk counts as gone, and can be stored anew', async () => {
  const store = createFileBlockstore({ dir, durable: true })
  await store.start()
  const { cid, bytes } = await leaf('on a bad spot')
  const file = blockFile(dir, cid)
  // Reading there gives EIO, as a disk does.
  await symlink('/proc/self/mem', file)
  expect(await store.read(cid)).toBeUndefined()
  const staged = await store.stage(cid, bytes, { sync: true })
  await staged.commit()
  expect(await store.read(cid)).toEqual(Buffer.from(bytes))
})
