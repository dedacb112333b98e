import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Store } from '../../src/node/store.ts'
import { MAX_HISTORY_BYTES, MAX_LOG_RECEIPT_BYTES, MAX_REFUSALS } from '../../src/protocol/limits.ts'
import type { BareRow, CommandRow, LogRow } from '../../src/protocol/log-entry.ts'
import type { StoredRefusal } from '../../src/protocol/records.ts'
import { openLedgerLog } from '../../src/storage/ledger-log.ts'
import { openLedger } from '../../src/storage/ledger.ts'
import { openLogReader, type LogRange, type LogReader } from '../../src/storage/log-reader.ts'
import { openNodeStore } from '../../src/storage/node-store.ts'
import { aCommand } from '../contract/store.ts'

let dir: string
let store: Store
const file = (): string => join(dir, 'state.db')
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinsub-log-'))
  store = openNodeStore(file())
})
afterEach(() => {
  store.close()
  rmSync(dir, { recursive: true, force: true })
})

const ALL: LogRange = { since: 0, until: Number.MAX_SAFE_INTEGER, newestFirst: false, mayMatch: () => true }
const id = (n: number): string => String(n).padStart(64, '0')
const add = (n: number, acceptedAt = n): number => store.addCommand(aCommand({ id: id(n), acceptedAt, envelope: Uint8Array.of(n) }))
const refusal = (at: number, more: Partial<StoredRefusal> = {}): StoredRefusal => ({
  at,
  until: at,
  code: 'unauthorised',
  isProven: false,
  peer: 'peer',
  more: 0,
  ...more
})
const rowsOf = (reader: LogReader, range = ALL): LogRow[] => reader.rows(range).flatMap((rows) => [...rows])
const times = (rows: readonly LogRow[]): number[] => rows.map(({ at }) => at)

describe("an agent's log", () => {
  test('has commands with their states, and refusals, whole', () => {
    const seq = add(1)
    store.putOperation({ command: seq, index: 0, cid: 'a', state: { status: 'refused', code: 'operation' }, at: 7 })
    store.putOperation({ command: seq, index: 2, cid: 'b', state: { status: 'pinned', bytes: 5 }, at: 8 })
    const whole = refusal(3, { until: 9, author: aCommand().author, isProven: true, command: id(9), pinset: 'site', more: 412 })
    store.addRefusals([refusal(2), whole])
    using reader = openLogReader(file())
    expect(rowsOf(reader)).toEqual([
      {
        kind: 'command',
        source: 'node',
        at: 1,
        seq,
        author: aCommand().author,
        envelope: Uint8Array.of(1),
        states: new Map([
          [0, { state: { status: 'refused', code: 'operation' }, at: 7 }],
          [2, { state: { status: 'pinned', bytes: 5 }, at: 8 }]
        ]),
        receipts: []
      },
      { kind: 'refusal', source: 'node', at: 2, refusal: refusal(2) },
      { kind: 'refusal', source: 'node', at: 3, refusal: whole }
    ])
  })

  test('keeps what the agent removes, with its last states', () => {
    const seq = add(1)
    add(2)
    store.putOperation({ command: seq, index: 1, cid: 'a', state: { status: 'superseded', by: id(2) }, at: 7 })
    store.putOperation({ command: seq, index: 0, cid: 'b', state: { status: 'unpinned', heldBy: [] }, at: 8 })
    store.pass(seq, 3)
    const before = (() => {
      using reader = openLogReader(file())
      return rowsOf(reader)[0] as CommandRow
    })()
    expect(store.forgetPassed(4, 10, 10)).toBe(1)
    expect(store.command(id(1))).toBeUndefined()
    using reader = openLogReader(file())
    const { seq: _, ...kept } = before
    expect(rowsOf(reader)[0]).toEqual(kept)
    expect(times(rowsOf(reader))).toEqual([1, 2])
  })

  test('keeps so many bytes of it, the latest', () => {
    const size = 60 * 1024
    const count = Math.ceil(MAX_HISTORY_BYTES / size) + 50
    store.transaction(() => {
      for (let n = 0; n < count; n++)
        store.pass(store.addCommand(aCommand({ id: id(n), acceptedAt: n, envelope: new Uint8Array(size) })), n)
    })
    expect(store.transaction(() => store.forgetPassed(count, 0, count))).toBe(count)
    using reader = openLogReader(file())
    const kept = times(rowsOf(reader))
    expect(kept).toEqual(Array.from({ length: kept.length }, (_, i) => count - kept.length + i))
    expect((kept.length - 1) * size).toBeLessThanOrEqual(MAX_HISTORY_BYTES)
    expect((kept.length + 1) * (size + 100)).toBeGreaterThan(MAX_HISTORY_BYTES)
  })

  test('keeps so many refusals, the latest', () => {
    store.transaction(() => {
      for (let n = 0; n < MAX_REFUSALS + 10; n += 10) store.addRefusals(Array.from({ length: 10 }, (_, i) => refusal(n + i)))
    })
    using reader = openLogReader(file())
    const kept = times(rowsOf(reader))
    expect([kept.length, kept[0], kept.at(-1)]).toEqual([MAX_REFUSALS, 10, MAX_REFUSALS + 9])
  })

  test('is read by time, from both ends, whatever the order of arrival', () => {
    for (const at of [5, 3, 9, 3, 7]) add(at * 10 + Math.floor(at / 4) + (store.command(id(at * 10)) === undefined ? 0 : 9), at)
    using reader = openLogReader(file())
    const [, commands] = reader.rows({ since: 3, until: 9, newestFirst: false, mayMatch: () => true })
    expect(times([...(commands as Generator<LogRow>)])).toEqual([3, 3, 5, 7])
    const [, newest] = reader.rows({ since: 4, until: 99, newestFirst: true, mayMatch: () => true })
    expect(times([...(newest as Generator<LogRow>)])).toEqual([9, 7, 5])
  })

  test('passes over what is not wanted, in the history too', () => {
    store.pass(add(1), 1)
    store.forgetPassed(2, 0, 1)
    add(2)
    add(3)
    using reader = openLogReader(file())
    const mayMatch = (row: BareRow): boolean => row.kind === 'command' && row.envelope[0] !== 1 && row.at !== 3
    expect(times(rowsOf(reader, { ...ALL, mayMatch }))).toEqual([2])
  })

  test('goes by an index and sorts nothing', () => {
    const db = new DatabaseSync(file())
    const plan = (table: string, time: string, tie: string): string =>
      db
        .prepare(`EXPLAIN QUERY PLAN SELECT * FROM ${table} WHERE ${time} >= 1 AND ${time} < 2 ORDER BY ${time} DESC, ${tie} DESC`)
        .all()
        .map((row) => row['detail'] as string)
        .join('; ')
    expect(plan('commands', 'accepted_at', 'seq')).toMatch(/^SEARCH commands USING INDEX commands_by_acceptance [^;]*$/)
    expect(plan('history', 'accepted_at', 'place')).toMatch(/^SEARCH history USING INDEX history_by_acceptance [^;]*$/)
    expect(plan('refusals', 'at', 'number')).toMatch(/^SEARCH refusals USING INDEX refusals_by_time [^;]*$/)
    db.close()
  })

  test('shows one moment while it is asked to, and what comes behind a place', () => {
    add(1)
    store.addRefusals([refusal(1)])
    using reader = openLogReader(file())
    const place = reader.end()
    const version = reader.version()
    {
      using _ = reader.moment()
      expect(rowsOf(reader)).toHaveLength(2)
      add(2)
      expect(rowsOf(reader)).toHaveLength(2)
    }
    add(3)
    store.addRefusals([refusal(4)])
    expect(reader.version()).not.toBe(version)
    const first = reader.after(place, 1)
    expect(times(first.rows)).toEqual([2, 4])
    const second = reader.after(first.place, 1)
    expect(times(second.rows)).toEqual([3])
    expect(reader.after(second.place, 1).rows).toEqual([])
    expect(reader.command((second.rows[0] as CommandRow).seq as number)).toEqual(second.rows[0])
    expect(reader.command(99)).toBeUndefined()
  })
})

describe("a sender's log", () => {
  const sent = (n: number) => ({
    id: id(n),
    network: 'net',
    author: aCommand().author,
    pinset: 'default',
    time: { ms: n, counter: 0 },
    envelope: Uint8Array.of(n),
    operations: []
  })
  const receipt = (n: number, node: string, bytes: number) => ({
    command: id(n),
    node,
    sequence: 1,
    envelope: new Uint8Array(bytes),
    accepted: true,
    settled: true
  })

  test('has what was sent and what nodes said, as much as a line can carry', () => {
    const ledger = openLedger(join(dir, 'ledger.db'))
    ledger.record(sent(1))
    ledger.record(sent(2))
    const large = Math.ceil(MAX_LOG_RECEIPT_BYTES / 3)
    ledger.keep([receipt(1, 'b', 2), receipt(1, 'a', 1), ...['x', 'y', 'z'].map((node) => receipt(2, node, large))])
    using reader = openLedgerLog(join(dir, 'ledger.db'))
    const [one, two] = rowsOf(reader) as CommandRow[]
    expect(one).toEqual({
      kind: 'command',
      source: 'sender',
      at: 1,
      seq: 1,
      author: aCommand().author,
      envelope: Uint8Array.of(1),
      states: new Map(),
      receipts: [new Uint8Array(1), new Uint8Array(2)]
    })
    expect(two?.receipts).toHaveLength(2)
    expect(times(rowsOf(reader, { since: 1, until: 2, newestFirst: true, mayMatch: () => true }))).toEqual([1])
    const place = reader.end()
    ledger.record(sent(3))
    expect(times(reader.after(place, 9).rows)).toEqual([3])
    ledger.close()
  })
})
