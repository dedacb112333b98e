/** One stream of `/pinsub/sync/1`, the side that asks: counts what it costs, and takes no answer that an honest node would not give. */
import type { Clock } from '../protocol/clock.ts'
import { commandId, openEnvelope, type CommandId } from '../protocol/envelope.ts'
import { InvalidMessageError } from '../protocol/errors.ts'
import { MAX_PULL_BYTES, MAX_PULL_MS, MAX_PULL_SETS, MAX_SYNC_ASKS, SYNC_ANSWER_MS } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { SetDigest, SetName } from '../protocol/sync/digest.ts'
import {
  decodeSyncAnswer,
  encodeSyncAsk,
  type CommandsAsk,
  type IdsAsk,
  type ReconcileAsk,
  type SetsAsk,
  type SyncAnswer,
  type SyncCommand,
  type SyncItem
} from '../protocol/sync/messages.ts'
import { compareSets, listSets } from '../protocol/sync/sets.ts'
import { compare as compareBytes } from 'uint8arrays/compare'
import { NetworkError } from './errors.ts'
import type { FrameStream } from './frames.ts'
import { declinedBy } from './streams.ts'

/** Asks, one thing after the other. All reject with {@link NetworkError}: `dishonest` for what no honest node answers, `declined`, `cut`, `timeout`. */
export interface Asker {
  /** Asks sent. */
  readonly roundTrips: number
  /** Bytes of frames, both ways. */
  readonly bytes: number
  /** Whether this stream has done what one may do: nothing more should be asked. */
  spent(): boolean
  /** The peer's sets that differ from ours, in order; `more` where there was no budget for all. */
  sets(own: readonly SetDigest[]): Promise<{ readonly sets: readonly SetDigest[]; readonly more: boolean }>
  reconcile(set: SetName, message: Uint8Array): Promise<Uint8Array>
  /** A page of the ids of a set, in order and all behind `after`. */
  ids(set: SetName, after: SyncItem | undefined): Promise<{ readonly ids: readonly SyncItem[]; readonly more: boolean }>
  /** Commands of the author, all of them asked for and none twice; the first `upTo` (one at least) of the ids are dealt with. */
  commands(set: SetName, ids: readonly CommandId[]): Promise<{ readonly commands: readonly SyncCommand[]; readonly upTo: number }>
  /** Says that nothing more will be asked. */
  end(): Promise<void>
}

/** Who is asked, and of which network. */
export interface AskerOptions {
  readonly target: NodeId
  readonly network: string
}

/** The peer says what no honest node says. */
export function dishonest(target: NodeId, what: string, cause?: unknown): NetworkError {
  return new NetworkError('dishonest', `${target} ${what}: it is broken, or not to be trusted`, { cause })
}

const FRAME_HEAD = 4

type AskOf = { sets: SetsAsk; reconcile: ReconcileAsk; ids: IdsAsk; commands: CommandsAsk }

/** Makes the asker of one stream, which must not be used by anybody else. */
export function createAsker(options: AskerOptions, ports: { readonly frames: FrameStream; readonly clock: Clock }): Asker {
  const { target, network } = options
  const { frames, clock } = ports
  const end = clock.now() + MAX_PULL_MS
  let roundTrips = 0
  let bytes = 0

  const lies = (what: string, cause?: unknown): NetworkError => dishonest(target, what, cause)

  const ask = async <Kind extends keyof AskOf>(said: AskOf[Kind], kind: Kind) => {
    const answer = await exchange(encodeSyncAsk(said))
    if (answer.answer === 'error') throw declinedBy(target, answer)
    if (answer.answer !== kind) throw lies(`answers "${answer.answer}" to "${kind}"`)
    return answer as Extract<SyncAnswer, { answer: Kind }>
  }

  const exchange = async (question: Uint8Array): Promise<SyncAnswer> => {
    const late = new NetworkError('timeout', `${target} did not finish an answer in ${SYNC_ANSWER_MS / 1_000} s`)
    const cancel = clock.after(SYNC_ANSWER_MS, () => frames.abort(late))
    try {
      roundTrips++
      bytes += question.byteLength + FRAME_HEAD
      await frames.write(question)
      const reply = await frames.read()
      if (reply === undefined) throw new NetworkError('cut', `${target} ended the stream instead of answering`)
      bytes += reply.byteLength + FRAME_HEAD
      return decodeSyncAnswer(reply)
    } catch (err) {
      throw err instanceof InvalidMessageError ? lies(`answers with what is no message (${err.message})`, err) : err
    } finally {
      cancel()
    }
  }

  const spent = (): boolean => roundTrips >= MAX_SYNC_ASKS || bytes >= MAX_PULL_BYTES || clock.now() >= end

  return {
    get roundTrips() {
      return roundTrips
    },
    get bytes() {
      return bytes
    },
    spent,
    sets: async (own) => {
      const sets: SetDigest[] = []
      for (let after: SetName | undefined; ;) {
        const ours = listSets(own, after)
        const theirs = await ask({ ask: 'sets', network, ...ours, ...(after === undefined ? {} : { after }) }, 'sets')
        if (theirs.more && theirs.sets.length === 0) throw lies('promises more sets and lists none')
        for (const set of theirs.sets) {
          if (after !== undefined && compareSets(set, after) <= 0) throw lies('lists its sets out of order')
          after = set
          sets.push(set)
        }
        if (!theirs.more && !ours.more) return { sets, more: false }
        if (!theirs.more) after = ours.sets.at(-1)
        if (spent() || sets.length >= MAX_PULL_SETS) return { sets, more: true }
      }
    },
    reconcile: async (set, message) => (await ask({ ask: 'reconcile', network, set, message }, 'reconcile')).message,
    ids: async (set, after) => {
      const { ids, more } = await ask({ ask: 'ids', network, set, ...(after === undefined ? {} : { after }) }, 'ids')
      let last = after
      for (const item of ids) {
        if (last !== undefined && compareItems(item, last) <= 0) throw lies('lists its commands out of order')
        last = item
      }
      if (more && ids.length === 0) throw lies('promises more commands and lists none')
      return { ids, more }
    },
    commands: async (set, ids) => {
      const { commands, upTo } = await ask({ ask: 'commands', network, ids }, 'commands')
      if (upTo < 1 || upTo > ids.length) throw lies(`says that it dealt with ${upTo} of ${ids.length} commands`)
      const places = new Map(ids.slice(0, upTo).map((id, i) => [id, i]))
      let last = -1
      for (const { envelope } of commands) {
        const place = places.get(idOf(envelope, set)) ?? -1
        if (place <= last) throw lies('sends a command that was not asked for, or not in this order')
        last = place
      }
      return { commands, upTo }
    },
    end: () => {
      bytes += FRAME_HEAD
      return frames.end()
    }
  }

  function idOf(bytes: Uint8Array, { author }: SetName): CommandId {
    try {
      const envelope = openEnvelope(bytes)
      if (envelope.kind === 'command' && envelope.author === author) return commandId(envelope.payload)
    } catch (err) {
      throw lies(`sends what is no command (${err instanceof Error ? err.message : String(err)})`, err)
    }
    throw lies('sends a command of another author than the set it named')
  }
}

function compareItems(a: SyncItem, b: SyncItem): number {
  return a.ms - b.ms || compareBytes(a.id, b.id)
}
