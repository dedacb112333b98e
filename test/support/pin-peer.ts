import { rm } from 'node:fs/promises'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Libp2p } from '@libp2p/interface'
import { createFileBlockstore } from '../../src/content/blockstore.ts'
import { createExchange } from '../../src/content/exchange.ts'
import { blockKey } from '../../src/content/multihash.ts'
import type { ProviderPeer } from '../contract/pin-backend.ts'
import { makeHost } from './libp2p.ts'

/** A libp2p host of its own that serves the blocks it is given over bitswap. */
export interface PinPeer extends ProviderPeer {
  readonly libp2p: Libp2p
  stop(): Promise<void>
}

/** Starts a {@link PinPeer}. */
export async function makePinPeer(): Promise<PinPeer> {
  const dir = mkdtempSync(join(tmpdir(), 'pinsub-peer-'))
  const libp2p = await makeHost()
  const store = createFileBlockstore({ dir, durable: false })
  await store.start()
  const exchange = createExchange({ libp2p, blocks: store })
  await exchange.start()
  return {
    libp2p,
    origin: String(libp2p.getMultiaddrs()[0]),
    async provide(blocks) {
      await Promise.all(blocks.map(({ cid, bytes }) => store.put(cid, bytes)))
      for (const { cid } of blocks) exchange.announce(cid)
    },
    lose: (cid) => store.remove([blockKey(cid.multihash)]),
    async stop() {
      await exchange.stop()
      await libp2p.stop()
      await rm(dir, { recursive: true, force: true })
    }
  }
}
