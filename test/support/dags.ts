import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'

/** A block and its name. */
export interface TestBlock {
  readonly cid: CID
  readonly bytes: Uint8Array
}

/** A block without links, different for every `text`. */
export async function leaf(text: string | Uint8Array): Promise<TestBlock> {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text
  return { cid: CID.createV1(raw.code, await sha256.digest(bytes)), bytes }
}

/** A dag-pb block that links to others, different for every `text`. */
export async function node(text: string, children: readonly TestBlock[]): Promise<TestBlock> {
  const bytes = dagPb.encode({
    Data: new TextEncoder().encode(text),
    Links: children.map(({ cid, bytes: { byteLength } }) => ({ Hash: cid, Name: '', Tsize: byteLength }))
  })
  return { cid: CID.createV1(dagPb.code, await sha256.digest(bytes)), bytes }
}

/** A dag-cbor block that links to others. */
export async function record(text: string, children: readonly TestBlock[]): Promise<TestBlock> {
  const bytes = dagCbor.encode({ text, links: { deep: [children.map(({ cid }) => cid)] } })
  return { cid: CID.createV1(dagCbor.code, await sha256.digest(bytes)), bytes }
}

/** A root over `width` nodes with `width` leaves each; the first block is the root. */
export async function tree(seed: string, width: number): Promise<TestBlock[]> {
  const blocks: TestBlock[] = []
  const nodes: TestBlock[] = []
  for (let i = 0; i < width; i++) {
    const leaves = await Promise.all(Array.from({ length: width }, (_, j) => leaf(`${seed} leaf ${i}.${j}`)))
    const parent = await node(`${seed} node ${i}`, leaves)
    nodes.push(parent)
    blocks.push(parent, ...leaves)
  }
  return [await node(`${seed} root`, nodes), ...blocks]
}
