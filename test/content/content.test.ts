import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, test } from 'vitest'
import { CID } from 'multiformats/cid'
import { identity } from 'multiformats/hashes/identity'
import * as dagPb from '@ipld/dag-pb'
import { blockKey } from '../../src/content/multihash.ts'
import { openBlockIndex } from '../../src/storage/block-index.ts'
import { leaf, node, tree, type TestBlock } from '../support/dags.ts'
import { makeContentHome, type ContentHome } from '../support/content-home.ts'
import { makePinPeer } from '../support/pin-peer.ts'

const DAY = 24 * 60 * 60_000
const { signal } = new AbortController()

const fileOf = (home: ContentHome, { cid }: TestBlock): string => {
  const key = blockKey(cid.multihash)
  return join(home.dir, 'blocks', key.slice(-3, -1), key)
}

async function filled(length: number, seed: string): Promise<TestBlock> {
  return leaf(new Uint8Array(length).fill(seed.charCodeAt(0)))
}

describe('freeing', () => {
  test('an unpinned block stays a day, so that a mistake can be called back', async () => {
    await using home = await makeContentHome()
    const block = await leaf('mistake')
    await home.peer.provide([block])
    await home.pin(block.cid)
    await home.content.unpin(block.cid)
    home.advance(DAY - 60_000)
    expect(await home.content.sweep()).toEqual({ blocks: 0, bytes: 0 })
    expect(await home.content.blockstore.has(block.cid)).toBe(true)
    await home.peer.stop()
    await home.pin(block.cid)
    home.advance(2 * DAY)
    expect(await home.content.sweep()).toEqual({ blocks: 0, bytes: 0 })
    await home.content.unpin(block.cid)
    home.advance(DAY + 1)
    expect(await home.content.sweep()).toEqual({ blocks: 1, bytes: block.bytes.byteLength })
    expect(await home.files()).toEqual([])
    expect(home.content.usage()).toEqual({ bytes: 0, pins: 0 })
  })

  test('when space lacks, the longest unheld goes first, and what is held never', async () => {
    await using home = await makeContentHome({ capacity: 3_000 })
    const [held, old, young, fresh, large] = await Promise.all(
      ['h', 'o', 'y', 'f'].map((seed) => filled(900, seed)).concat(filled(2_200, 'l'))
    )
    if (!held || !old || !young || !fresh || !large) throw new Error('unreachable')
    await home.peer.provide([held, old, young, fresh, large])
    for (const { cid } of [held, old, young]) await home.pin(cid)
    await home.content.unpin(old.cid)
    home.advance(1_000)
    await home.content.unpin(young.cid)
    await home.pin(fresh.cid)
    expect(await home.content.blockstore.has(old.cid)).toBe(false)
    expect(await home.content.blockstore.has(young.cid)).toBe(true)
    await expect(home.pin(large.cid)).rejects.toMatchObject({ name: 'ContentError', code: 'no-space' })
    expect(await home.content.blockstore.has(held.cid)).toBe(true)
    expect(await home.content.verify(fresh.cid, { signal })).toMatchObject({ blocks: 1, missing: 0 })
    expect([...home.content.list()].map(({ cid }) => cid.toString()).sort()).toEqual([held, fresh].map(({ cid }) => cid.toString()).sort())
  })
})

describe('verify', () => {
  test('reads every block and tells the good from the missing and the corrupt', async () => {
    await using home = await makeContentHome()
    const blocks = await tree('verified', 5)
    await home.peer.provide(blocks)
    const [root, , corrupt, missing, short] = blocks as [TestBlock, TestBlock, TestBlock, TestBlock, TestBlock]
    await home.pin(root.cid)
    const bytes = blocks.reduce((sum, block) => sum + block.bytes.byteLength, 0)
    expect(await home.content.verify(root.cid, { signal })).toEqual({ blocks: 31, bytes, missing: 0, corrupt: 0 })
    expect(home.content.stat(root.cid)).toEqual({ blocks: 31, bytes })
    await writeFile(fileOf(home, corrupt), 'other bytes')
    await rm(fileOf(home, missing))
    await truncate(fileOf(home, short), 3)
    expect(await home.content.verify(root.cid, { signal })).toMatchObject({ blocks: 28, missing: 1, corrupt: 2 })
  })

  test('an identity CID is content without a block', async () => {
    await using home = await makeContentHome()
    const inline = CID.createV1(0x55, identity.digest(new TextEncoder().encode('inline')))
    const bytes = dagPb.encode({ Links: [{ Hash: inline, Name: 'a', Tsize: 6 }] })
    const root = { bytes, cid: CID.createV1(dagPb.code, (await leaf(bytes)).cid.multihash) }
    await home.peer.provide([root])
    await home.pin(root.cid)
    expect(home.content.stat(root.cid)).toEqual({ blocks: 1, bytes: bytes.byteLength })
    expect(await home.content.verify(root.cid, { signal })).toEqual({ blocks: 1, bytes: bytes.byteLength, missing: 0, corrupt: 0 })
  })
})

describe('a block that cannot be read', () => {
  test('names its codec', async () => {
    await using home = await makeContentHome()
    const inner = CID.createV1(0x78, (await leaf('git')).cid.multihash)
    const bytes = dagPb.encode({ Links: [{ Hash: inner, Name: 'a', Tsize: 6 }] })
    const root = { bytes, cid: CID.createV1(dagPb.code, (await leaf(bytes)).cid.multihash) }
    await home.peer.provide([root])
    await expect(home.pin(root.cid)).rejects.toThrow('codec 0x78')
    expect([...home.content.list()]).toEqual([])
  })

  test('is named when it is not what its codec says', async () => {
    await using home = await makeContentHome()
    const { bytes, cid } = await leaf('not dag-pb at all')
    const root = CID.createV1(dagPb.code, cid.multihash)
    await home.peer.provide([{ bytes, cid: root }])
    await expect(home.pin(root)).rejects.toMatchObject({ code: 'invalid', message: expect.stringContaining(root.toString()) })
  })
})

describe('kill -9', { timeout: 60_000 }, () => {
  /** Runs a backend in a process of its own on this home's folder and kills it at the first line that is meant; progress may skip numbers. */
  async function killAt(home: ContentHome, verb: 'pin' | 'unpin', cid: CID, isMeant: (line: string) => boolean): Promise<void> {
    const script = join(import.meta.dirname, '../support/pin-process.ts')
    const child = spawn(process.execPath, [script, home.dir, home.peer.origin, verb, cid.toString()], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const exit = once(child, 'exit')
    for await (const line of createInterface(child.stdout)) if (isMeant(line)) child.kill('SIGKILL')
    expect((await exit)[1]).toBe('SIGKILL')
  }

  /** Every file has a row, so that none is left for ever. */
  async function expectNoStrays(home: ContentHome): Promise<void> {
    const index = openBlockIndex(join(home.dir, 'blocks.db'))
    const strays = (await home.files()).filter((name) => !index.knows(name) && !/^[0-9a-f]{8}-\d+$/.test(name))
    index.close()
    expect(strays).toEqual([])
  }

  test('midway through a pin: no pin, nothing for ever, and the next try resumes', async () => {
    await using home = await makeContentHome()
    await home.stop()
    const blocks = await tree('killed', 8)
    const root = blocks[0] as TestBlock
    await home.peer.provide(blocks.slice(0, -1))
    await killAt(home, 'pin', root.cid, (line) => Number(line) >= 40)
    expect((await home.files()).length).toBeGreaterThanOrEqual(40)
    await expectNoStrays(home)
    await home.start()
    expect([...home.content.list()]).toEqual([])
    await home.content.sweep()
    home.advance(DAY + 60_000)
    await home.content.sweep()
    expect(await home.files()).toEqual([])
    expect(home.content.usage()).toEqual({ bytes: 0, pins: 0 })
    await home.peer.provide(blocks)
    await home.pin(root.cid)
    expect(await home.content.verify(root.cid, { signal })).toMatchObject({ blocks: 73, missing: 0, corrupt: 0 })
  })

  test('midway through an unpin: the other pin stays whole, the rest is freed', async () => {
    await using home = await makeContentHome()
    const keep = await tree('kept', 4)
    const gone = await node('gone', keep.slice(1))
    await home.peer.provide([...keep, gone])
    const root = keep[0] as TestBlock
    await home.pin(root.cid)
    await home.pin(gone.cid)
    await home.stop()
    await killAt(home, 'unpin', gone.cid, (line) => line === 'dropping')
    await home.start()
    await home.content.unpin(gone.cid)
    home.advance(DAY + 60_000)
    await home.content.sweep()
    expect([...home.content.list()].map(({ cid }) => cid.toString())).toEqual([root.cid.toString()])
    expect(await home.content.verify(root.cid, { signal })).toMatchObject({ blocks: 21, missing: 0, corrupt: 0 })
    expect(await home.files()).toHaveLength(21)
  })

  test('files that a power cut lost are restored from the journal', async () => {
    await using home = await makeContentHome()
    const [lost, torn] = [await leaf('lost'), await leaf('torn')]
    const root = await node('root', [lost, torn])
    await home.peer.provide([lost, torn, root])
    await home.pin(root.cid)
    await home.stop()
    await rm(fileOf(home, lost))
    await truncate(fileOf(home, torn), 0)
    await home.start()
    expect(await home.content.verify(root.cid, { signal })).toMatchObject({ blocks: 3, missing: 0, corrupt: 0 })
  })
})

describe('mending', () => {
  test('a damaged block with links is fetched anew by the next DAG that shares it', async () => {
    await using home = await makeContentHome()
    const inner = await node('shared', [await leaf('low')])
    const [a, b] = [await node('a', [inner]), await node('b', [inner])]
    await home.peer.provide([await leaf('low'), inner, a, b])
    await home.pin(a.cid)
    await writeFile(fileOf(home, inner), 'no dag-pb at all')
    // A peer sends nothing twice within some seconds.
    const other = await makePinPeer()
    try {
      await other.provide([inner])
      await home.content.pin(b.cid, { signal, origins: [home.peer.origin, other.origin] })
    } finally {
      await other.stop()
    }
    expect(await home.content.verify(b.cid, { signal })).toMatchObject({ blocks: 3, missing: 0, corrupt: 0 })
    expect(home.content.stat(b.cid)).toEqual({
      blocks: 3,
      bytes: [b, inner, await leaf('low')].reduce((sum, { bytes }) => sum + bytes.length, 0)
    })
  })

  test('a pin that is repeated tells how far it is, and one that is let go of ends', async () => {
    await using home = await makeContentHome()
    const below = await tree('repeated', 4)
    const root = await node('twice the same', [below[0], below[0]] as TestBlock[])
    const blocks = [root, ...below]
    await home.peer.provide(blocks)
    const whole = await home.pin(root.cid)
    const seen: { blocks: number; bytes: number }[] = []
    expect(await home.content.pin(root.cid, { signal, onProgress: (progress) => void seen.push(progress) })).toEqual(whole)
    expect(seen).toHaveLength(blocks.length)
    expect(seen.at(-1)).toEqual(whole)

    const last = blocks.at(-1) as TestBlock
    await rm(fileOf(home, last))
    await home.peer.lose(last.cid)
    const mending = expect(home.pin(root.cid)).rejects.toMatchObject({ name: 'ContentError' })
    await home.content.unpin(root.cid)
    await mending
    expect(home.content.stat(root.cid)).toBeUndefined()
    home.advance(DAY + 1)
    await home.content.sweep()
    expect(await home.files()).toEqual([])
    expect(home.content.usage()).toEqual({ bytes: 0, pins: 0 })
  })
})
