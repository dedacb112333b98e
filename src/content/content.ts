import type { Libp2p } from '@libp2p/interface'
import { CID } from 'multiformats/cid'
import type { Clock } from '../protocol/clock.ts'
import { cidKey } from '../protocol/cid.ts'
import { createFileBlockstore } from './blockstore.ts'
import { createExchange } from './exchange.ts'
import { createGuards } from './guards.ts'
import { createJournal } from './journal.ts'
import { createKeeper } from './keeper.ts'
import { blockKey, isIdentity } from './multihash.ts'
import { createOrigins } from './origins.ts'
import { createPinner, type ContentPinOptions } from './pinner.ts'
import type { BlockIndex, RootRow, Totals } from './ports.ts'
import { createSpace } from './space.ts'
import { createSweeper, type Swept } from './sweeper.ts'
import { verify, type Verified } from './verify.ts'

/** Pins read from the index at a time. */
const PAGE = 500

/** How often blocks that are due are freed and the files of small ones made durable: later than the system writes by itself. */
const TIDY_EVERY_MS = 60_000

/** What the content store may be told. */
export interface ContentOptions {
  /** Where the blocks are kept. */
  readonly dir: string
  /** Bytes that the blocks may take; without it, what the disk has. */
  readonly capacity?: number
}

/** What the content store works with; the index and the host outlive it. */
export interface ContentPorts {
  readonly libp2p: Libp2p
  readonly index: BlockIndex
  readonly clock: Clock
}

/** Pinned DAGs on this machine's disk, fetched from and served to other peers. */
export type Content = ReturnType<typeof createContent>

/**
 * Makes the content store: blocks as files, who holds them in the index, bitswap on the given libp2p host.
 * `start` needs a started host; `stop` aborts what is under way and leaves index and host open. Errors are `ContentError`.
 */
export function createContent(options: ContentOptions, ports: ContentPorts) {
  const { index, clock } = ports
  const store = createFileBlockstore({ dir: options.dir, durable: true })
  const guards = createGuards()
  const exchange = createExchange({
    libp2p: ports.libp2p,
    blocks: {
      // Peers ask for far more than is here, and the index says no without a look at the disk.
      size: async (cid) => (isIdentity(cid) || index.knows(blockKey(cid.multihash)) ? store.size(cid) : undefined),
      read: store.read
    }
  })
  const sweeper = createSweeper({ store, index, guards, clock })
  const space = createSpace(options, {
    used: () => index.usage().bytes,
    makeRoom: async (bytes) => (await sweeper.makeRoom(bytes)).bytes
  })
  const keeper = createKeeper({ store, index, guards, space, clock, fetch: exchange.fetch, onStored: exchange.announce })
  const pinner = createPinner({ keeper, index, clock, dial: createOrigins({ libp2p: ports.libp2p, clock }).dial })
  const journal = createJournal({ store, index })
  let next: (() => void) | undefined
  let tidying: Promise<unknown> = Promise.resolve()

  async function sweep(): Promise<Swept> {
    await pinner.tidy()
    return sweeper.sweep()
  }

  function tidyIn(ms: number): void {
    next = clock.after(ms, () => {
      // A disk that refuses shows at the next pin; here it is tried again.
      tidying = Promise.allSettled([sweep(), journal.settle()]).then(() => (next === undefined ? undefined : tidyIn(TIDY_EVERY_MS)))
    })
  }

  const content = {
    /** The blocks, pinned or not. */
    blockstore: store,

    async start(): Promise<void> {
      await store.start()
      await journal.recover()
      pinner.adopt()
      await exchange.start()
      tidyIn(0)
    },

    async stop(): Promise<void> {
      next?.()
      next = undefined
      await pinner.stop()
      await tidying
      await exchange.stop()
    },

    [Symbol.asyncDispose]: (): Promise<void> => content.stop(),

    pin: (cid: CID, how: ContentPinOptions): Promise<Totals> => pinner.pin(cid, how),
    unpin: (cid: CID): Promise<void> => pinner.unpin(cid),

    /** What is held for a pin; undefined when there is none. CIDv0 and its CIDv1 twin are one. */
    stat(cid: CID): Totals | undefined {
      const row = index.pin(cidKey(cid))
      return row === undefined ? undefined : { blocks: row.blocks, bytes: row.bytes }
    },

    /** All pins as they were spelled, oldest first; pins made meanwhile may be among them. */
    *list(): Generator<{ readonly cid: CID } & Totals> {
      let page: RootRow[]
      let after = 0
      do {
        page = index.pins(after, PAGE)
        for (const { id, cid, blocks, bytes } of page) {
          after = id
          yield { cid: CID.parse(cid), blocks, bytes }
        }
      } while (page.length === PAGE)
    },

    /** Reads every block of a DAG from the disk and checks its hash. */
    verify: (root: CID, how: { readonly signal: AbortSignal }): Promise<Verified> => verify(root, store, how.signal),

    /** Frees the blocks that nothing has held for a day. Done by itself every minute. */
    sweep,

    /** Bytes that blocks may still take. */
    freeSpace: (): Promise<number> => space.free(),

    /** Bytes of all blocks kept, held or not, and the number of pins. */
    usage: (): { readonly bytes: number; readonly pins: number } => index.usage()
  }
  return content
}
