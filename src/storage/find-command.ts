import { existsSync } from 'node:fs'
import type { CommandId } from '../protocol/envelope.ts'
import { LEDGER_MIGRATIONS, LEDGER_OWNER } from './ledger-schema.ts'
import { openReadOnly } from './open-read-only.ts'
import { openStateReader } from './state-reader.ts'

/** Enough to say that a beginning names several. */
const MAX_FOUND = 10

/** A command that is kept in a home. */
export interface FoundCommand {
  readonly id: CommandId
  readonly envelope: Uint8Array
  /** Who keeps it: the sender that signed it here, the agent, or both. */
  readonly from: readonly ('sender' | 'node')[]
  /** When the agent accepted it; milliseconds since the epoch. */
  readonly acceptedAt?: number
}

/**
 * The commands of a home whose ids begin with `prefix` (lower-case hex), by id: what was sent from there and what its agent accepted,
 * read beside both while they run. Files that are missing are passed over; one that cannot be read only matters where nothing was
 * found. Throws `StorageError`.
 */
export function findCommands(files: { readonly ledger: string; readonly stateDb: string }, prefix: string): readonly FoundCommand[] {
  const failures: unknown[] = []
  const look = (file: string, find: () => readonly FoundCommand[]): readonly FoundCommand[] => {
    if (!existsSync(file)) return []
    try {
      return find()
    } catch (err) {
      failures.push(err)
      return []
    }
  }
  const sent = look(files.ledger, () => inLedger(files.ledger, prefix))
  const accepted = look(files.stateDb, () => inState(files.stateDb, prefix))
  const found = new Map(sent.map((command) => [command.id, command]))
  for (const command of accepted) {
    found.set(command.id, { ...command, from: [...(found.get(command.id)?.from ?? []), ...command.from] })
  }
  if (found.size === 0 && failures.length > 0) throw failures[0]
  return [...found.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1))
}

function inLedger(file: string, prefix: string): readonly FoundCommand[] {
  using ledger = openReadOnly(file, LEDGER_MIGRATIONS, LEDGER_OWNER)
  const text = 'SELECT id, envelope FROM commands WHERE id BETWEEN ? AND ? ORDER BY id LIMIT ?'
  const rows = [...ledger.rows(text, prefix, prefix.padEnd(64, 'f'), MAX_FOUND)]
  return rows.map((row) => ({ id: row['id'] as string, envelope: row['envelope'] as Uint8Array, from: ['sender'] }))
}

function inState(file: string, prefix: string): readonly FoundCommand[] {
  using state = openStateReader(file)
  return state.find(prefix, MAX_FOUND).map(({ id, envelope, acceptedAt }) => ({ id, envelope, acceptedAt, from: ['node'] }))
}
