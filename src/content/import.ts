import { join } from 'node:path'
import type { CID } from 'multiformats/cid'
import type { ImportResult, WritableStorage } from 'ipfs-unixfs-importer'
import { look, namesIn } from './scan.ts'
import { createSlots } from './slots.ts'
import { blockKey } from './multihash.ts'
import { storeFile, storeFolder, storeLink, type Child } from './unixfs.ts'

/** Files read at a time: hides the disk's latency for small ones. */
const FILES = 8

/** How to import. */
export interface ImportOptions {
  /** Whether names that begin with a dot are taken along; the path itself always is. */
  readonly hidden: boolean
  readonly signal: AbortSignal
  /** Called with growing numbers of bytes and files read. */
  readonly onProgress?: (progress: { readonly bytes: number; readonly files: number }) => void
}

/** What was imported. */
export interface Imported {
  readonly cid: CID
  readonly files: number
  /** Bytes read from files. */
  readonly bytes: number
  /** Distinct blocks. */
  readonly blocks: number
}

/**
 * Stores a file, link or folder as UnixFS and gives the CID that `ipfs add -r --cid-version=1` gives: raw leaves, 256 KiB
 * chunks, links kept as links, big folders as HAMT. Throws `ContentError` naming the path that cannot be read or that
 * changed while it was read, or the signal's reason.
 */
export async function importPath(path: string, options: ImportOptions, blockstore: WritableStorage): Promise<Imported> {
  const { signal, hidden } = options
  const slots = createSlots(FILES)
  const keys = new Set<string>()
  let [bytes, files] = [0, 0]
  const blocks: WritableStorage = {
    put(cid, block) {
      signal.throwIfAborted()
      keys.add(blockKey(cid.multihash))
      return blockstore.put(cid, block)
    }
  }
  const report = (): void => options.onProgress?.({ bytes, files })

  async function fileAt(at: string): Promise<ImportResult> {
    const release = await slots.acquire(signal)
    try {
      const result = await storeFile(
        at,
        blocks,
        (read) => {
          bytes += read
          report()
        },
        signal
      )
      files += 1
      report()
      return result
    } finally {
      release()
    }
  }

  async function folderAt(at: string): Promise<ImportResult> {
    const pending: Promise<Child>[] = []
    for (const name of await namesIn(at, hidden)) {
      signal.throwIfAborted()
      const child = store(join(at, name)).then((result) => ({ name, result }))
      child.catch(() => undefined)
      pending.push(child)
      // In groups, so that what waits stays bounded.
      if (pending.length % FILES === 0) await Promise.all(pending.slice(-FILES))
    }
    return storeFolder(await Promise.all(pending), blocks)
  }

  async function store(at: string): Promise<ImportResult> {
    const entry = await look(at)
    if (entry.type === 'file') return fileAt(at)
    return entry.type === 'link' ? storeLink(entry.target, blocks) : folderAt(at)
  }

  const { cid } = await store(path)
  return { cid, files, bytes, blocks: keys.size }
}
