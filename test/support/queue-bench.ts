/** The queue over a real backend that can be steered, on a manual clock. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import type { CID } from 'multiformats/cid'
import { expect, vi } from 'vitest'
import { createHeliaBackend } from '../../src/node/backend/helia.ts'
import { createBackendWatch, type BackendWatch } from '../../src/node/backend-watch.ts'
import { createPinQueue, type PinQueue } from '../../src/node/pin-queue.ts'
import { systemClock } from '../../src/network/clock.ts'
import type { Signer } from '../../src/protocol/signature.ts'
import { createAgentCore, type AgentCore } from './agent-core.ts'
import { author, cidOf, command, grantOf } from './author.ts'
import type { TestBlock } from './dags.ts'
import { keepLog, type KeptLog } from './log.ts'
import { makeHost } from './libp2p.ts'
import { makePinPeer } from './pin-peer.ts'
import { steer, type SteeredBackend } from './steered-backend.ts'

const alice = author('alice')
let counter = 0

/** What the tests hold in hand. */
export interface QueueBench extends AsyncDisposable {
  readonly core: AgentCore
  readonly backend: SteeredBackend
  readonly queue: PinQueue
  readonly watch: BackendWatch
  readonly log: KeptLog
  /** Puts a block on a peer that the backend is linked to. */
  give(text: string): Promise<CID>
  /** The same with blocks that are made. */
  provide(blocks: readonly TestBlock[]): Promise<void>
  ask(op: 'pin' | 'unpin', ...cids: CID[]): Promise<void>
  /** The same as somebody else. */
  askAs(who: Signer, op: 'pin' | 'unpin', ...cids: CID[]): Promise<void>
  /** What is acknowledged of each. */
  status(cids: readonly CID[]): string[]
  /** Moves the clock on until `condition` holds: timers are the clock's, the backend's work is real. */
  until(condition: () => boolean, stepMs?: number): Promise<void>
}

interface QueueBenchOptions {
  readonly concurrency?: number
  readonly random?: () => number
  /** Bytes that the backend has for blocks. */
  readonly capacity?: number
  /** Whether the backend tells how far it is only at the end. */
  readonly isSilent?: boolean
  /** The first wait after a failure, and the longest. */
  readonly retryMs?: number
}

/** Makes one, on which alice may command. */
export async function createQueueBench(options: QueueBenchOptions = {}): Promise<QueueBench> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-queue-'))
  const libp2p = await makeHost({ listen: false })
  const { capacity, random = () => 0, retryMs = 1_000 } = options
  const real = createHeliaBackend({ dir, ...(capacity === undefined ? {} : { capacity }) }, { libp2p, clock: systemClock })
  await real.start()
  const peer = await makePinPeer()
  await libp2p.dial(multiaddr(peer.origin))
  const pin: typeof real.pin = (cid, { signal, origins }) => real.pin(cid, { signal, origins })
  const backend = steer({ ...real, ...(options.isSilent === true ? { pin } : {}) }, options.concurrency ?? 4)
  const core = createAgentCore()
  await core.authorise([grantOf(alice)])
  const { store, settler, caps, clock } = core
  const log = keepLog()
  // The clock is moved faster than the disk answers.
  const watch = createBackendWatch({ answerMs: Infinity }, { backend, clock, log, random })
  const queue: PinQueue = createPinQueue(
    { stallMs: 10_000, retryMs, retryMaxMs: 4 * retryMs },
    { store, settler, caps, backend, watch, clock, log, random, onChanges: ({ cids }) => queue.changed(cids), onProgress() {} }
  )
  const askAs = async (who: Signer, op: 'pin' | 'unpin', ...cids: CID[]): Promise<void> => {
    const { bytes } = await command(who, {
      operations: cids.map((cid) => ({ op, cid })),
      time: { ms: clock.now() + counter++, counter: 0 }
    })
    expect(core.hear(bytes)).toBe('accept')
    queue.changed(cids.map(String))
  }
  watch.start()
  queue.start()
  return {
    core,
    backend,
    queue,
    watch,
    log,
    async give(text) {
      const cid = cidOf(text)
      await peer.provide([{ cid, bytes: new TextEncoder().encode(text) }])
      return cid
    },
    provide: (blocks) => peer.provide(blocks),
    ask: (op, ...cids) => askAs(alice, op, ...cids),
    askAs,
    status: (cids) => cids.flatMap((cid) => settler.view(String(cid), clock.now()).map(({ state }) => state.status)),
    async until(condition, stepMs = 0) {
      await vi.waitFor(
        () => {
          core.clock.advance(stepMs)
          expect(condition()).toBe(true)
        },
        { timeout: 10_000, interval: 5 }
      )
    },
    async [Symbol.asyncDispose]() {
      await queue.stop()
      watch.stop()
      await backend.stop()
      await libp2p.stop()
      await peer.stop()
      core[Symbol.dispose]()
      await rm(dir, { recursive: true, force: true })
    }
  }
}
