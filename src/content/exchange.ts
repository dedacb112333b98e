import { setTimeout as sleep } from 'node:timers/promises'
import type { Libp2p } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { MAX_BLOCK_BYTES, MAX_FETCHES } from '../protocol/limits.ts'
import { BITSWAP, startBitswap, type Bitswap, type BlockSource } from './bitswap.ts'
import { orAbort } from './abort.ts'
import { createCancels } from './cancels.ts'
import { ContentError } from './errors.ts'
import { createGather } from './gather.ts'
import { assertKnownHash, blockKey, checkHash } from './multihash.ts'
import { createSlots } from './slots.ts'
import { createStreams } from './streams.ts'

/** A block that has not come by then is asked for again: its message may be lost. Above the 5 s in which peers send nothing twice. */
const REWANT_MS = 6_000

/** Lets bitswap forget the want that was given up, since it drops one that comes back sooner. */
const SETTLE_MS = 50

/** A want that nobody answers so long gives its place to others. */
const PLACE_MS = 1_000

/** With more wants than this under way, new ones wait for company: a message costs a stream at both ends. */
const FEW_WANTS = 4

/** How long they wait. */
const GATHER_MS = 15

/**
 * How long a new block is kept from peers. Nodes that pin the same thing have it from its source by then, and their cancels
 * are here; without it each block would travel between each two of them.
 */
const ANNOUNCE_MS = 200

/** Makes what fetches blocks from connected peers and serves them ours, on a started libp2p host. */
export function createExchange(ports: { readonly libp2p: Libp2p; readonly blocks: BlockSource }) {
  const { libp2p, blocks } = ports
  const slots = createSlots(MAX_FETCHES)
  const streams = createStreams(libp2p, BITSWAP)
  const cancels = createCancels(libp2p, streams)
  const gather = createGather(FEW_WANTS, GATHER_MS)
  const served: BlockSource = {
    size: async (cid) => (fresh.has(blockKey(cid.multihash)) ? undefined : blocks.size(cid)),
    read: blocks.read
  }
  let bitswap: Bitswap | undefined
  const fresh = new Map<string, ReturnType<typeof setTimeout>>()

  async function want(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
    for (;;) {
      if (bitswap === undefined) throw new ContentError('failed', 'the exchange is not started')
      const again = AbortSignal.timeout(REWANT_MS)
      try {
        // Bitswap ends an aborted want only after the message it is sending.
        return await orAbort(bitswap.retrieve(cid, { signal: AbortSignal.any([signal, again]) }), signal)
      } catch (err) {
        signal.throwIfAborted()
        if (!again.aborted)
          throw new ContentError('failed', `cannot fetch ${cid}: ${err instanceof Error ? err.message : String(err)}`, { cause: err })
      }
      await sleep(SETTLE_MS)
    }
  }

  return {
    async start(): Promise<void> {
      bitswap = await startBitswap(libp2p, streams, served)
      await cancels.start()
    },

    async stop(): Promise<void> {
      for (const timer of fresh.values()) clearTimeout(timer)
      fresh.clear()
      cancels.stop()
      await bitswap?.stop()
      bitswap = undefined
      await streams.stop()
    },

    /**
     * Asks connected peers, and those that connect later, until one sends the block; its hash is checked.
     * One call a block at a time. Ends only by the signal when nobody has it. Throws {@link ContentError}: `too-large`, `invalid`.
     */
    async fetch(cid: CID, signal: AbortSignal): Promise<Uint8Array> {
      assertKnownHash(cid)
      const key = blockKey(cid.multihash)
      const release = await slots.acquire(signal)
      const timer = setTimeout(release, PLACE_MS)
      const leave = await gather.enter()
      cancels.keep(key)
      try {
        const bytes = await want(cid, signal)
        if (bytes.byteLength > MAX_BLOCK_BYTES)
          throw new ContentError('too-large', `block ${cid} has ${bytes.byteLength} bytes; the limit is ${MAX_BLOCK_BYTES}`)
        if (!checkHash(cid, bytes)) throw new ContentError('invalid', `the bytes received for ${cid} do not have its hash`)
        return bytes
      } finally {
        clearTimeout(timer)
        leave()
        release()
        cancels.cancel(key, cid)
      }
    },

    /** Lets peers have a block that came just now, soon, and sends it to those that asked for it before. */
    announce(cid: CID): void {
      const key = blockKey(cid.multihash)
      if (fresh.has(key)) return
      const timer = setTimeout(() => {
        fresh.delete(key)
        bitswap?.announce(cid).catch(() => undefined)
      }, ANNOUNCE_MS)
      fresh.set(key, timer)
    }
  }
}
