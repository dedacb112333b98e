import type { SQLOutputValue } from 'node:sqlite'
import type { StoredRegister, Usage } from '../protocol/records.ts'
import type { Author } from '../protocol/ssh-key.ts'
import type { CapCode, RegisterKind, Standing } from '../protocol/wish.ts'

/** A row as SQLite gives it, by column. */
export type Row = Record<string, SQLOutputValue>

/** A row of the table `registers` as what it stands for. */
export function toRegister(row: Row): StoredRegister {
  const { name, origins, expires, counterpart, refused, bytes } = row
  return {
    cid: row['cid'] as string,
    pinset: row['pinset'] as string,
    author: row['author'] as Author,
    kind: row['kind'] as RegisterKind,
    rank: {
      at: { ms: row['at_ms'] as number, counter: row['at_counter'] as number },
      time: { ms: row['ms'] as number, counter: row['counter'] as number },
      command: row['id'] as string
    },
    command: row['command'] as number,
    index: row['idx'] as number,
    acceptedAt: row['accepted_at'] as number,
    spelled: row['spelled'] as string,
    ...(name === null ? {} : { name: name as string }),
    ...(origins === null ? {} : { origins: JSON.parse(origins as string) as string[] }),
    ...(expires === null ? {} : { expires: expires as number }),
    ...(counterpart === null ? {} : { counterpart: counterpart as string }),
    ...(row['unsupported'] === 1 ? { unsupported: true } : {}),
    ...(refused === null ? {} : { refused: refused as CapCode }),
    ...(row['charged'] === 1 ? { charge: bytes === null ? {} : { bytes: bytes as number } } : {})
  }
}

/** Rows of `author` and `standing` as what they stand for. */
export function toStandings(rows: Iterable<Row>): ReadonlyMap<Author, Standing> {
  return new Map(Array.from(rows, (row) => [row['author'] as Author, JSON.parse(row['standing'] as string) as Standing]))
}

/** The columns of the table `usage`. What daemons say of sizes may add up to more than a number holds. */
export const USAGE = `author, pins, min(bytes, ${Number.MAX_SAFE_INTEGER}) AS bytes`

/** A row of {@link USAGE} as what it stands for; none of it without a row. */
export function toUsage(row: Row | undefined): Usage {
  return { pins: (row?.['pins'] ?? 0) as number, bytes: (row?.['bytes'] ?? 0) as number }
}
