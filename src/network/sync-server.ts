/** `/pinsub/sync/1`, the side that answers: it hands out what it holds, takes nothing, and keeps nothing of who asks. */
import type { Clock } from '../protocol/clock.ts'
import type { CommandId } from '../protocol/envelope.ts'
import { MAX_PAGE_BYTES, MAX_SYNC_ASKS, MAX_SYNC_ASK_BYTES, MAX_SYNC_IDS, MAX_SYNC_STREAM_MS } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { SetDigest, SetName } from '../protocol/sync/digest.ts'
import { createItemSet, type ItemSet } from '../protocol/sync/item-set.ts'
import {
  COMMAND_OVERHEAD_BYTES,
  decodeSyncAsk,
  encodeSyncAnswer,
  type SyncAnswer,
  type SyncAsk,
  type SyncCommand,
  type SyncItem
} from '../protocol/sync/messages.ts'
import { respond } from '../protocol/sync/negentropy.ts'
import { differingSets } from '../protocol/sync/sets.ts'
import { NetworkError } from './errors.ts'
import type { FrameStream } from './frames.ts'
import type { Host } from './host.ts'
import { createStreamServer, IDLE_MS, type StreamServer } from './streams.ts'
import { createTurns } from './turns.ts'

/** Protocol id of the sync stream. */
export const SYNC_PROTOCOL = '/pinsub/sync/1'

/** What this node holds. */
export interface SyncSource {
  /** Of all its sets. */
  digests(): readonly SetDigest[]
  set(name: SetName): ItemSet | undefined
  /** For each id the command, undefined where it is not known; asked for a few at a time. */
  commands(ids: readonly CommandId[]): readonly (SyncCommand | undefined)[]
}

/** Answers asks. */
export type SyncServer = StreamServer

/** What {@link createSyncServer} may be told. */
export interface SyncServerOptions {
  readonly network: string
  /** Streams served at once, in all; 16 unless said. */
  readonly maxStreams?: number
  /** Of these for one peer; 2 unless said. */
  readonly maxStreamsPerPeer?: number
  /** Of these for all peers together that are not known; 6 unless said. */
  readonly maxStrangerStreams?: number
  /** Milliseconds without a byte after which an asker is dropped; 10,000 unless said. */
  readonly idleMs?: number
}

/** Commands that are read at a time: at their largest they fill two pages, so an ask for many costs no more memory. */
const READ_AHEAD = 32

/** Room for the rest of an answer of commands. */
const HEAD_BYTES = 256

/** Makes a server; asks of another network are declined. */
export function createSyncServer(
  options: SyncServerOptions,
  ports: { readonly host: Host; readonly source: SyncSource; readonly clock: Clock; readonly isKnown?: (peer: NodeId) => boolean }
): SyncServer {
  const { host, source, clock, isKnown = () => false } = ports
  const { maxStreams = 16, maxStreamsPerPeer = 2, maxStrangerStreams = 6, idleMs = IDLE_MS } = options
  const turns = createTurns({ clock, isKnown })

  const serve = async (frames: FrameStream, peer: NodeId): Promise<void> => {
    const late = (): void => frames.abort(new NetworkError('timeout', `a pull that takes more than ${MAX_SYNC_STREAM_MS / 60_000} minutes`))
    const cancel = clock.after(MAX_SYNC_STREAM_MS, late)
    try {
      for (let asks = 0; ; asks++) {
        const bytes = await frames.read()
        if (bytes === undefined) return
        const reply = asks < MAX_SYNC_ASKS ? await turns.take(peer, async () => answer(decodeSyncAsk(bytes))) : busy
        await frames.write(encodeSyncAnswer(reply))
        if (reply.answer === 'error') return
      }
    } finally {
      cancel()
    }
  }

  const answer = (ask: ReturnType<typeof decodeSyncAsk>): SyncAnswer => {
    if (ask.network !== options.network) return { answer: 'error', error: 'network', network: options.network }
    return ask.ask === 'unknown' ? { answer: 'error', error: 'unsupported' } : answerTo(ask, source)
  }

  const limits = { maxStreams, maxStreamsPerPeer, maxStrangerStreams, maxFrame: MAX_SYNC_ASK_BYTES, idleMs }
  return createStreamServer(SYNC_PROTOCOL, limits, { host, clock, isKnown, serve })
}

const busy: SyncAnswer = { answer: 'error', error: 'busy' }

/** The one answer to an ask. Throws {@link InvalidMessageError} for a message that is no reconciliation. */
function answerTo(ask: SyncAsk, source: SyncSource): SyncAnswer {
  switch (ask.ask) {
    case 'sets':
      return { answer: 'sets', ...differingSets(source.digests(), ask) }
    case 'reconcile':
      return { answer: 'reconcile', message: respond(setOf(source, ask.set), ask.message) }
    case 'ids':
      return { answer: 'ids', ...idsBehind(setOf(source, ask.set), ask.after) }
    case 'commands':
      return { answer: 'commands', ...firstOf(ask.ids, source) }
  }
}

/** A set may have lost its last command since it was announced. */
function setOf(source: SyncSource, name: SetName): ItemSet {
  return source.set(name) ?? createItemSet()
}

function idsBehind(set: ItemSet, after: SyncItem | undefined): { ids: readonly SyncItem[]; more: boolean } {
  const from = after === undefined ? 0 : set.rankOf(after.ms, after.id) + (set.has(after.ms, after.id) ? 1 : 0)
  const to = Math.min(set.size, from + MAX_SYNC_IDS)
  return { ids: [...set.items(from, to)], more: to < set.size }
}

/** As many commands as fit a page, in the order asked for. */
function firstOf(ids: readonly CommandId[], source: SyncSource): { commands: readonly SyncCommand[]; upTo: number } {
  const commands: SyncCommand[] = []
  let room = MAX_PAGE_BYTES - HEAD_BYTES
  for (let upTo = 0; upTo < ids.length;) {
    for (const command of source.commands(ids.slice(upTo, upTo + READ_AHEAD))) {
      room -= command === undefined ? 0 : command.envelope.byteLength + COMMAND_OVERHEAD_BYTES
      if (room < 0) return { commands, upTo }
      if (command !== undefined) commands.push(command)
      upTo++
    }
  }
  return { commands, upTo: ids.length }
}
