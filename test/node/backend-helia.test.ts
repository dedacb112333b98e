import { rm } from 'node:fs/promises'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHeliaBackend, type HeliaBackend } from '../../src/node/backend/helia.ts'
import { describePinBackend, type PinBackendHarness } from '../contract/pin-backend.ts'
import { blockFile } from '../support/block-file.ts'
import { createShiftedClock } from '../support/clock.ts'
import { makeHost } from '../support/libp2p.ts'
import { makePinPeer, type PinPeer } from '../support/pin-peer.ts'

const DAY = 24 * 60 * 60_000

async function makeHarness(): Promise<PinBackendHarness> {
  const dir = mkdtempSync(join(tmpdir(), 'pinsub-helia-'))
  const clock = createShiftedClock()
  const libp2p = await makeHost()
  const peers: PinPeer[] = []
  const begin = async (): Promise<HeliaBackend> => {
    const made = createHeliaBackend({ dir }, { libp2p, clock })
    await made.start()
    return made
  }
  let backend = await begin()

  return {
    get backend() {
      return backend
    },
    async makePeer() {
      const peer = await makePinPeer()
      peers.push(peer)
      return peer
    },
    async restart() {
      await backend.stop()
      backend = await begin()
    },
    async free() {
      clock.shift(DAY + 1)
      await backend.content.sweep()
    },
    hasBlock: (cid) => backend.content.blockstore.has(cid),
    blockFile: (cid) => blockFile(join(dir, 'blocks'), cid),
    async stop() {
      await backend.stop()
      await libp2p.stop()
      await Promise.all(peers.map((peer) => peer.stop()))
      await rm(dir, { recursive: true, force: true })
    }
  }
}

describePinBackend('embedded', makeHarness)
