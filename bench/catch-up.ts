/**
 * A newcomer to a node with 5,200 pins, each a command of its own: until it knows all, and until it holds all; and how long the built-in
 * storage takes for the same pins from the same node when nothing else is to be done.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { homeLayout } from '../src/config/home.ts'
import { freshHostKey } from '../src/identity/host-key.ts'
import { systemClock } from '../src/network/clock.ts'
import { createHost } from '../src/network/host.ts'
import { createHeliaBackend } from '../src/node/backend/helia.ts'
import { startAgent } from './support/agents.ts'
import { countRows } from './support/count-rows.ts'
import type { Figure } from './support/figure.ts'
import { writeHistory } from './support/history.ts'
import { createStage } from './support/stage.ts'

const PINS = 5_200

/** Looked at so often; milliseconds. */
const LOOK_MS = 50

/** Runs it. */
export async function catchUp(): Promise<Figure[]> {
  await using stage = await createStage(0)
  const { dir, network, line } = stage
  const cids = await stage.provide(PINS, 'catch-up')
  const oldHome = join(dir, 'old')
  await writeHistory(oldHome, stage, cids)
  await using old = await startAgent(oldHome, network, line, [])
  await stage.link(old.address)
  await untilRows(oldHome, 'pins')
  const floor = await backendAlone(join(dir, 'alone'), old.address, cids)

  const home = join(dir, 'newcomer')
  const begun = performance.now()
  await using _newcomer = await startAgent(home, network, line, [old.address])
  const ready = performance.now()
  await untilRows(home, 'commands')
  const knows = performance.now()
  await untilRows(home, 'pins')
  const holds = performance.now()
  const seconds = (from: number, to: number): number => (to - from) / 1_000
  return [
    { name: `newcomer: ${PINS} commands known, from ready`, value: seconds(ready, knows), unit: 's', target: 2, best: 'low' },
    { name: `newcomer: ${PINS} commands known, from the start of the process`, value: seconds(begun, knows), unit: 's' },
    { name: `newcomer: ${PINS} pins held, from ready`, value: seconds(ready, holds), unit: 's' },
    { name: `newcomer: ${PINS} pins in the built-in storage alone`, value: floor, unit: 's' },
    { name: `newcomer: pins held after all is known, to the storage alone`, value: seconds(knows, holds) / floor, unit: 'ratio' }
  ]
}

async function untilRows(home: string, table: 'commands' | 'pins'): Promise<void> {
  const { stateDb } = homeLayout(home)
  while (countRows(stateDb, table) < PINS) await wait(LOOK_MS)
}

/** Seconds that it takes to pin all of it from the node at `address`. */
async function backendAlone(dir: string, address: string, cids: readonly string[]): Promise<number> {
  await mkdir(dir)
  await using host = await createHost({ privateKey: await freshHostKey(), listen: [] })
  await host.start()
  const backend = createHeliaBackend({ dir }, { libp2p: host.libp2p, clock: systemClock })
  await backend.start()
  try {
    await host.libp2p.dial(multiaddr(address))
    const rest = cids.map((cid) => CID.parse(cid))
    const { signal } = new AbortController()
    const begun = performance.now()
    const work = async (): Promise<void> => {
      for (let cid = rest.pop(); cid !== undefined; cid = rest.pop()) await backend.pin(cid, { signal, origins: [] })
    }
    await Promise.all(Array.from({ length: backend.concurrency }, work))
    return (performance.now() - begun) / 1_000
  } finally {
    await backend.stop()
  }
}
