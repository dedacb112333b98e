import type { StatementSync } from 'node:sqlite'
import type { FailureCode, OperationState } from '../protocol/ack.ts'
import type { CommandId } from '../protocol/envelope.ts'
import type { Hlc } from '../protocol/order.ts'
import type { Author } from '../protocol/ssh-key.ts'
import type { HeldRow, Job, SetMember, StoredCommand, StoredOperation, StoredPin, StoredRegister, Usage } from '../protocol/records.ts'
import type { CapCode, Standing } from '../protocol/wish.ts'
import { createHistory } from './node-history.ts'
import { NODE_MIGRATIONS } from './node-schema.ts'
import { inTransaction, openDatabase } from './open.ts'
import { toRegister, toStandings, toUsage, USAGE, type Row } from './rows.ts'

/** Numbers handed out without a write; a crash skips at most these. */
const RESERVED = 1_000

/** Opens the agent's store over SQLite; implements the `Store` port of the node. Throws `StorageError`. */
export function openNodeStore(file: string) {
  const db = openDatabase(file, NODE_MIGRATIONS)
  const statements = new Map<string, StatementSync>()
  const sql = (text: string): StatementSync => {
    const known = statements.get(text)
    if (known !== undefined) return known
    const statement = db.prepare(text)
    statements.set(text, statement)
    return statement
  }
  const one = (text: string, ...values: (string | number | null)[]): Row | undefined => sql(text).get(...values)
  const all = (text: string, ...values: (string | number | null)[]): Row[] => sql(text).all(...values)
  const history = createHistory(sql)
  const counters = new Map<string, { next: number; end: number }>()

  return {
    transaction<T>(work: () => T): T {
      try {
        return inTransaction(db, work)
      } catch (err) {
        // A reservation made in it is undone; the numbers handed out of it are not.
        for (const range of counters.values()) range.end = range.next
        throw err
      }
    },

    next(name: string): number {
      let range = counters.get(name)
      if (range === undefined || range.next === range.end) {
        const row = one(
          'INSERT INTO counters VALUES (?, ?2 + ?3) ON CONFLICT (name) DO UPDATE SET value = max(value, ?2) + ?3 RETURNING value',
          name,
          range?.next ?? 0,
          RESERVED
        ) as Row
        const end = row['value'] as number
        range = { next: end - RESERVED, end }
        counters.set(name, range)
      }
      return ++range.next
    },

    standings: (): ReadonlyMap<Author, Standing> => toStandings(all('SELECT author, standing FROM authors')),
    filed: (): ReadonlyMap<Author, Standing> => toStandings(all('SELECT author, standing FROM filed_authors')),
    unsettled: (): readonly Author[] => all('SELECT author FROM unsettled').map((row) => row['author'] as Author),
    markUnsettled(author: Author): void {
      sql('INSERT OR IGNORE INTO unsettled VALUES (?)').run(author)
    },
    markSettled(author: Author): void {
      sql('DELETE FROM unsettled WHERE author = ?').run(author)
    },
    putStanding(author: Author, standing: Standing): void {
      sql('INSERT OR REPLACE INTO authors VALUES (?, ?)').run(author, JSON.stringify(standing))
    },
    putFiled(author: Author, standing: Standing): void {
      sql('INSERT OR REPLACE INTO filed_authors VALUES (?, ?)').run(author, JSON.stringify(standing))
    },

    command: (id: CommandId) => toCommand(one('SELECT * FROM commands WHERE id = ?', id)),
    commandBySeq: (seq: number) => toCommand(one('SELECT * FROM commands WHERE seq = ?', seq)),
    adminCommands: (): readonly StoredCommand[] =>
      all('SELECT * FROM commands WHERE pinset IS NULL ORDER BY seq').map((row) => toCommand(row) as StoredCommand),
    addCommand(command: Omit<StoredCommand, 'seq'>): number {
      const { id, author, pinset, time, acceptedAt, envelope } = command
      const text = 'INSERT INTO commands (id, author, pinset, ms, counter, accepted_at, envelope) VALUES (?, ?, ?, ?, ?, ?, ?)'
      return Number(sql(text).run(id, author, pinset ?? null, time.ms, time.counter, acceptedAt, envelope).lastInsertRowid)
    },
    newest(): Hlc | undefined {
      const row = one('SELECT ms, counter FROM commands ORDER BY ms DESC, counter DESC LIMIT 1')
      return row === undefined ? undefined : { ms: row['ms'] as number, counter: row['counter'] as number }
    },

    offerRegister(register: StoredRegister): { taken: boolean; other?: StoredRegister } {
      const { cid, pinset, author, kind, rank } = register
      const before = one('SELECT * FROM registers WHERE cid = ? AND pinset = ? AND author = ? AND kind = ?', cid, pinset, author, kind)
      const changes = sql(
        `INSERT INTO registers VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, 0, NULL)
         ON CONFLICT (cid, pinset, author, kind) DO UPDATE SET at_ms = excluded.at_ms, at_counter = excluded.at_counter,
           ms = excluded.ms, counter = excluded.counter, command = excluded.command, id = excluded.id, idx = excluded.idx,
           accepted_at = excluded.accepted_at, spelled = excluded.spelled, name = excluded.name, origins = excluded.origins,
           expires = excluded.expires, counterpart = excluded.counterpart, unsupported = excluded.unsupported, refused = NULL
         WHERE (excluded.at_ms, excluded.at_counter, excluded.ms, excluded.counter, excluded.id)
             > (at_ms, at_counter, ms, counter, id)`
      ).run(
        cid,
        pinset,
        author,
        kind,
        rank.at.ms,
        rank.at.counter,
        rank.time.ms,
        rank.time.counter,
        register.command,
        rank.command,
        register.index,
        register.acceptedAt,
        register.spelled,
        register.name ?? null,
        register.origins === undefined ? null : JSON.stringify(register.origins),
        register.expires ?? null,
        register.counterpart ?? null,
        register.unsupported === true ? 1 : 0
      ).changes
      return { taken: changes > 0, ...(before === undefined ? {} : { other: toRegister(before) }) }
    },
    registers: (cid: string): readonly StoredRegister[] => all('SELECT * FROM registers WHERE cid = ?', cid).map(toRegister),
    replacedBy: (cid: string): readonly string[] =>
      all("SELECT DISTINCT cid FROM registers WHERE counterpart = ? AND kind = 'unpin'", cid).map(cidOf),
    holdsRegister: (command: number): boolean => one('SELECT 1 FROM registers WHERE command = ? LIMIT 1', command) !== undefined,
    refuse(command: number, index: number, code: CapCode): void {
      sql('UPDATE registers SET refused = ? WHERE command = ? AND idx = ?').run(code, command, index)
    },
    forgetRefusals(author: Author): void {
      sql('UPDATE registers SET refused = NULL WHERE author = ? AND refused IS NOT NULL').run(author)
    },
    charge({ cid, pinset, author }: Pick<StoredRegister, 'cid' | 'pinset' | 'author'>): void {
      sql(
        `UPDATE registers SET charged = 1, bytes = (SELECT pins.bytes FROM pins WHERE pins.cid = registers.cid)
         WHERE cid = ? AND pinset = ? AND author = ? AND kind = 'pin' AND charged = 0`
      ).run(cid, pinset, author)
    },
    discharge({ cid, pinset, author }: Pick<StoredRegister, 'cid' | 'pinset' | 'author'>): void {
      sql(
        "UPDATE registers SET charged = 0, bytes = NULL WHERE cid = ? AND pinset = ? AND author = ? AND kind = 'pin' AND charged = 1"
      ).run(cid, pinset, author)
    },
    usage: (author: Author): Usage => toUsage(one(`SELECT ${USAGE} FROM usage WHERE author = ?`, author)),
    payers: (cid: string): ReadonlyMap<Author, number> =>
      new Map(
        all('SELECT author, count(*) AS pins FROM registers WHERE cid = ? AND charged = 1 AND bytes IS NULL GROUP BY author', cid).map(
          (row) => [row['author'] as Author, row['pins'] as number]
        )
      ),
    hush(command: number): void {
      sql('INSERT OR IGNORE INTO quiet VALUES (?)').run(command)
    },
    unhush(command: number): void {
      sql('DELETE FROM quiet WHERE command = ?').run(command)
    },
    isQuiet: (command: number): boolean => one('SELECT 1 FROM quiet WHERE command = ?', command) !== undefined,
    pass(command: number, at: number): void {
      sql('INSERT OR IGNORE INTO passed VALUES (?, ?)').run(command, at)
    },
    *setMembers(): Generator<SetMember> {
      // Looked up here, and rows as lists: a million of them are read at each start.
      const passed = new Set(all('SELECT command FROM passed').map((row) => row['command'] as number))
      // Not kept prepared: a walk that is left early would hold the database open for reading.
      const statement = db.prepare('SELECT seq, author, pinset, ms, id, length(envelope) FROM commands ORDER BY seq')
      statement.setReturnArrays(true)
      for (const row of statement.iterate() as Iterable<unknown>) {
        const [seq, author, pinset, ms, id, bytes] = row as [number, Author, string | null, number, CommandId, number]
        if (!passed.has(seq)) yield { author, pinset: pinset ?? undefined, ms, id, bytes }
      }
    },
    forgetPassed(before: number, keep: number, limit: number): number {
      const text = `SELECT command FROM passed WHERE at < ?1
        UNION SELECT command FROM (SELECT command FROM passed ORDER BY at DESC, command DESC LIMIT -1 OFFSET ?2) LIMIT ?3`
      const commands = all(text, before, keep, limit).map((row) => row['command'] as number)
      for (const command of commands) {
        history.keep(command)
        for (const table of ['operations', 'passed', 'quiet']) sql(`DELETE FROM ${table} WHERE command = ?`).run(command)
        sql('DELETE FROM commands WHERE seq = ?').run(command)
      }
      history.prune()
      return commands.length
    },
    addRefusals: history.addRefusals,
    cidsOfAuthor: (author: Author, after: string, limit: number): readonly string[] =>
      all('SELECT DISTINCT cid FROM registers WHERE author = ? AND cid > ? ORDER BY cid LIMIT ?', author, after, limit).map(cidOf),
    expiring: (after: number, now: number): readonly string[] =>
      all('SELECT DISTINCT cid FROM registers WHERE expires > ? AND expires <= ?', after, now).map(cidOf),
    nextExpiry: (now: number): number | undefined =>
      (one('SELECT min(expires) AS at FROM registers WHERE expires > ?', now)?.['at'] ?? undefined) as number | undefined,

    putOperation({ command, index, cid, state, at }: StoredOperation): void {
      sql('INSERT OR REPLACE INTO operations VALUES (?, ?, ?, ?, ?)').run(command, index, cid ?? null, JSON.stringify(state), at)
    },
    operations: (command: number): readonly StoredOperation[] =>
      all('SELECT * FROM operations WHERE command = ? ORDER BY idx', command).map(toOperation),
    isOpen(command: number): boolean {
      const text = "SELECT 1 FROM operations WHERE command = ? AND json_extract(state, '$.status') IN ('accepted', 'queued') LIMIT 1"
      return one(text, command) !== undefined
    },
    operation(command: number, index: number): StoredOperation | undefined {
      const row = one('SELECT * FROM operations WHERE command = ? AND idx = ?', command, index)
      return row === undefined ? undefined : toOperation(row)
    },

    holds: (cid: string): readonly string[] => all('SELECT pinset FROM holds WHERE cid = ?', cid).map((row) => row['pinset'] as string),
    hold(cid: string, pinset: string): void {
      sql('INSERT OR IGNORE INTO holds VALUES (?, ?)').run(cid, pinset)
    },
    release(cid: string, pinset: string): void {
      sql('DELETE FROM holds WHERE cid = ? AND pinset = ?').run(cid, pinset)
    },
    held(after: HeldRow | undefined, pinset: string | undefined, limit: number): readonly HeldRow[] {
      return all(
        'SELECT cid, pinset FROM holds WHERE (cid, pinset) > (?, ?) AND (?3 IS NULL OR pinset = ?3) ORDER BY cid, pinset LIMIT ?4',
        after?.cid ?? '',
        after?.pinset ?? '',
        pinset ?? null,
        limit
      ).map((row) => ({ cid: cidOf(row), pinset: row['pinset'] as string }))
    },

    pin(cid: string): StoredPin | undefined {
      const row = one('SELECT * FROM pins WHERE cid = ?', cid)
      return row === undefined ? undefined : toPin(row)
    },
    pins: (after: string, limit: number): readonly StoredPin[] =>
      all('SELECT * FROM pins WHERE cid > ? ORDER BY cid LIMIT ?', after, limit).map(toPin),
    putPin({ cid, spelled, bytes, foreign, pinnedAt }: StoredPin): void {
      sql('INSERT OR REPLACE INTO pins VALUES (?, ?, ?, ?, ?)').run(cid, spelled, bytes, foreign ? 1 : 0, pinnedAt)
      sql('UPDATE registers SET bytes = ? WHERE cid = ? AND charged = 1').run(bytes, cid)
    },
    removePin(cid: string): void {
      sql('DELETE FROM pins WHERE cid = ?').run(cid)
    },
    pinCount: (): number => one('SELECT count(*) AS n FROM pins')?.['n'] as number,

    job(cid: string): Job | undefined {
      const row = one('SELECT * FROM jobs WHERE cid = ?', cid)
      return row === undefined ? undefined : toJob(row)
    },
    putJob({ cid, action, spelled, origins, nextAt }: Omit<Job, 'id' | 'attempt' | 'code'>): void {
      sql('INSERT OR REPLACE INTO jobs (cid, action, spelled, origins, attempt, next_at) VALUES (?, ?, ?, ?, 0, ?)').run(
        cid,
        action,
        spelled,
        JSON.stringify(origins),
        nextAt
      )
    },
    retryJob(id: number, attempt: number, code: FailureCode, nextAt: number): void {
      sql('UPDATE jobs SET attempt = ?, code = ?, next_at = ? WHERE id = ?').run(attempt, code, nextAt, id)
    },
    hastenJob(cid: string, now: number): void {
      sql('UPDATE jobs SET next_at = min(next_at, ?) WHERE cid = ?').run(now, cid)
    },
    hastenJobs(code: FailureCode, now: number): void {
      sql('UPDATE jobs SET next_at = ?1 WHERE (attempt > 0) = 1 AND next_at > ?1 AND code = ?2').run(now, code)
    },
    isPutOff: (code: FailureCode): boolean => one('SELECT 1 FROM jobs WHERE (attempt > 0) = 1 AND code = ? LIMIT 1', code) !== undefined,
    removeJob(cid: string): void {
      sql('DELETE FROM jobs WHERE cid = ?').run(cid)
    },
    dueJobs(now: number, limit: number, action?: Job['action']): readonly Job[] {
      const text = 'SELECT * FROM jobs WHERE next_at <= ? AND (?2 IS NULL OR action = ?2) ORDER BY (attempt > 0), next_at, id LIMIT ?3'
      return all(text, now, action ?? null, limit).map(toJob)
    },
    nextDue(): number | undefined {
      // Two looks into the index instead of a walk through it.
      const [fresh, retried] = [0, 1].map((tried) => one('SELECT min(next_at) AS at FROM jobs WHERE (attempt > 0) = ?', tried)?.['at'])
      return ([fresh, retried] as (number | null)[]).reduce<number | undefined>((a, b) => (b === null || (a ?? b) < b ? a : b), undefined)
    },
    jobCount: (): number => one('SELECT count(*) AS n FROM jobs')?.['n'] as number,

    close(): void {
      db.close()
    }
  }
}

function cidOf(row: Row): string {
  return row['cid'] as string
}

function toCommand(row: Row | undefined): StoredCommand | undefined {
  if (row === undefined) return undefined
  return {
    seq: row['seq'] as number,
    id: row['id'] as CommandId,
    author: row['author'] as Author,
    pinset: (row['pinset'] ?? undefined) as string | undefined,
    time: { ms: row['ms'] as number, counter: row['counter'] as number },
    acceptedAt: row['accepted_at'] as number,
    envelope: row['envelope'] as Uint8Array
  }
}

function toOperation(row: Row): StoredOperation {
  return {
    command: row['command'] as number,
    index: row['idx'] as number,
    cid: (row['cid'] ?? undefined) as string | undefined,
    state: JSON.parse(row['state'] as string) as OperationState,
    at: row['at'] as number
  }
}

function toPin(row: Row): StoredPin {
  return {
    cid: cidOf(row),
    spelled: row['spelled'] as string,
    bytes: row['bytes'] as number,
    foreign: row['is_foreign'] === 1,
    pinnedAt: row['pinned_at'] as number
  }
}

function toJob(row: Row): Job {
  return {
    id: row['id'] as number,
    cid: cidOf(row),
    action: row['action'] as 'pin' | 'unpin',
    spelled: row['spelled'] as string,
    origins: JSON.parse(row['origins'] as string) as string[],
    attempt: row['attempt'] as number,
    ...(row['code'] === null ? {} : { code: row['code'] as FailureCode }),
    nextAt: row['next_at'] as number
  }
}
