import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Libp2p } from '@libp2p/interface'
import { createFileBlockstore } from './blockstore.ts'
import { createExchange } from './exchange.ts'
import { ContentError, diskError } from './errors.ts'
import { importPath, type Imported, type ImportOptions } from './import.ts'
import { measure } from './scan.ts'
import { createSpace } from './space.ts'

/** What a small file or a folder's node takes on a disk. */
const SMALLEST_FILE = 4_096

/** Where temporary content is kept. */
export interface TemporaryOptions {
  /** The folder in which one of its own is made; the system's by default. */
  readonly parent?: string
}

/**
 * Makes a store for what a sender adds: `start`, `import`, serve over bitswap on the given started host, `stop`, which
 * removes all of it. Errors are {@link ContentError}.
 */
export function createTemporaryContent(options: TemporaryOptions, ports: { readonly libp2p: Libp2p }) {
  let open:
    | { readonly dir: string; readonly store: ReturnType<typeof createFileBlockstore>; readonly stop: () => Promise<void> }
    | undefined

  const content = {
    async start(): Promise<void> {
      const dir = await mkdtemp(join(options.parent ?? tmpdir(), 'pinsub-')).catch((err: unknown) => {
        throw diskError(err, options.parent ?? tmpdir())
      })
      const store = createFileBlockstore({ dir, durable: false })
      const exchange = createExchange({ libp2p: ports.libp2p, blocks: store })
      open = { dir, store, stop: () => exchange.stop() }
      await store.start()
      await exchange.start()
    },

    /** Stops serving and removes the blocks. */
    async stop(): Promise<void> {
      const was = open
      open = undefined
      await was?.stop()
      if (was !== undefined) await rm(was.dir, { recursive: true, force: true })
    },

    [Symbol.asyncDispose]: (): Promise<void> => content.stop(),

    /**
     * Imports a file, link or folder, see {@link importPath}, after it has seen that the blocks fit on the disk
     * (else `no-space`). `onProgress` tells the total of bytes to read too.
     */
    async import(
      path: string,
      how: Omit<ImportOptions, 'onProgress'> & {
        readonly onProgress?: (progress: { readonly bytes: number; readonly files: number; readonly total: number }) => void
      }
    ): Promise<Imported> {
      if (open === undefined) throw new ContentError('failed', 'the temporary content is not started')
      const { files, others, bytes } = await measure(path, how)
      const space = createSpace({ dir: open.dir }, { used: () => 0, makeRoom: async () => 0 })
      await space.need(bytes + (files + others) * SMALLEST_FILE)
      return importPath(path, { ...how, onProgress: (progress) => how.onProgress?.({ ...progress, total: bytes }) }, open.store)
    }
  }
  return content
}
