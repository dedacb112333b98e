/** Blocks and DAGs as somebody else made them, and files as they lie on the disk. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { linksOf } from '../../../src/content/codecs.ts'
import { ContentError } from '../../../src/content/errors.ts'
import { importPath } from '../../../src/content/import.ts'
import { mend } from '../../../src/content/mend.ts'
import { blockKey, isIdentity } from '../../../src/content/multihash.ts'
import { verify } from '../../../src/content/verify.ts'
import { MAX_IDENTITY_BYTES } from '../../../src/protocol/limits.ts'
import { rawCid } from '../../vectors/source/make.ts'
import { requireSame, utf8, type Target } from '../target.ts'

const errors = [ContentError]
const CODECS = [0x55, 0x51, 0x0200, dagPb.code, dagCbor.code, 0x0129]
const { signal } = new AbortController()

const sha256 = (bytes: Uint8Array) => Digest.create(0x12, createHash('sha256').update(bytes).digest())

const link = (Hash: CID) => ({ Hash, Name: 'a', Tsize: 5 })
const nodes = [
  dagPb.encode({ Data: utf8('x'), Links: [] }),
  dagPb.encode({ Links: [rawCid('a'), rawCid('b'), CID.createV1(0x70, Digest.create(0, utf8('in')))].map(link) })
]
const records = [
  dagCbor.encode({ a: [rawCid('a'), { b: rawCid('b') }], c: null }),
  // Looks like a CID, and is none.
  dagCbor.encode(new Map(Object.entries({ '/': 'x', bytes: 'x', code: 0x55, multihash: { code: 0 } }))),
  dagCbor.encode(new Map([['__proto__', rawCid('a')]]))
]

/** Above the bound, so that it is met. */
const MAX_INSIDE_BYTES = 2 * MAX_IDENTITY_BYTES

/** Every link can be named, written and read again, as the walk does with it. */
function readLinks(codec: number, bytes: Uint8Array): number {
  const links = linksOf(CID.createV1(codec, sha256(bytes)), bytes)
  for (const cid of links) requireSame(CID.decode(cid.bytes).toString(), cid.toString())
  return Math.min(links.length, 3)
}

/**
 * A DAG from bytes: each step takes a kind, a length and some content, and makes a block that may link to earlier ones. The last
 * block is the root; bytes that are no links of their codec, blocks that are missing, and hashes that nobody knows are among them.
 */
function build(bytes: Uint8Array): { root: CID; blocks: ReadonlyMap<string, Uint8Array> } {
  const blocks = new Map<string, Uint8Array>()
  const made: CID[] = [rawCid('missing')]
  for (let at = 0; at + 2 <= bytes.byteLength && made.length < 64;) {
    const [kind = 0, length = 0] = bytes.subarray(at)
    const content = bytes.subarray(at + 2, at + 2 + (length % 64))
    at += 2 + content.byteLength
    const links = [...content].map((byte) => made[byte % made.length] as CID)
    const codec = CODECS[kind % CODECS.length] as number
    const block =
      kind & 0x40
        ? content.slice()
        : codec === dagPb.code
          ? dagPb.encode({ Links: links.map(link) })
          : codec === dagCbor.code
            ? dagCbor.encode(links)
            : content.slice()
    // Blocks within blocks within blocks would grow without end here, long before anybody reads them.
    const hash = kind & 0x80 && block.byteLength <= MAX_INSIDE_BYTES ? Digest.create(kind & 0x20 ? 0x1b : 0, block) : sha256(block)
    const cid = CID.createV1(codec, hash)
    if ((kind & 0x10) === 0) blocks.set(blockKey(hash), block)
    made.push(cid)
  }
  return { root: made.at(-1) as CID, blocks }
}

async function walkDag(bytes: Uint8Array): Promise<string> {
  const { root, blocks } = build(bytes)
  const read = async (cid: CID): Promise<Uint8Array | undefined> =>
    isIdentity(cid) ? cid.multihash.digest : blocks.get(blockKey(cid.multihash))
  const found = await verify(root, { read } as Parameters<typeof verify>[1], signal)
  requireSame(found.corrupt, 0)
  assert.ok(found.blocks <= blocks.size)
  if (found.missing > 0) return 'missing'
  let told = 0
  const renew = async (cid: CID): Promise<Uint8Array> => (await read(cid)) as Uint8Array
  await mend(root, 1, { keeper: { renew }, signal, onProgress: ({ blocks: so }) => (told = so) })
  // One block under two codecs is looked at under both.
  assert.ok(told >= found.blocks && told <= found.blocks * CODECS.length)
  return `whole ${Math.min(told, 4)}`
}

/** Files and folders from bytes, and what comes of importing them: every block is there, and the DAG is whole. */
async function importFiles(bytes: Uint8Array): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-fuzz-'))
  try {
    let [at, depth] = [dir, 0]
    for (let i = 0; i + 2 <= bytes.byteLength && i < 200; i += 2 + (bytes[i + 1] as number)) {
      const [kind = 0, length = 0] = bytes.subarray(i)
      const name =
        Buffer.from(bytes.subarray(i + 2, i + 2 + (length % 32)))
          .toString(kind & 1 ? 'latin1' : 'hex')
          .replace(/[/\0]/g, '_') || 'x'
      if (name === '.' || name === '..') continue
      if (kind & 2 && depth++ < 20) await mkdir((at = join(at, name))).catch(() => (at = dir))
      else await writeFile(join(at, name), bytes.subarray(i)).catch(() => undefined)
    }
    const blocks = new Map<string, Uint8Array>()
    const store = { put: async (cid: CID, block: Uint8Array) => (blocks.set(blockKey(cid.multihash), block), cid) }
    const imported = await importPath(dir, { hidden: true, signal }, store as Parameters<typeof importPath>[2])
    const read = async (cid: CID) => blocks.get(blockKey(cid.multihash))
    const found = await verify(imported.cid, { read } as Parameters<typeof verify>[1], signal)
    requireSame(
      { blocks: found.blocks, missing: found.missing, corrupt: found.corrupt },
      { blocks: imported.blocks, missing: 0, corrupt: 0 }
    )
    return `${Math.min(imported.files, 4)}`
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

/** Blocks and DAGs. */
export const CONTENT: readonly Target[] = [
  { name: 'dag-pb-links', form: 'bytes', errors, seeds: nodes, run: (bytes) => readLinks(dagPb.code, bytes) },
  { name: 'dag-cbor-links', form: 'cbor', errors, seeds: records, run: (bytes) => readLinks(dagCbor.code, bytes) },
  {
    name: 'dag',
    form: 'bytes',
    errors,
    seeds: [
      Uint8Array.of(0, 2, 65, 66, 3, 2, 0, 1, 4, 2, 1, 2),
      Uint8Array.of(0, 1, 65, 0x83, 1, 1, 0x83, 1, 2, 0x83, 1, 3, 4, 3, 1, 2, 3),
      Uint8Array.from([0, 1, 65, ...Array.from({ length: 20 }, (_, i) => [3, 3, i + 1, i + 1, i + 1]).flat()])
    ],
    cost: 8,
    run: walkDag
  },
  {
    name: 'import',
    form: 'bytes',
    errors,
    seeds: [Uint8Array.from([0, 3, 65, 66, 67, 2, 1, 68, 1, 2, 69, 70, 0, 1, 71])],
    cost: 1_000,
    run: importFiles
  }
]
