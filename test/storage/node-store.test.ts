import { spawn } from 'node:child_process'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Store } from '../../src/node/store.ts'
import { NODE_MIGRATIONS } from '../../src/storage/node-schema.ts'
import { openNodeStore } from '../../src/storage/node-store.ts'
import { openDatabase, StorageError } from '../../src/storage/open.ts'
import { aCommand, aRegister, describeStore } from '../contract/store.ts'
import { FIXTURE, fillFixture } from '../fixtures/state.ts'

let dir: string
let opened: Store[] = []
const file = (): string => join(dir, 'state.db')
const open = (path = file()): Store => {
  const store: Store = openNodeStore(path)
  opened.push(store)
  return store
}

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinsub-store-'))
})
afterEach(() => {
  for (const store of opened) {
    try {
      store.close()
    } catch {
      // Closed by the test.
    }
  }
  opened = []
  rmSync(dir, { recursive: true, force: true })
})

describeStore('SQLite', () => ({ open, dispose: () => {} }))

function errorOf(work: () => unknown): StorageError {
  try {
    work()
  } catch (err) {
    if (err instanceof StorageError) return err
    throw err
  }
  throw new Error('it opened')
}

const schemaOf = (path: string): unknown[] => {
  const db = new DatabaseSync(path, { readOnly: true })
  try {
    return db.prepare('SELECT type, name, sql FROM sqlite_schema ORDER BY name').all()
  } finally {
    db.close()
  }
}

describe('the file', () => {
  test('nobody else may read it, nor what SQLite keeps beside it, whatever mode it had', () => {
    const before = process.umask(0)
    try {
      writeFileSync(file(), '', { mode: 0o644 })
      open().transaction(() => {})
    } finally {
      process.umask(before)
    }
    for (const name of ['', '-wal', '-shm']) expect((statSync(file() + name).mode & 0o777).toString(8), name).toBe('600')
  })

  test('every commit reaches the disk', () => {
    const db = openDatabase(file(), NODE_MIGRATIONS)
    expect(db.prepare('PRAGMA synchronous').get()).toEqual({ synchronous: 2 })
    expect(db.prepare('PRAGMA journal_mode').get()).toEqual({ journal_mode: 'wal' })
    db.close()
  })

  test('of a newer version is refused by name and left as it is', () => {
    open().close()
    const db = new DatabaseSync(file())
    db.exec('PRAGMA user_version=999')
    db.close()
    const error = errorOf(() => open())
    expect(error.code).toBe('newer')
    expect(error.message).toContain(file())
    expect(error.message).toContain('999')
    const after = new DatabaseSync(file())
    expect(after.prepare('PRAGMA user_version').get()).toEqual({ user_version: 999 })
    after.close()
  })

  test.each([
    ['text', () => writeFileSync(file(), 'not a database '.repeat(400))],
    ['a broken first page', () => breakFile((bytes) => bytes.fill(0xff, 100, 4_096))],
    ['no tables behind a good head', () => breakFile((bytes) => bytes.fill(0, 24, 4_096))]
  ])('that is damaged (%s) is refused by name and left as it is', (_what, damage) => {
    damage()
    const before = readFileSync(file())
    const error = errorOf(() => open())
    expect(error.code).toBe('corrupt')
    expect(error.message).toContain(file())
    expect(readFileSync(file())).toEqual(before)
  })

  test('that is empty is a new one', () => {
    writeFileSync(file(), '')
    expect(open().jobCount()).toBe(0)
  })

  test('in a folder that is not there, or that is a folder: an error that names it', () => {
    for (const path of [join(dir, 'none', 'state.db'), dir]) {
      const error = errorOf(() => open(path))
      expect([error.code, error.message.includes(path)]).toEqual(['open', true])
    }
  })

  test('two connections see what the other wrote, and share no number', () => {
    const [a, b] = [open(), open()]
    a.transaction(() => a.addCommand(aCommand()))
    expect(b.command(aCommand().id)).toBeDefined()
    b.transaction(() => b.offerRegister(aRegister()))
    expect(a.registers('bafkqaaa')).toEqual([aRegister()])
    const numbers = Array.from({ length: 3_000 }, (_, i) => (i % 2 === 0 ? a : b).next('ack'))
    expect(new Set(numbers).size).toBe(3_000)
  })
})

function breakFile(change: (bytes: Uint8Array) => void): void {
  open().close()
  const bytes = readFileSync(file())
  change(bytes)
  writeFileSync(file(), bytes)
}

describe('an older file', () => {
  test('of version 1 is opened, brought up to date and keeps its rows', () => {
    copyFileSync(FIXTURE, file())
    const store = open()
    const fresh = openNodeStore(join(dir, 'fresh.db'))
    fillFixture(fresh)
    const rows = (of: Store): unknown => ({
      command: of.commandBySeq(1),
      newest: of.newest(),
      standings: of.standings(),
      filed: of.filed(),
      registers: of.registers('bafkqaaa'),
      usage: of.usage(aCommand().author),
      operations: of.operations(1),
      held: of.held(undefined, undefined, 9),
      pin: of.pin('bafkqaaa'),
      job: of.job('bafkqabaa')
    })
    expect(rows(store)).toEqual(rows(fresh))
    expect(store.next('ack')).toBeGreaterThan(1_000)
    fresh.close()
    store.close()
    expect(schemaOf(file())).toEqual(schemaOf(join(dir, 'fresh.db')))
  })
})

describe('killed at any instant', () => {
  test('no number comes twice and nothing that was said to be stored is lost', { timeout: 60_000 }, async () => {
    const lines: string[] = []
    for (const mark of ['one', 'two', 'three']) {
      const child = spawn(process.execPath, [join(import.meta.dirname, 'counter-process.ts'), file(), mark], {
        stdio: ['ignore', 'pipe', 'inherit']
      })
      const ended = new Promise((resolve) => child.once('close', resolve))
      let heard = 0
      for await (const line of createInterface(child.stdout)) {
        lines.push(line)
        if (++heard === 40) child.kill('SIGKILL')
      }
      await ended
      expect(child.signalCode).toBe('SIGKILL')
    }
    const said = lines.map((line) => line.split(' ') as [string, string])
    expect(said.length).toBeGreaterThanOrEqual(120)
    expect(new Set(said.map(([value]) => value)).size).toBe(said.length)
    const store = open()
    for (const [value, id] of said) {
      expect(store.command(id)?.id).toBe(id)
      expect(store.job(id)?.cid).toBe(id)
      expect(Number(value)).toBeLessThan(store.next('ack'))
    }
  })
})
