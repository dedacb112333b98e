import type { FileBlockstore } from './blockstore.ts'
import type { BlockIndex } from './ports.ts'

/** Blocks in one step. */
const STEP = 200

/**
 * Small blocks are durable in the index's journal first; their files are written without a sync. Here the files become
 * durable later, when the system has written most of them by itself and a sync costs little, and after a crash they are
 * written again where they are not what they should be.
 */
export function createJournal(ports: { readonly store: FileBlockstore; readonly index: BlockIndex }) {
  const { store, index } = ports
  let ripe = 0

  return {
    /** Restores files that a crash of the machine lost; before anything else looks at them. */
    async recover(): Promise<void> {
      let after = 0
      for (let page = index.journaled(after, STEP); page.length > 0; page = index.journaled(after, STEP)) {
        for (const { id, key, content } of page) {
          await store.restore(key, content)
          after = id
        }
      }
    },

    /** Makes the files durable that were in the journal at the last call, and takes them out of it. */
    async settle(): Promise<void> {
      const upTo = ripe
      ripe = index.lastJournaled()
      for (;;) {
        const page = index.journaled(0, STEP).filter(({ id }) => id <= upTo)
        if (page.length === 0) return
        await store.sync(page.map(({ key }) => key))
        await index.settle(page.map(({ id }) => id))
      }
    }
  }
}
