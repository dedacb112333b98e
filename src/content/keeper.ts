import type { Clock } from '../protocol/clock.ts'
import type { CID } from 'multiformats/cid'
import { MAX_JOURNALED_BYTES } from '../protocol/limits.ts'
import type { FileBlockstore } from './blockstore.ts'
import { isLeaf } from './codecs.ts'
import { diskError } from './errors.ts'
import type { Guards } from './guards.ts'
import { blockKey, checkHash } from './multihash.ts'
import type { BlockIndex, Totals } from './ports.ts'
import { createShared } from './shared.ts'
import type { Space } from './space.ts'

/** Unheld blocks are kept so long: an unpin by mistake can be called back, and a pin that failed is resumed cheaply. */
export const GRACE_MS = 24 * 60 * 60_000

const NOTHING = new Uint8Array(0)

/** A block that has come. */
interface Arrival {
  readonly bytes: Uint8Array
  /** Resolves when its file has its name. */
  readonly stored: Promise<void>
}

/** What the keeper works with. */
export interface KeeperPorts {
  readonly store: FileBlockstore
  readonly index: BlockIndex
  readonly guards: Guards
  readonly space: Space
  readonly clock: Clock
  /** Gets a block that is not here; its hash is checked again before it is stored. */
  readonly fetch: (cid: CID, signal: AbortSignal) => Promise<Uint8Array>
  /** Called for each block that has come and is durable. */
  readonly onStored: (cid: CID) => void
}

/**
 * Brings single blocks here and has a root refer to them, so that at every instant a file has a row and a block that is
 * referred to has its file: first the row (to be freed one day), then the file's name, then the reference. Of a small
 * block the journal has the bytes in the same commit as the row, so its reference need not wait for the file.
 */
export function createKeeper(ports: KeeperPorts) {
  const { store, index, guards, space, clock } = ports
  const arrivals = createShared<Arrival>()
  const storing = new Set<Promise<void>>()

  async function bring(cid: CID, key: string, signal: AbortSignal): Promise<Arrival> {
    // A caller that is aborted lets go of the block while this still gives it its name.
    const release = await guards.hold(key)
    let stored: Promise<void> | undefined
    try {
      const bytes = await ports.fetch(cid, signal)
      await space.need(bytes.byteLength)
      stored = storeBlock(cid, key, bytes).then(() => ports.onStored(cid))
      storing.add(stored)
      // The journal has the bytes of a small block in the commit that names it, so a reference may be in that commit too.
      if (bytes.byteLength > MAX_JOURNALED_BYTES) await stored
      return { bytes, stored }
    } finally {
      const settled = stored ?? Promise.resolve()
      void settled
        .catch(() => undefined)
        .then(() => {
          storing.delete(settled)
          release()
        })
    }
  }

  async function storeBlock(cid: CID, key: string, bytes: Uint8Array): Promise<void> {
    const journaled = bytes.byteLength <= MAX_JOURNALED_BYTES
    const row = index.expect(key, bytes.byteLength, clock.now() + GRACE_MS, journaled ? bytes : undefined)
    row.catch(() => undefined)
    const staged = await store.stage(cid, bytes, { sync: !journaled })
    try {
      await row
    } catch (err) {
      await staged.discard()
      throw diskError(err, `block ${cid}`)
    }
    await staged.commit()
  }

  /** The bytes of a block, if it is on the disk undamaged. */
  async function intact(cid: CID): Promise<Uint8Array | undefined> {
    const bytes = await store.read(cid)
    return bytes !== undefined && checkHash(cid, bytes) ? bytes : undefined
  }

  /** What is here of a block. Of one without links that is its size: it need not be read, and is not checked. */
  async function find(cid: CID): Promise<{ bytes: Uint8Array; size: number } | undefined> {
    if (isLeaf(cid)) {
      const size = await store.size(cid)
      return size === undefined ? undefined : { bytes: NOTHING, size }
    }
    const bytes = await intact(cid)
    return bytes === undefined ? undefined : { bytes, size: bytes.byteLength }
  }

  return {
    /**
     * Makes sure that a block is here, and that `root` refers to it. Gives the bytes of a block that may have links.
     * What it gives as `referred` resolves when the reference is durable, with what the root holds then.
     */
    async keep(cid: CID, root: number, signal: AbortSignal): Promise<{ bytes: Uint8Array; referred: Promise<Totals> }> {
      const key = blockKey(cid.multihash)
      const release = await guards.hold(key)
      try {
        const here = index.knows(key) ? await find(cid) : undefined
        const { bytes, stored } =
          here === undefined
            ? await arrivals.run(key, signal, (shared) => bring(cid, key, shared))
            : { bytes: here.bytes, stored: undefined }
        const refer = index.refer(root, key, cid.code, here?.size ?? bytes.byteLength).catch((err: unknown) => {
          throw diskError(err, `block ${cid}`)
        })
        return { bytes, referred: Promise.all([refer, stored]).then(([totals]) => totals) }
      } finally {
        release()
      }
    },

    /** Reads a block that `root` refers to and checks its hash; one that is gone or damaged is fetched anew. Gives its bytes; durable. */
    async renew(cid: CID, root: number, signal: AbortSignal): Promise<Uint8Array> {
      const key = blockKey(cid.multihash)
      const release = await guards.hold(key)
      try {
        const here = await intact(cid)
        if (here !== undefined) return here
        const { bytes, stored } = await arrivals.run(key, signal, (shared) => bring(cid, key, shared))
        await Promise.all([index.refer(root, key, cid.code, bytes.byteLength), stored]).catch((err: unknown) => {
          throw diskError(err, `block ${cid}`)
        })
        return bytes
      } finally {
        release()
      }
    },

    /** Waits until no block is on its way to the disk. */
    async idle(): Promise<void> {
      await arrivals.idle()
      await Promise.allSettled(storing)
    }
  }
}

/** What {@link createKeeper} makes. */
export type Keeper = ReturnType<typeof createKeeper>
