/** Blocks that somebody made to cost as much as they can. */
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as Digest from 'multiformats/hashes/digest'
import { describe, expect, test } from 'vitest'
import { linksOf } from '../../src/content/codecs.ts'
import { walk } from '../../src/content/walk.ts'
import { MAX_BLOCK_BYTES, MAX_BLOCK_LINKS, MAX_IDENTITY_BYTES, MAX_WAITING_LINKS } from '../../src/protocol/limits.ts'
import { leaf, node } from '../support/dags.ts'

const { cid } = await leaf('x')
const block = (codec: number): CID => CID.createV1(codec, cid.multihash)
const identity = (length: number): CID => CID.createV1(raw.code, Digest.create(0, new Uint8Array(length)))
const pb = (links: readonly CID[]): Uint8Array => dagPb.encode({ Links: links.map((Hash) => ({ Hash })) })

describe('links', () => {
  test('of the largest block of links to other blocks are read', () => {
    const count = Math.floor(MAX_BLOCK_BYTES / 40)
    expect(linksOf(block(dagPb.code), pb(new Array(count).fill(cid)))).toHaveLength(count)
  })

  test('that say nothing are bounded', () => {
    const most = new Array<CID>(MAX_BLOCK_LINKS).fill(identity(0))
    expect(linksOf(block(dagPb.code), pb(most))).toHaveLength(MAX_BLOCK_LINKS)
    const bytes = pb([...most, identity(0)])
    expect(bytes.byteLength).toBeLessThan(MAX_BLOCK_BYTES)
    expect(() => linksOf(block(dagPb.code), bytes)).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  test.each([dagPb.code, dagCbor.code])('carry little in themselves (codec %i)', (codec) => {
    const bytesOf = (link: CID): Uint8Array => (codec === dagPb.code ? pb([link]) : dagCbor.encode({ link }))
    expect(linksOf(block(codec), bytesOf(identity(MAX_IDENTITY_BYTES)))).toHaveLength(1)
    expect(() => linksOf(block(codec), bytesOf(identity(MAX_IDENTITY_BYTES + 1)))).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  test('are CIDs, and not what looks like one', () => {
    const lookalike = new Map<string, unknown>([
      ['/', 'x'],
      ['bytes', 'x'],
      ['inside', cid]
    ])
    expect(linksOf(block(dagCbor.code), dagCbor.encode(lookalike))).toEqual([cid])
  })

  test('are found below any key', () => {
    const keys = ['__proto__', 'constructor', 'length', 'a'].map((key) => [key, cid] as const)
    expect(linksOf(block(dagCbor.code), dagCbor.encode(new Map(keys)))).toHaveLength(keys.length)
  })

  test.each([0x81, 0xa1, 0xd8])('nested without end are refused (%i)', (byte) => {
    const bytes = new Uint8Array(MAX_BLOCK_BYTES).fill(byte)
    expect(() => linksOf(block(dagCbor.code), bytes)).toThrow(expect.objectContaining({ code: 'invalid' }))
  })
})

describe('a walk', () => {
  const { signal } = new AbortController()

  test('keeps no more links waiting than it may, however deep and wide the DAG is', async () => {
    const links = new Array<CID>(MAX_BLOCK_LINKS).fill(cid)
    let visits = 0
    const visit = async (): Promise<readonly CID[]> => {
      visits++
      return links
    }
    await expect(walk(cid, { width: 1, signal, visit })).rejects.toMatchObject({ code: 'invalid' })
    // The last one is refused; each takes its own place.
    expect(visits).toBe(MAX_WAITING_LINKS / MAX_BLOCK_LINKS + 1)
  })

  test('goes through ten folders of four thousand names within each other', async () => {
    const names = new Array<CID>(4_000).fill(cid)
    let deep = 0
    const visit = async (at: CID): Promise<readonly CID[]> => (at === cid || deep++ === 10 ? [] : [folder.cid, ...names])
    const folder = await node('folder', [])
    await walk(folder.cid, { width: 24, signal, visit })
    expect(deep).toBe(11)
  })
})
