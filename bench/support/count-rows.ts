import { DatabaseSync } from 'node:sqlite'

/** How many rows a table of an agent's state has, looked up from outside while the agent runs. */
export function countRows(file: string, table: string): number {
  using db = new DatabaseSync(file, { readOnly: true, timeout: 5_000 })
  return Number(Object.values(db.prepare(`SELECT count(*) FROM ${table}`).get() ?? {})[0])
}
