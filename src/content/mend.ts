import type { CID } from 'multiformats/cid'
import { WALK_WIDTH } from '../protocol/limits.ts'
import { linksOf } from './codecs.ts'
import type { Keeper } from './keeper.ts'
import { blockKey, isIdentity } from './multihash.ts'
import type { Totals } from './ports.ts'
import { walk } from './walk.ts'

/** How a DAG is mended. */
export interface MendOptions {
  readonly keeper: Pick<Keeper, 'renew'>
  readonly signal: AbortSignal
  /** Called with growing numbers as blocks are found good or fetched. */
  readonly onProgress: (progress: Totals) => void
}

/**
 * Makes the DAG of `root` whole again: reads every block, checks its hash, and fetches those that are gone or damaged. Nothing is let
 * go when it fails. Throws `ContentError`.
 */
export async function mend(cid: CID, root: number, { keeper, signal, onProgress }: MendOptions): Promise<void> {
  const seen = new Set<string>()
  let [blocks, bytes] = [0, 0]

  async function visit(at: CID, within: AbortSignal): Promise<readonly CID[]> {
    if (isIdentity(at)) return linksOf(at, at.multihash.digest)
    const name = `${blockKey(at.multihash)}/${at.code}`
    if (seen.has(name)) return []
    seen.add(name)
    const block = await keeper.renew(at, root, within)
    blocks += 1
    bytes += block.byteLength
    onProgress({ blocks, bytes })
    return linksOf(at, block)
  }

  await walk(cid, { width: WALK_WIDTH, signal, visit })
}
