import type { SQLOutputValue } from 'node:sqlite'
import { createGroupCommit } from './group-commit.ts'
import { openDatabase, type Migration } from './open.ts'

/** Rows that one step of a drop takes: about 10 ms, so that nothing else waits for long. */
const DROP_STEP = 1_000

const PINNED = 1
const DROPPING = 2

const BLOCK_MIGRATIONS: readonly Migration[] = [
  `
  CREATE TABLE roots (
    id INTEGER PRIMARY KEY,
    key TEXT,
    cid TEXT NOT NULL,
    state INTEGER NOT NULL,
    blocks INTEGER NOT NULL DEFAULT 0,
    bytes INTEGER NOT NULL DEFAULT 0
  ) STRICT;
  CREATE UNIQUE INDEX pins ON roots (key) WHERE state = 1;
  CREATE INDEX roots_unfinished ON roots (state) WHERE state <> 1;

  CREATE TABLE blocks (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    bytes INTEGER NOT NULL,
    free_after INTEGER
  ) STRICT;
  CREATE INDEX blocks_free ON blocks (free_after) WHERE free_after IS NOT NULL;

  CREATE TABLE refs (
    root INTEGER NOT NULL,
    block INTEGER NOT NULL,
    codec INTEGER NOT NULL,
    PRIMARY KEY (root, block, codec)
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX refs_of_block ON refs (block);

  CREATE TABLE journal (id INTEGER PRIMARY KEY, key TEXT NOT NULL, content BLOB NOT NULL) STRICT;
  CREATE INDEX journal_of_block ON journal (key);
  `
]

type Row = Record<string, SQLOutputValue>

/** Opens the index of blocks over SQLite; implements the `BlockIndex` port of the content room. Throws `StorageError`. */
export function openBlockIndex(file: string) {
  const db = openDatabase(file, BLOCK_MIGRATIONS)
  const commits = createGroupCommit(db, () => {
    usedBytes = undefined
    // Each open root may have lost a reference with it: none of them becomes a pin.
    totals.clear()
  })
  const number = (text: string): number => (db.prepare(text).get() as { n: number | null }).n ?? 0

  const insertRoot = db.prepare('INSERT INTO roots (id, key, cid, state) VALUES (?, ?, ?, 0)')
  const expectBlock = db.prepare('INSERT OR IGNORE INTO blocks (key, bytes, free_after) VALUES (?, ?, ?)')
  const holdBlock = db.prepare(
    'INSERT INTO blocks (key, bytes) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET free_after = NULL RETURNING id'
  )
  const blockKnown = db.prepare('SELECT 1 FROM blocks WHERE key = ?')
  const anyRef = db.prepare('SELECT 1 FROM refs WHERE root = ? AND block = ? LIMIT 1')
  const insertRef = db.prepare('INSERT OR IGNORE INTO refs VALUES (?, ?, ?)')
  const findRef = db.prepare('SELECT 1 FROM refs WHERE root = ? AND block = (SELECT id FROM blocks WHERE key = ?) AND codec = ?')
  const setState = db.prepare('UPDATE roots SET state = ?, blocks = ?, bytes = ? WHERE id = ?')
  const stateOf = db.prepare('SELECT state FROM roots WHERE id = ?')
  const markDropping = db.prepare('UPDATE roots SET state = ? WHERE id = ?')
  const someRefs = db.prepare('SELECT DISTINCT block FROM refs WHERE root = ? LIMIT ?')
  const deleteRef = db.prepare('DELETE FROM refs WHERE root = ? AND block = ?')
  const letGo = db.prepare('UPDATE blocks SET free_after = ? WHERE id = ? AND NOT EXISTS (SELECT 1 FROM refs WHERE block = blocks.id)')
  const deleteRoot = db.prepare('DELETE FROM roots WHERE id = ?')
  const unfinishedRoots = db.prepare('SELECT id FROM roots WHERE state <> 1')
  const pinOf = db.prepare('SELECT id, cid, blocks, bytes FROM roots WHERE key = ? AND state = 1')
  const pinPage = db.prepare('SELECT id, cid, blocks, bytes FROM roots WHERE id > ? AND state = 1 ORDER BY id LIMIT ?')
  const freeBlocks = db.prepare('SELECT id, key, bytes FROM blocks WHERE free_after <= ? ORDER BY free_after LIMIT ?')
  const journalBlock = db.prepare('INSERT INTO journal (key, content) VALUES (?, ?)')
  const journalPage = db.prepare('SELECT id, key, content FROM journal WHERE id > ? ORDER BY id LIMIT ?')
  const journalEnd = db.prepare('SELECT max(id) AS id FROM journal')
  const settleRow = db.prepare('DELETE FROM journal WHERE id = ?')
  const unjournal = db.prepare('DELETE FROM journal WHERE key = (SELECT key FROM blocks WHERE id = ?)')
  const deleteBlock = db.prepare('DELETE FROM blocks WHERE id = ? AND free_after IS NOT NULL RETURNING bytes')

  let lastRoot = number('SELECT max(id) AS n FROM roots')
  const countBytes = (): number => number('SELECT sum(bytes) AS n FROM blocks')
  let usedBytes: number | undefined = countBytes()
  let pinCount = number('SELECT count(*) AS n FROM roots WHERE state = 1')
  /** Roots whose drop was asked for and may not be committed. */
  const dropped = new Set<number>()
  const totals = new Map<number, { blocks: number; bytes: number }>()

  function addBlock(key: string, bytes: number, insert: () => void): void {
    const known = blockKnown.get(key) !== undefined
    insert()
    if (!known && usedBytes !== undefined) usedBytes += bytes
  }

  /** One step of a drop; whether it was the last. */
  function dropStep(root: number, freeAfter: number): boolean {
    const rows = someRefs.all(root, DROP_STEP) as Row[]
    for (const { block } of rows) {
      deleteRef.run(root, block as number)
      letGo.run(freeAfter, block as number)
    }
    if (rows.length === DROP_STEP) return false
    deleteRoot.run(root)
    return true
  }

  return {
    begin(key: string, cid: string): number {
      const id = ++lastRoot
      totals.set(id, { blocks: 0, bytes: 0 })
      // A failed commit shows at `finish`.
      commits.write(() => insertRoot.run(id, key, cid)).catch(() => undefined)
      return id
    },

    expect: (key: string, bytes: number, freeAfter: number, content?: Uint8Array): Promise<void> =>
      commits.write(() => {
        addBlock(key, bytes, () => expectBlock.run(key, bytes, freeAfter))
        if (content !== undefined) journalBlock.run(key, content)
      }),

    journaled: (after: number, limit: number) =>
      journalPage.all(after, limit) as unknown as { id: number; key: string; content: Uint8Array }[],

    lastJournaled: (): number => (journalEnd.get() as { id: number | null }).id ?? 0,

    settle: (ids: readonly number[]): Promise<void> => commits.write(() => ids.forEach((id) => settleRow.run(id))),

    async refer(root: number, key: string, codec: number, bytes: number): Promise<{ blocks: number; bytes: number }> {
      let now = { blocks: 0, bytes: 0 }
      await commits.write(() =>
        addBlock(key, bytes, () => {
          const { id } = holdBlock.get(key, bytes) as { id: number }
          const counted = anyRef.get(root, id) !== undefined
          insertRef.run(root, id, codec)
          const sum = totals.get(root)
          if (sum === undefined) return
          if (!counted) {
            sum.blocks += 1
            sum.bytes += bytes
          }
          now = { ...sum }
        })
      )
      return now
    },

    knows: (key: string): boolean => blockKnown.get(key) !== undefined,

    refers: (root: number, key: string, codec: number): boolean => findRef.get(root, key, codec) !== undefined,

    async finish(root: number): Promise<void> {
      let opened = false
      await commits.write(() => {
        const sum = totals.get(root)
        if (sum === undefined) return
        opened = setState.run(PINNED, sum.blocks, sum.bytes, root).changes === 1
      })
      totals.delete(root)
      if (!opened) throw new Error('an earlier write of this pin failed')
      pinCount += 1
    },

    async drop(root: number, freeAfter: number): Promise<void> {
      totals.delete(root)
      dropped.add(root)
      let done = false
      while (!done) {
        let wasPin = false
        await commits.write(() => {
          wasPin = (stateOf.get(root) as Row | undefined)?.['state'] === PINNED
          markDropping.run(DROPPING, root)
          done = dropStep(root, freeAfter)
        })
        if (wasPin) pinCount -= 1
      }
      dropped.delete(root)
    },

    unfinished: (): number[] => (unfinishedRoots.all() as Row[]).map((row) => row['id'] as number),

    pin(key: string): RootOut | undefined {
      const row = pinOf.get(key) as RootOut | undefined
      return row === undefined || dropped.has(row.id) ? undefined : row
    },

    pins: (after: number, limit: number) => pinPage.all(after, limit) as unknown as RootOut[],

    free(now: number, limit: number) {
      commits.flush()
      return freeBlocks.all(now, limit) as unknown as { id: number; key: string; bytes: number }[]
    },

    forget: (ids: readonly number[]): Promise<void> =>
      commits.write(() => {
        for (const id of ids) {
          unjournal.run(id)
          const gone = deleteBlock.get(id) as { bytes: number } | undefined
          if (gone !== undefined && usedBytes !== undefined) usedBytes -= gone.bytes
        }
      }),

    usage: () => ({ bytes: (usedBytes ??= countBytes()), pins: pinCount }),

    close(): void {
      commits.flush()
      db.close()
    }
  }
}

interface RootOut {
  readonly id: number
  readonly cid: string
  readonly blocks: number
  readonly bytes: number
}
