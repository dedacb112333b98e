import { withBitswap, type BitswapBlockBrokerInit } from '@helia/bitswap'
import type { Libp2p, PeerId, Stream, StreamHandler, StreamHandlerOptions } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { guardFields } from '../network/field-guard.ts'
import { MAX_BITSWAP_CID_BYTES, MAX_BITSWAP_FIELDS, MAX_BLOCK_BYTES, MAX_PEER_WANTS } from '../protocol/limits.ts'
import type { Shape } from '../protocol/protobuf-frames.ts'
import { ContentError } from './errors.ts'
import type { Streams } from './streams.ts'
import { serveInTurns } from './turns.ts'

/** Where bitswap finds the blocks that peers ask for. */
export interface BlockSource {
  /** The block's size; undefined when it is not here. */
  size(cid: CID): Promise<number | undefined>
  /** The block's bytes; undefined when it is not here. */
  read(cid: CID): Promise<Uint8Array | undefined>
}

/** The part of Helia's bitswap that is used here. */
export interface Bitswap {
  /** Asks all connected peers for a block until one sends it or the signal ends it. */
  retrieve(cid: CID, options: { readonly signal: AbortSignal }): Promise<Uint8Array>
  /** Sends a block that has arrived to the peers that asked for it. */
  announce(cid: CID): Promise<void>
  stop(): Promise<void>
}

/** What bitswap writes to a peer with. */
type Outlet = Pick<Stream, 'send' | 'onDrain' | 'closeRead' | 'close' | 'abort'>

/** The protocol's name, see https://specs.ipfs.tech/bitswap-protocol/. */
export const BITSWAP = '/ipfs/bitswap/1.2.0'

/** A bitswap message: wants, blocks, and words on whether blocks are there. */
export const MESSAGE: Shape = {
  1: { 1: { 1: MAX_BITSWAP_CID_BYTES, 2: 'number', 3: 'number', 4: 'number', 5: 'number' }, 2: 'number' },
  3: { 1: MAX_BITSWAP_CID_BYTES, 2: 'bytes' },
  4: { 1: MAX_BITSWAP_CID_BYTES, 2: 'number' },
  5: 'number'
}

/** Not identity: nobody needs such a block from others, and bitswap would make a name of all its bytes. */
const HASHERS: ReadonlyMap<number, unknown> = new Map<number, unknown>([sha256, sha512].map((hasher) => [hasher.code, hasher] as const))

/** What a message takes besides its block, at most. */
const MESSAGE_BYTES = 1_024

/** Wants go out with what the event loop holds ready: small pins wait for nothing else. */
const WANTLIST_DEBOUNCE_MS = 2

/**
 * Starts `@helia/bitswap` on our own libp2p host. The package hands its broker only to a Helia node, and a Helia node
 * brings stores, keychain and DNS that nothing here uses; so this is the part of one that the broker asks for.
 */
export async function startBitswap(libp2p: Libp2p, streams: Streams, source: BlockSource): Promise<Bitswap> {
  const blocks = servable(source)
  let broker: Bitswap | undefined
  let begin: ((helia: unknown) => Promise<void> | void) | undefined
  const helia = {
    status: 'starting',
    libp2p: {
      handle: (protocols: string[], handler: StreamHandler, options: StreamHandlerOptions) =>
        libp2p.handle(
          protocols,
          (stream, connection) => {
            guardFields(stream, MESSAGE, MAX_BITSWAP_FIELDS)
            return handler(stream, connection)
          },
          options
        ),
      unhandle: libp2p.unhandle.bind(libp2p),
      register: libp2p.register.bind(libp2p),
      unregister: libp2p.unregister.bind(libp2p),
      getConnections: libp2p.getConnections.bind(libp2p),
      // It would open a stream for every message, and no want goes to anyone while one peer does not take its own.
      dialProtocol: async (peer: PeerId): Promise<Outlet> => {
        const outbox = streams.to(peer)
        return {
          send(message) {
            outbox.send(message)
            return true
          },
          onDrain: async () => undefined,
          closeRead: async () => undefined,
          close: async () => undefined,
          abort: (err) => outbox.abort(err)
        }
      }
    },
    logger: libp2p.logger,
    routing: { findProviders: async function* () {} },
    // Any other error than this one leaves the peer's wants marked as being sent, for good.
    blockstore: {
      has: (cid: CID) =>
        blocks.size(cid).then(
          (size) => size !== undefined,
          () => false
        ),
      async *get(cid: CID) {
        const bytes = await blocks.read(cid).catch(() => undefined)
        if (bytes === undefined) throw Object.assign(new ContentError('not-found', `block ${cid} is not here`), { name: 'NotFoundError' })
        yield bytes
      }
    },
    // Without a hasher bitswap skips that block and reads on.
    getHasher: (code: number) => HASHERS.get(code),
    hasBlockBroker: () => false,
    addBlockBroker: (value: Bitswap) => {
      broker = value
    },
    addMixin: (mixin: { start: (helia: unknown) => Promise<void> | void }) => {
      begin = mixin.start
    }
  }
  const options: BitswapBlockBrokerInit & { maxWantListSize: number } = {
    sendWantlistDebounce: WANTLIST_DEBOUNCE_MS,
    // None of them waits for its peer.
    messageSendConcurrency: Infinity,
    // A block that does not fit would be split from what is around it without end.
    maxOutgoingMessageSize: MAX_BLOCK_BYTES + MESSAGE_BYTES,
    maxIncomingMessageSize: 2 * MAX_BLOCK_BYTES,
    // The documented option is spelled otherwise than the one that is read.
    maxWantlistSize: MAX_PEER_WANTS,
    maxWantListSize: MAX_PEER_WANTS
  }
  withBitswap(helia as unknown as Parameters<typeof withBitswap>[0], options)
  await begin?.(helia)
  if (broker === undefined) throw new ContentError('failed', 'this version of @helia/bitswap does not hand out its broker')
  serveInTurns(broker, { size: blocks.size, taken: streams.taken })
  return broker
}

/** What is larger than any peer takes counts as not here. */
function servable({ size, read }: BlockSource): BlockSource {
  return {
    async size(cid) {
      const bytes = await size(cid)
      return bytes === undefined || bytes > MAX_BLOCK_BYTES ? undefined : bytes
    },
    async read(cid) {
      const bytes = await read(cid)
      return bytes === undefined || bytes.byteLength > MAX_BLOCK_BYTES ? undefined : bytes
    }
  }
}
