import type { CID } from 'multiformats/cid'
import type { Clock } from '../protocol/clock.ts'
import { cidKey } from '../protocol/cid.ts'
import { WALK_WIDTH } from '../protocol/limits.ts'
import { assertKnownCodec, isLeaf, linksOf } from './codecs.ts'
import { ContentError, diskError } from './errors.ts'
import { GRACE_MS, type Keeper } from './keeper.ts'
import { mend } from './mend.ts'
import { assertKnownHash, blockKey, isIdentity } from './multihash.ts'
import type { BlockIndex, Totals } from './ports.ts'
import { createShared } from './shared.ts'
import { walk } from './walk.ts'

/** References that wait for their commit before the walk waits for one. */
const MAX_PENDING = 1_000

/** What a pin may be told. */
export interface ContentPinOptions {
  readonly signal: AbortSignal
  /** Multiaddrs with /p2p of peers that may hold the content; dialled while connected peers are asked, failures ignored. */
  readonly origins?: readonly string[]
  /** Called with growing numbers as blocks are kept. */
  readonly onProgress?: (progress: Totals) => void
}

/** What the pinner works with. */
export interface PinnerPorts {
  readonly keeper: Keeper
  readonly index: BlockIndex
  readonly clock: Clock
  readonly dial: (origins: readonly string[], signal: AbortSignal) => Promise<void>
}

/** Pins and unpins whole DAGs. */
export function createPinner(ports: PinnerPorts) {
  const { keeper, index, clock } = ports
  const jobs = createShared<Totals>()
  const listeners = new Map<string, Set<(progress: Totals) => void>>()
  const undropped = new Set<number>()

  async function drop(root: number): Promise<void> {
    undropped.add(root)
    await index.drop(root, clock.now() + GRACE_MS)
    undropped.delete(root)
  }

  /** Has `root` refer to every block; what it gives resolves when the last block is durable. */
  async function keepAll(
    root: number,
    cid: CID,
    signal: AbortSignal,
    onProgress: (progress: Totals) => void
  ): Promise<{ settled: Promise<void> }> {
    const pending = new Map<string, Promise<void>>()
    let failure: unknown
    let referred = false
    let told = 0

    async function visit(at: CID, within: AbortSignal): Promise<readonly CID[]> {
      assertKnownCodec(at)
      assertKnownHash(at)
      if (isIdentity(at)) return linksOf(at, at.multihash.digest)
      const key = blockKey(at.multihash)
      const name = `${key}/${at.code}`
      if (pending.has(name) || (referred && index.refers(root, key, at.code))) return []
      const done = Promise.withResolvers<void>()
      pending.set(name, done.promise)
      const block = await keeper.keep(at, root, within)
      referred = true
      block.referred.then(
        (progress) => {
          pending.delete(name)
          done.resolve()
          // A reference is durable with others, but its file may have its name later than theirs.
          if (progress.blocks < told) return
          told = progress.blocks
          onProgress(progress)
        },
        (err: unknown) => {
          failure = err
          done.resolve()
        }
      )
      if (failure !== undefined) throw failure
      if (pending.size > MAX_PENDING) await done.promise
      return isLeaf(at) ? [] : linksOf(at, block.bytes)
    }

    await walk(cid, { width: WALK_WIDTH, signal, visit })
    const settled = Promise.all(pending.values()).then(() => {
      if (failure !== undefined) throw failure
    })
    settled.catch(() => undefined)
    return { settled }
  }

  async function pinNow(key: string, cid: CID, signal: AbortSignal): Promise<Totals> {
    const tell = (progress: Totals): void => listeners.get(key)?.forEach((listener) => listener(progress))
    const held = index.pin(key)
    if (held !== undefined) {
      await mend(cid, held.id, { keeper, signal, onProgress: tell })
      return { blocks: held.blocks, bytes: held.bytes }
    }
    const root = index.begin(key, cid.toString())
    try {
      const { settled } = await keepAll(root, cid, signal, tell)
      // In the order of the calls, so the pin is in the commit of its last reference, or in a later one.
      const finished = index.finish(root).catch((err: unknown) => {
        throw diskError(err, `the pin of ${cid}`)
      })
      await Promise.all([settled, finished])
    } catch (err) {
      await drop(root).catch(() => undefined)
      throw err
    }
    const { blocks, bytes } = index.pin(key) ?? { blocks: 0, bytes: 0 }
    return { blocks, bytes }
  }

  return {
    /**
     * Fetches what is missing of a DAG and holds all of it; durable when it resolves. Equal pins at a time share the work.
     * After a rejection nothing is held for it, and what had come is freed a day later. Of a DAG that is held already every block
     * is looked at, and what is gone or damaged is fetched anew; it stays held whatever comes of that. Throws {@link ContentError}.
     */
    async pin(cid: CID, options: ContentPinOptions): Promise<Totals> {
      const key = cidKey(cid)
      const { onProgress } = options
      const audience = listeners.get(key) ?? new Set()
      listeners.set(key, audience)
      if (onProgress !== undefined) audience.add(onProgress)
      try {
        const pinned = jobs.run(key, options.signal, (signal) => pinNow(key, cid, signal))
        if (options.origins !== undefined && options.origins.length > 0) {
          void ports.dial(options.origins, options.signal)
        }
        return await pinned
      } finally {
        if (onProgress !== undefined) audience.delete(onProgress)
        if (audience.size === 0 && listeners.get(key) === audience) listeners.delete(key)
      }
    },

    /** Lets go of a pin, and ends one that is under way; durable when it resolves. Its blocks are freed a day later, unless another pin holds them. */
    async unpin(cid: CID): Promise<void> {
      const key = cidKey(cid)
      await jobs.cancel(key, new ContentError('failed', `${cid} was unpinned while it was being pinned`))
      const row = index.pin(key)
      if (row === undefined) return
      await drop(row.id).catch((err: unknown) => {
        throw diskError(err, `the unpin of ${cid}`)
      })
    },

    /** Lets go of what a crash or a full disk left half done. */
    async tidy(): Promise<void> {
      for (const root of undropped) await drop(root)
    },

    /** Takes over roots that an earlier run left unfinished; {@link tidy} drops them. */
    adopt(): void {
      for (const root of index.unfinished()) undropped.add(root)
    },

    /** Aborts all pins and waits until they have ended. */
    async stop(): Promise<void> {
      jobs.cancelAll(new ContentError('failed', 'the content store is stopping'))
      await jobs.idle()
      await keeper.idle()
    }
  }
}
