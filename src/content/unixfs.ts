import { open } from 'node:fs/promises'
import { UnixFS } from 'ipfs-unixfs'
import { importer, type ImporterOptions, type ImportResult, type InProgressImportResult, type WritableStorage } from 'ipfs-unixfs-importer'
import { balanced } from 'ipfs-unixfs-importer/layout'
import { ContentError } from './errors.ts'
import { cannotRead } from './scan.ts'

/** Bytes of a file in one block: Kubo's default of `ipfs add`. */
const CHUNK_BYTES = 262_144

/** What Kubo's `ipfs add --cid-version=1` does; see its `Import` settings. */
const KUBO: ImporterOptions = {
  cidVersion: 1,
  rawLeaves: true,
  reduceSingleLeafToSelf: true,
  layout: balanced({ maxChildrenPerNode: 174 }),
  // The reader yields whole chunks already.
  chunker: (source) => source,
  shardSplitThresholdBytes: 262_144,
  shardSplitStrategy: 'links-bytes',
  shardFanoutBits: 8,
  blockWriteConcurrency: 8
}

/** A named child of a folder, stored already. */
export interface Child {
  readonly name: string
  readonly result: ImportResult
}

/** Stores a file in chunks. Throws {@link ContentError} naming it, also when it changes meanwhile. */
export async function storeFile(
  path: string,
  blocks: WritableStorage,
  onRead: (bytes: number) => void,
  signal: AbortSignal
): Promise<ImportResult> {
  return last(importer([{ content: chunksOf(path, onRead, signal) }], blocks, KUBO))
}

/** Stores a symbolic link. */
export async function storeLink(target: string, blocks: WritableStorage): Promise<ImportResult> {
  return last(importer([{ path: 'link', link: target }], blocks, KUBO))
}

/**
 * Stores a folder of children that are stored already, as a HAMT where Kubo makes one. Its own tree builder is fed folder by
 * folder, since it leaves subfolders out of the size that decides.
 */
export async function storeFolder(children: readonly Child[], blocks: WritableStorage): Promise<ImportResult> {
  if (children.length === 0) return last(importer([{ path: 'folder' }], blocks, KUBO))
  const dagBuilder: NonNullable<ImporterOptions['dagBuilder']> = async function* () {
    for (const { name, result } of children) {
      // A folder would be opened again by the tree builder: here it is only a link with a size.
      yield async (): Promise<InProgressImportResult> => ({ ...result, path: name, unixfs: new UnixFS({ type: 'raw' }) })
    }
  }
  return last(importer([], blocks, { ...KUBO, dagBuilder, wrapWithDirectory: true }))
}

async function* chunksOf(path: string, onRead: (bytes: number) => void, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  const handle = await open(path, 'r').catch((err: unknown) => {
    throw cannotRead(path, err)
  })
  try {
    const before = await handle.stat()
    let read = 0
    for (;;) {
      signal.throwIfAborted()
      const chunk = await readChunk(handle, CHUNK_BYTES)
      // An empty file is one empty chunk.
      if (chunk.byteLength === 0 && (read > 0 || before.size > 0)) break
      read += chunk.byteLength
      if (read > before.size) break
      yield chunk
      onRead(chunk.byteLength)
      if (before.size === 0) break
    }
    const after = await handle.stat()
    if (read !== before.size || after.size !== before.size || after.mtimeMs !== before.mtimeMs) {
      throw new ContentError('failed', `${path} changed while it was read: try again when nothing writes to it`)
    }
  } catch (err) {
    signal.throwIfAborted()
    throw cannotRead(path, err)
  } finally {
    await handle.close()
  }
}

async function readChunk(handle: Awaited<ReturnType<typeof open>>, size: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(size)
  let filled = 0
  while (filled < size) {
    const { bytesRead } = await handle.read(buffer, filled, size - filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}

async function last(results: AsyncIterable<ImportResult>): Promise<ImportResult> {
  let found: ImportResult | undefined
  for await (const result of results) found = result
  if (found === undefined) throw new ContentError('failed', 'the import gave nothing')
  return found
}
