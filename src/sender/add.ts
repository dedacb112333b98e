/** Imports a path and serves it until the network holds it: a laptop cannot be dialled, so it dials those that shall fetch. */
import { multiaddr, type Multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { look } from '../content/scan.ts'
import { createTemporaryContent } from '../content/temporary.ts'
import type { PresenceTable } from '../network/presence-table.ts'
import type { Clock } from '../protocol/clock.ts'
import { createBell } from './bell.ts'
import type { AddEvent, AddOptions, Outcome, ProgressEvent, SendEvent } from './types.ts'

/** What adding works with. */
export interface AddPorts {
  readonly libp2p: Libp2p
  readonly presence: PresenceTable
  readonly clock: Clock
  startHost(): Promise<void>
  connect(): Promise<unknown>
  /** Publishes the pin of the root and counts. */
  send(cid: CID): AsyncGenerator<SendEvent, Outcome>
}

/** Progress is told at most this often, milliseconds. */
const PROGRESS_MS = 100

/** How long a daemon may take to answer the dial, milliseconds. */
const DIAL_MS = 5_000

/** Adds; ends as the send ends. What was imported is removed again, however it ends. */
export async function* addPath(path: string, options: AddOptions, ports: AddPorts): AsyncGenerator<AddEvent, Outcome> {
  const { libp2p, presence, clock } = ports
  // A wrong path is a mistake of this machine, whether or not a node can be reached.
  await look(path)
  await ports.startHost()
  // Before the first dial, so that peers learn at once that blocks are to be had here.
  await using content = createTemporaryContent({}, { libp2p })
  await content.start()
  await ports.connect()

  const signal = options.signal ?? new AbortController().signal
  const bell = createBell()
  let progress: ProgressEvent | undefined
  let told: ProgressEvent | undefined
  let toldAt = -Infinity
  let isDone = false
  const importing = content
    .import(path, {
      hidden: options.hidden ?? false,
      signal,
      onProgress: ({ bytes, total }) => {
        progress = { event: 'progress', bytes, total }
        bell.ring()
      }
    })
    .finally(() => {
      isDone = true
      bell.ring()
    })
  importing.catch(() => {}) // Awaited below; until then the loop runs.
  while (!isDone) {
    await bell.rung()
    if (progress === undefined || clock.now() - toldAt < PROGRESS_MS) continue
    toldAt = clock.now()
    told = progress
    yield progress
  }
  const { cid, files, bytes } = await importing
  if (progress !== undefined && progress !== told) yield progress
  yield { event: 'imported', cid: cid.toString(), bytes, files }

  const dialled = new Set<string>()
  const dialDaemons = (): void => {
    for (const { presence: node } of presence.all()) {
      const { kind, peer, addresses } = node.backend
      if (kind !== 'kubo' || peer === undefined || dialled.has(peer)) continue
      dialled.add(peer)
      const targets = addresses.flatMap((address) => readAddress(`${address}/p2p/${peer}`))
      if (targets.length === 0) continue
      libp2p.dial(targets, { signal: AbortSignal.any([signal, AbortSignal.timeout(DIAL_MS)]) }).catch(() => dialled.delete(peer))
    }
  }
  dialDaemons()
  const stopWatching = presence.onChange(dialDaemons)
  try {
    return yield* ports.send(cid)
  } finally {
    stopWatching()
  }
}

/** Nothing for one that this version cannot read: another node wrote it. */
function readAddress(text: string): Multiaddr[] {
  try {
    return [multiaddr(text)]
  } catch {
    return []
  }
}
