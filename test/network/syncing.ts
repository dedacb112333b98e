/** Nodes that hold real signed commands in memory, and peers that answer on the sync stream whatever a test wants. */
import { systemClock } from '../../src/network/clock.ts'
import { createFrameStream, type FrameStream } from '../../src/network/frames.ts'
import { pull, type PullPorts, type PullResult } from '../../src/network/sync-pull.ts'
import { createSyncServer, SYNC_PROTOCOL, type SyncServer, type SyncServerOptions, type SyncSource } from '../../src/network/sync-server.ts'
import type { Clock } from '../../src/protocol/clock.ts'
import { decodeCommand } from '../../src/protocol/command.ts'
import { commandId, commandIdBytes, openEnvelope, sealEnvelope, verifyEnvelope, type CommandId } from '../../src/protocol/envelope.ts'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_SYNC_ASK_BYTES } from '../../src/protocol/limits.ts'
import { keyHash } from '../../src/protocol/ssh-key.ts'
import type { SetDigest, SetName } from '../../src/protocol/sync/digest.ts'
import { createItemSet, type ItemSet } from '../../src/protocol/sync/item-set.ts'
import { decodeSyncAsk, encodeSyncAnswer, type SyncAnswer, type SyncAsk, type SyncCommand } from '../../src/protocol/sync/messages.ts'
import * as wire from '../../src/protocol/wire.ts'
import { author, cidOf, command } from '../support/author.ts'
import { NETWORK, within, type Peer } from './helpers.ts'

export const alice = author('alice')
export const bob = author('bob')

/** When the first of {@link commands} was said. */
export const START = 1_795_219_200_000

/** Signed once: many tests use the same. */
const signed = new Map<string, Uint8Array>()

/** Signed single-pin commands, a second apart. */
export async function commands(n: number, pinset = 'default', signer = alice, from = 0): Promise<Uint8Array[]> {
  const all: Uint8Array[] = []
  for (let i = from; i < from + n; i++) {
    const name = `${signer.author} ${pinset} ${i}`
    const said = { network: NETWORK, pinset, time: { ms: START + i * 1_000, counter: 0 } }
    const bytes = signed.get(name) ?? (await command(signer, { ...said, operations: [{ op: 'pin', cid: cidOf(name) }] })).bytes
    signed.set(name, bytes)
    all.push(bytes)
  }
  return all
}

/** A signed command without a pinset. */
export async function adminCommand(n = 0, signer = alice): Promise<Uint8Array> {
  const payload = wire.encode({
    v: 1,
    network: NETWORK,
    signer: keyHash(signer.blob),
    time: [START + n, 0],
    ops: [{ op: 'authorize', line: `key ${n}` }]
  })
  return (await sealEnvelope('command', payload, signer)).bytes
}

/** The name of a command from its envelope. */
export const idOf = (envelope: Uint8Array): CommandId => commandId(openEnvelope(envelope).payload)

/** What a node holds, and what it does to get more. */
export interface Holder {
  readonly source: SyncSource
  readonly ports: Omit<PullPorts, 'host'>
  /** Calls of `take`: how many commands each, and of which pinset. */
  readonly pages: [commands: number, pinset: string | undefined][]
  add(envelopes: readonly Uint8Array[], acceptedAt?: number): void
  /** When the command was first accepted; undefined where it is not held. */
  acceptedAt(envelope: Uint8Array): number | undefined
  set(name: SetName): ItemSet
  readonly size: number
}

const keyOf = ({ author: who, pinset }: SetName): string => `${who} ${pinset ?? ''}`

/** An empty node. */
export function createHolder(overrides: Partial<PullPorts> = {}): Holder {
  const sets = new Map<string, { name: SetName; items: ItemSet }>()
  const held = new Map<CommandId, SyncCommand>()
  const pages: Holder['pages'] = []

  const items = (name: SetName): ItemSet => {
    const known = sets.get(keyOf(name)) ?? { name: { author: name.author, pinset: name.pinset }, items: createItemSet() }
    sets.set(keyOf(name), known)
    return known.items
  }
  const digests = (): SetDigest[] =>
    [...sets.values()].map(({ name, items: set }) => ({ ...name, count: set.size, root: set.root(), newest: set.newest() }))
  const store = (one: SyncCommand): boolean => {
    const said = decodeCommand(openEnvelope(one.envelope), NETWORK)
    if (held.has(said.id)) return false
    held.set(said.id, one)
    return items(said).add(said.time.ms, commandIdBytes(said.id))
  }
  const verified = (one: SyncCommand, name: SetName): SyncCommand => {
    const said = decodeCommand(verifyEnvelope(openEnvelope(one.envelope)), NETWORK)
    if (keyOf(name) !== keyOf(said)) throw new InvalidMessageError('shape', 'a command of another set')
    return one
  }

  return {
    source: { digests, set: (name) => sets.get(keyOf(name))?.items, commands: (ids) => ids.map((id) => held.get(id)) },
    ports: {
      clock: systemClock,
      digests,
      wanted: (name) => sets.get(keyOf(name))?.items ?? createItemSet(),
      lacks: (id) => !held.has(id),
      take: async (taken, name) => {
        pages.push([taken.length, name.pinset])
        return taken.map((one) => verified(one, name)).filter(store).length
      },
      mayListAll: () => false,
      ...overrides
    },
    pages,
    add: (envelopes, acceptedAt = START) => {
      for (const envelope of envelopes) store({ acceptedAt, envelope })
    },
    acceptedAt: (envelope) => held.get(idOf(envelope))?.acceptedAt,
    set: items,
    get size() {
      return held.size
    }
  }
}

/** Serves what a holder has. */
export async function serve(
  node: Peer,
  source: SyncSource,
  options: Partial<SyncServerOptions> & { readonly isKnown?: (peer: string) => boolean; readonly clock?: Clock } = {}
): Promise<SyncServer & AsyncDisposable> {
  const { isKnown = () => true, clock = systemClock, ...rest } = options
  const server = createSyncServer({ network: NETWORK, ...rest }, { host: node.host, source, clock, isKnown })
  await server.start()
  return Object.assign(server, { [Symbol.asyncDispose]: () => server.stop() })
}

/** Pulls into a holder. */
export function pullInto(holder: Holder, from: Peer, to: Peer, signal: AbortSignal = within(20_000)): Promise<PullResult> {
  return pull(from.address, NETWORK, { host: to.host, ...holder.ports }, { signal })
}

/** What a scripted peer answers: a message, bytes of a frame, or an action on the stream; undefined is silence. */
export type Reply = SyncAnswer | Uint8Array | ((frames: FrameStream) => Promise<void> | void) | undefined

/** A peer that answers each ask by a script. */
export async function script(node: Peer, reply: (ask: SyncAsk, n: number) => Reply): Promise<void> {
  await node.host.libp2p.handle(SYNC_PROTOCOL, async (stream) => {
    const frames = createFrameStream(stream, { maxFrame: MAX_SYNC_ASK_BYTES, idleMs: 20_000 }, { clock: systemClock })
    try {
      for (let n = 0; ; n++) {
        const bytes = await frames.read()
        if (bytes === undefined) break
        const ask = decodeSyncAsk(bytes)
        if (ask.ask === 'unknown') throw new Error('an ask that we do not write')
        const said = reply(ask, n)
        if (typeof said === 'function') await said(frames)
        else if (said !== undefined) await frames.write(said instanceof Uint8Array ? said : encodeSyncAnswer(said))
      }
      await frames.close()
    } catch (err) {
      frames.abort(err as Error)
    }
  })
}
