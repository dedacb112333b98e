/** Fetches commands by their ids over a sync stream and hands them over, page by page. */
import type { CommandId } from '../protocol/envelope.ts'
import { InvalidMessageError } from '../protocol/errors.ts'
import { MAX_PULL_COMMANDS, MAX_SYNC_MISSING, MAX_SYNC_WANT } from '../protocol/limits.ts'
import type { SetName } from '../protocol/sync/digest.ts'
import type { SyncCommand } from '../protocol/sync/messages.ts'
import { dishonest, type Asker } from './sync-asker.ts'

/** The commands of one pull. */
export interface Fetcher {
  /** Commands that came. */
  readonly fetched: number
  /** Of these, those that were stored. */
  readonly taken: number
  /** Commands that the peer named and then did not have. */
  readonly missing: number
  /** Whether this pull has asked for as many as one may, or its stream has done what one may. */
  spent(): boolean
  /**
   * Fetches what it can before it is spent; the next page comes while one is being stored. Resolves once all that came is stored, with
   * whether that is all; rejects as the asker does, with `dishonest` for what the taker finds to be a lie, and with all else that it throws.
   */
  fetch(ids: readonly CommandId[], set: SetName): Promise<boolean>
}

/** Who takes them. */
export interface FetchPorts {
  readonly asker: Asker
  /** Resolves with how many were taken, once they are stored; throws {@link InvalidMessageError} for what no honest node holds. */
  take(commands: readonly SyncCommand[], name: SetName): Promise<number>
}

/** Makes the fetcher of one pull; `target` is named in errors. */
export function createFetcher(target: string, { asker, take }: FetchPorts): Fetcher {
  let asked = 0
  let fetched = 0
  let taken = 0
  let missing = 0

  const spent = (): boolean => asker.spent() || asked >= MAX_PULL_COMMANDS

  const store = async (commands: readonly SyncCommand[], { author, pinset }: SetName): Promise<void> => {
    if (commands.length === 0) return
    try {
      taken += await take(commands, { author, pinset })
    } catch (err) {
      throw err instanceof InvalidMessageError ? dishonest(target, `sends what no honest node holds (${err.message})`, err) : err
    }
  }

  return {
    get fetched() {
      return fetched
    },
    get taken() {
      return taken
    },
    get missing() {
      return missing
    },
    spent,
    fetch: async (ids, set) => {
      let storing: Promise<void> = Promise.resolve()
      let at = 0
      try {
        while (at < ids.length && !spent()) {
          const page = await asker.commands(set, ids.slice(at, at + MAX_SYNC_WANT))
          at += page.upTo
          asked += page.upTo
          fetched += page.commands.length
          missing += page.upTo - page.commands.length
          if (missing > MAX_SYNC_MISSING) throw dishonest(target, `names commands and does not have them, ${missing} by now`)
          await storing
          storing = store(page.commands, set)
          // Looked at below; it must not count as unhandled until then.
          storing.catch(() => undefined)
        }
      } finally {
        await storing
      }
      return at >= ids.length
    }
  }
}
