import { join } from 'node:path'
import type { CID } from 'multiformats/cid'
import { base32upper } from 'multiformats/bases/base32'
import { blockKey } from '../../src/content/multihash.ts'

/** Where the embedded store keeps a block; `blocks` is its folder. */
export function blockFile(blocks: string, { multihash }: CID): string {
  const key = blockKey(multihash)
  return join(blocks, key.slice(-3, -1), key)
}

/** Where Kubo keeps a block with its own settings; `repo` is its folder. */
export function kuboBlockFile(repo: string, { multihash }: CID): string {
  const key = base32upper.baseEncode(multihash.bytes)
  return join(repo, 'blocks', key.slice(-3, -1), `${key}.data`)
}
