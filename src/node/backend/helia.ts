import { join } from 'node:path'
import type { Libp2p } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { CID } from 'multiformats/cid'
import { createContent, type Content } from '../../content/content.ts'
import { ContentError } from '../../content/errors.ts'
import type { Clock } from '../../protocol/clock.ts'
import { openBlockIndex } from '../../storage/block-index.ts'
import { createOriginDialer } from './dialer.ts'
import { BackendError, type BackendHealth, type PinBackend, type PinCheck, type PinStat } from '../ports.ts'

/** Pins at a time; more gain nothing while one bitswap message carries the wants of all. */
const CONCURRENCY = 64

/** What the dial of one peer may take, milliseconds. */
const DIAL_MS = 5_000

/** What the embedded backend may be told. */
export interface HeliaBackendOptions {
  /** Holds `blocks/` and `blocks.db`; must exist. */
  readonly dir: string
  /** Bytes that the blocks may take; without it, what the disk has. */
  readonly capacity?: number
}

/** The embedded backend, and the content store behind it. */
export interface HeliaBackend extends PinBackend {
  /** For reading blocks back and for freeing them; good between `start` and `stop`. */
  readonly content: Content
}

/**
 * The embedded backend: blocks on this machine's disk, exchanged by bitswap on the agent's own libp2p host, which must be
 * started before and stopped after it. `start` throws `StorageError` when the index cannot be opened.
 */
export function createHeliaBackend(options: HeliaBackendOptions, ports: { readonly libp2p: Libp2p; readonly clock: Clock }): HeliaBackend {
  const { libp2p, clock } = ports
  let running: { readonly content: Content; readonly close: () => void } | undefined

  const reach = createOriginDialer((address) => libp2p.dial(multiaddr(address), { signal: AbortSignal.timeout(DIAL_MS) }), { clock })

  function content(): Content {
    if (running === undefined) throw new BackendError('unavailable', 'the embedded backend is not running')
    return running.content
  }

  return {
    kind: 'helia',
    reach,
    concurrency: CONCURRENCY,

    get content() {
      return content()
    },

    async start(): Promise<void> {
      if (running !== undefined) return
      const index = openBlockIndex(join(options.dir, 'blocks.db'))
      const { capacity } = options
      const made = createContent(
        { dir: join(options.dir, 'blocks'), ...(capacity === undefined ? {} : { capacity }) },
        { libp2p, index, clock }
      )
      try {
        await made.start()
      } catch (err) {
        index.close()
        throw asBackendError(err)
      }
      running = { content: made, close: () => index.close() }
    },

    async stop(): Promise<void> {
      const { content: made, close } = running ?? {}
      running = undefined
      await made?.stop()
      close?.()
    },

    async pin(cid, { signal, origins, onProgress }): Promise<PinStat> {
      try {
        const { bytes } = await content().pin(cid, { signal, origins, ...(onProgress === undefined ? {} : { onProgress }) })
        return { bytes, foreign: false }
      } catch (err) {
        throw asBackendError(err)
      }
    },

    async unpin(cid, { signal }): Promise<void> {
      signal.throwIfAborted()
      try {
        await content().unpin(cid)
      } catch (err) {
        throw asBackendError(err)
      }
    },

    async *list({ signal }): AsyncGenerator<CID> {
      for (const { cid } of content().list()) {
        signal.throwIfAborted()
        yield cid
      }
    },

    async stat(cid): Promise<PinStat | undefined> {
      const held = content().stat(cid)
      return held === undefined ? undefined : { bytes: held.bytes, foreign: false }
    },

    async check(cid, { signal }): Promise<PinCheck> {
      if (content().stat(cid) === undefined) return 'missing'
      try {
        const { missing, corrupt } = await content().verify(cid, { signal })
        if (corrupt > 0) return 'damaged'
        return missing > 0 ? 'missing' : 'held'
      } catch (err) {
        throw asBackendError(err)
      }
    },

    async health(): Promise<BackendHealth> {
      try {
        const { bytes, pins } = content().usage()
        return { ok: true, version: 'embedded', freeBytes: await content().freeSpace(), usedBytes: bytes, pins }
      } catch (err) {
        return { ok: false, reason: err instanceof Error ? err.message : String(err) }
      }
    },

    async peer() {
      const addresses = libp2p.getMultiaddrs().map((address) => address.toString().replace(/\/p2p\/[^/]+$/, ''))
      return { peer: libp2p.peerId.toString(), addresses }
    }
  }
}

function asBackendError(err: unknown): unknown {
  return err instanceof ContentError ? new BackendError(err.code, err.message, { cause: err }) : err
}
