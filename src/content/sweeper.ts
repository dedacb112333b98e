import type { Clock } from '../protocol/clock.ts'
import type { FileBlockstore } from './blockstore.ts'
import type { Guards } from './guards.ts'
import type { BlockIndex, FreeBlock } from './ports.ts'

/** Blocks freed in one step. */
const STEP = 500

/** What a sweep freed. */
export interface Swept {
  readonly blocks: number
  readonly bytes: number
}

/** What the sweeper works with. */
export interface SweeperPorts {
  readonly store: FileBlockstore
  readonly index: BlockIndex
  readonly guards: Guards
  readonly clock: Clock
}

/** Removes the files of blocks that no root holds, then their rows, one sweep at a time. */
export function createSweeper(ports: SweeperPorts) {
  const { store, index, guards, clock } = ports
  let last: Promise<unknown> = Promise.resolve()

  /** Frees blocks in their order until it is enough. Takes them before it first waits, so that none is held again meanwhile. */
  async function free(blocks: readonly FreeBlock[], enough: number): Promise<Swept> {
    const taken: { readonly block: FreeBlock; readonly give: () => void }[] = []
    let bytes = 0
    for (const block of blocks) {
      if (bytes >= enough) break
      const give = guards.tryTake(block.key)
      if (give === undefined) continue
      taken.push({ block, give })
      bytes += block.bytes
    }
    try {
      await store.remove(taken.map(({ block }) => block.key))
      await index.forget(taken.map(({ block }) => block.id))
    } finally {
      taken.forEach(({ give }) => give())
    }
    return { blocks: taken.length, bytes }
  }

  async function sweep(now: number, enough: number): Promise<Swept> {
    let [blocks, bytes] = [0, 0]
    while (bytes < enough) {
      const freed = await free(index.free(now, STEP), enough - bytes)
      if (freed.blocks === 0) break
      blocks += freed.blocks
      bytes += freed.bytes
    }
    return { blocks, bytes }
  }

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = last.then(work, work)
    last = turn.catch(() => undefined)
    return turn
  }

  return {
    /** Frees what is due. */
    sweep: (): Promise<Swept> => inTurn(() => sweep(clock.now(), Infinity)),

    /** Frees at least so many bytes of what nothing holds, due or not, the longest unheld first. */
    makeRoom: (bytes: number): Promise<Swept> => inTurn(() => sweep(Number.MAX_SAFE_INTEGER, bytes))
  }
}
