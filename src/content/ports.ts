/** What the content room needs from the world. */

/** Blocks and bytes of a DAG, each block counted once. */
export interface Totals {
  readonly blocks: number
  readonly bytes: number
}

/** A pinned DAG. */
export interface RootRow extends Totals {
  readonly id: number
  /** The CID as it was spelled when it was pinned. */
  readonly cid: string
}

/** A block that no root holds. */
export interface FreeBlock {
  readonly id: number
  readonly key: string
  readonly bytes: number
}

/** A block whose file may not be durable yet. */
export interface JournaledBlock {
  readonly id: number
  readonly key: string
  readonly content: Uint8Array
}

/**
 * Which roots hold which blocks: a relation, so that every step can be repeated and none can be counted twice.
 * A block has a row before its file has a name, and keeps it until the file is gone, so no file is ever unknown.
 * Writes are queued in the order of the calls and committed together; a promise resolves when its write is durable.
 * Rejections are errors of the disk.
 */
export interface BlockIndex {
  /** Opens a root to hang blocks on; it is no pin yet. The id is good at once. */
  begin(key: string, cid: string): number
  /**
   * States that a block's file is about to be: it is freed after `freeAfter` (ms since the epoch) unless a root refers to it.
   * With `content` the block is kept in the journal too, until its file is known to be durable.
   */
  expect(block: string, bytes: number, freeAfter: number, content?: Uint8Array): Promise<void>
  /** Blocks in the journal with an id above `after`, lowest first. */
  journaled(after: number, limit: number): JournaledBlock[]
  /** The highest id in the journal; 0 when it is empty. */
  lastJournaled(): number
  /** Takes blocks out of the journal: their files are durable. */
  settle(ids: readonly number[]): Promise<void>
  /** Whether a block has a committed row; without one it has no file. */
  knows(block: string): boolean
  /** Holds a block for a root and gives what the root holds with it; repeating it is harmless. */
  refer(root: number, block: string, codec: number, bytes: number): Promise<Totals>
  /** Whether a committed {@link BlockIndex.refer} says so. */
  refers(root: number, block: string, codec: number): boolean
  /** Makes the root a pin. */
  finish(root: number): Promise<void>
  /**
   * Ends a pin or an unfinished root: it is no pin any more after the first commit, and its blocks are let go in steps;
   * those that no other root holds may be freed after `freeAfter`.
   */
  drop(root: number, freeAfter: number): Promise<void>
  /** Roots that a crash left unfinished or half dropped. */
  unfinished(): number[]
  /** The pin of a key, if there is one. */
  pin(key: string): RootRow | undefined
  /** Pins with an id above `after`, lowest first. */
  pins(after: number, limit: number): RootRow[]
  /** Blocks that no root holds and whose time is up at `now`, the longest unheld first. Sees all that was queued before. */
  free(now: number, limit: number): FreeBlock[]
  /** Forgets blocks whose files are gone, unless a root holds them again. */
  forget(ids: readonly number[]): Promise<void>
  /** Bytes of all blocks known, held or not, and the number of pins. */
  usage(): { readonly bytes: number; readonly pins: number }
  /** Writes what is queued and closes the file. */
  close(): void
}
