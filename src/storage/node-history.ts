import type { StatementSync } from 'node:sqlite'
import { MAX_HISTORY_BYTES, MAX_REFUSALS } from '../protocol/limits.ts'
import type { StoredRefusal } from '../protocol/records.ts'

/** What the agent's store keeps for the log alone, through its prepared statements. Bounded: the oldest go first. */
export function createHistory(sql: (text: string) => StatementSync) {
  return {
    /** Keeps a command that is about to be removed, with the last states of its operations. */
    keep(command: number): void {
      sql(
        `INSERT INTO history
         SELECT ifnull((SELECT max(place) FROM history), 0) + length(envelope) + length(states),
           id, author, pinset, accepted_at, envelope, states
         FROM (SELECT *, (SELECT json_group_array(json_object('index', idx, 'state', json(state), 'at', at))
           FROM (SELECT * FROM operations WHERE command = seq ORDER BY idx)) AS states FROM commands WHERE seq = ?)`
      ).run(command)
    },

    /** Lets go of what is beyond the bound. */
    prune(): void {
      sql('DELETE FROM history WHERE place <= (SELECT max(place) FROM history) - ?').run(MAX_HISTORY_BYTES)
    },

    /** Adds refusals and lets go of what is beyond the bound. */
    addRefusals(refusals: readonly StoredRefusal[]): void {
      const text = `INSERT INTO refusals (at, until, code, author, is_proven, command, pinset, peer, more)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`
      for (const { at, until, code, author, isProven, command, pinset, peer, more } of refusals) {
        sql(text).run(at, until, code, author ?? null, isProven ? 1 : 0, command ?? null, pinset ?? null, peer, more)
      }
      sql('DELETE FROM refusals WHERE number <= (SELECT max(number) FROM refusals) - ?').run(MAX_REFUSALS)
    }
  }
}
