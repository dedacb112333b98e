import type { CID } from 'multiformats/cid'
import type { FileBlockstore } from './blockstore.ts'
import { isLeaf, linksOf } from './codecs.ts'
import { blockKey, checkHash, isIdentity } from './multihash.ts'
import type { Totals } from './ports.ts'
import { walk } from './walk.ts'

/** Blocks read at a time: as many as the thread pool reads. */
const WIDTH = 4

/** What a look at every block of a DAG found. */
export interface Verified extends Totals {
  /** Blocks that are not on the disk; what is below them is not known. */
  readonly missing: number
  /** Blocks whose bytes do not have their hash. */
  readonly corrupt: number
}

/** Reads every block of a DAG from the disk and checks its hash. Only good ones count as `blocks` and `bytes`. Throws `ContentError`. */
export async function verify(root: CID, store: FileBlockstore, signal: AbortSignal): Promise<Verified> {
  const seen = new Set<string>()
  const counted = new Set<string>()
  const found = { blocks: 0, bytes: 0, missing: 0, corrupt: 0 }

  async function visit(cid: CID): Promise<readonly CID[]> {
    const key = blockKey(cid.multihash)
    const name = isLeaf(cid) ? key : `${key}/${cid.code}`
    if (seen.has(name)) return []
    seen.add(name)
    const bytes = await store.read(cid)
    const good = bytes !== undefined && checkHash(cid, bytes)
    if (!isIdentity(cid) && !counted.has(key)) {
      counted.add(key)
      if (bytes === undefined) found.missing += 1
      else if (!good) found.corrupt += 1
      else {
        found.blocks += 1
        found.bytes += bytes.byteLength
      }
    }
    return good ? linksOf(cid, bytes) : []
  }

  await walk(root, { width: WIDTH, signal, visit })
  return found
}
