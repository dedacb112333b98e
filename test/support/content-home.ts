import { mkdtempSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Libp2p } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { createContent, type Content } from '../../src/content/content.ts'
import { openBlockIndex } from '../../src/storage/block-index.ts'
import { createShiftedClock } from './clock.ts'
import { makeHost } from './libp2p.ts'
import { makePinPeer, type PinPeer } from './pin-peer.ts'

/** A content store in a folder of its own, with a peer that serves blocks and a clock that can be put forward. */
export interface ContentHome extends AsyncDisposable {
  readonly dir: string
  readonly content: Content
  readonly peer: PinPeer
  readonly libp2p: Libp2p
  /** Pins with the peer as origin. */
  pin(cid: CID, signal?: AbortSignal): Promise<unknown>
  /** Puts the clock forward. */
  advance(ms: number): void
  /** Names of all block files. */
  files(): Promise<string[]>
  stop(): Promise<void>
  start(): Promise<void>
}

/** Starts a {@link ContentHome}. */
export async function makeContentHome(options: { capacity?: number } = {}): Promise<ContentHome> {
  const dir = mkdtempSync(join(tmpdir(), 'pinsub-content-'))
  const clock = createShiftedClock()
  const libp2p = await makeHost()
  const peer = await makePinPeer()
  const begin = async () => {
    const index = openBlockIndex(join(dir, 'blocks.db'))
    const content = createContent({ dir: join(dir, 'blocks'), ...options }, { libp2p, index, clock })
    await content.start()
    return { content, index }
  }
  let running: Awaited<ReturnType<typeof begin>> | undefined = await begin()

  const home: ContentHome = {
    dir,
    peer,
    libp2p,
    get content() {
      if (running === undefined) throw new Error('stopped')
      return running.content
    },
    pin: (cid, signal = new AbortController().signal) => home.content.pin(cid, { signal, origins: [peer.origin] }),
    advance(ms) {
      clock.shift(ms)
    },
    files: async () =>
      (await readdir(join(dir, 'blocks'), { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map(({ name }) => name),
    async stop() {
      await running?.content.stop()
      running?.index.close()
      running = undefined
    },
    async start() {
      running = await begin()
    },
    async [Symbol.asyncDispose]() {
      await home.stop()
      await peer.stop()
      await libp2p.stop()
      await rm(dir, { recursive: true, force: true })
    }
  }
  return home
}
