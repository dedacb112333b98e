import type { Libp2p, PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { varint } from 'multiformats'
import { BITSWAP } from './bitswap.ts'
import type { Streams } from './streams.ts'

/** Cancels in one message: about 45 KB. */
const MAX_ENTRIES = 1_000

/** How long cancels wait for more of them. */
const GATHER_MS = 20

/**
 * Tells peers which blocks are no longer wanted. `@helia/bitswap` never does, so that every peer that comes to hold a block
 * later would send it once more: a DAG pinned on three nodes would travel between each two of them.
 */
export function createCancels(libp2p: Libp2p, streams: Streams) {
  const peers = new Map<string, PeerId>()
  const waiting = new Map<string, CID>()
  let timer: ReturnType<typeof setTimeout> | undefined
  let topology: string | undefined

  function flush(): void {
    timer = undefined
    const cids = [...waiting.values()].slice(0, MAX_ENTRIES)
    for (const key of [...waiting.keys()].slice(0, MAX_ENTRIES)) waiting.delete(key)
    const message = encodeCancels(cids)
    // A cancel that is lost costs a block sent for nothing.
    for (const peer of peers.values()) streams.to(peer).send(message)
    if (waiting.size > 0) timer = setTimeout(flush, 0)
  }

  return {
    async start(): Promise<void> {
      topology = await libp2p.register(BITSWAP, {
        onConnect: (peer) => void peers.set(peer.toString(), peer),
        onDisconnect: (peer) => void peers.delete(peer.toString())
      })
    },

    /** Cancels the want of a block at all peers, soon. */
    cancel(key: string, cid: CID): void {
      if (peers.size === 0) return
      waiting.set(key, cid)
      timer ??= setTimeout(flush, GATHER_MS)
    },

    /** Takes back a cancel that has not gone out: the block is wanted again. */
    keep(key: string): void {
      waiting.delete(key)
    },

    stop(): void {
      clearTimeout(timer)
      if (topology !== undefined) libp2p.unregister(topology)
    }
  }
}

/** A bitswap message, with its length before it, that cancels the wants of `cids`. */
export function encodeCancels(cids: readonly CID[]): Uint8Array {
  const entries = cids.map((cid) => field(1, concat(field(1, cid.bytes), Uint8Array.of(0x18, 1))))
  const message = field(1, concat(...entries))
  return concat(lengthOf(message), message)
}

function field(number: number, value: Uint8Array): Uint8Array {
  return concat(Uint8Array.of((number << 3) | 2), lengthOf(value), value)
}

function lengthOf(bytes: Uint8Array): Uint8Array {
  return varint.encodeTo(bytes.byteLength, new Uint8Array(varint.encodingLength(bytes.byteLength)))
}

function concat(...parts: Uint8Array[]): Uint8Array {
  return Buffer.concat(parts)
}
