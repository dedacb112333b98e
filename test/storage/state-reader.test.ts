import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Store } from '../../src/node/store.ts'
import { openNodeStore } from '../../src/storage/node-store.ts'
import { StorageError } from '../../src/storage/open.ts'
import { openStateReader } from '../../src/storage/state-reader.ts'
import { aCommand, aRegister } from '../contract/store.ts'
import { FIXTURE } from '../fixtures/state.ts'

let dir: string
const file = (): string => join(dir, 'state.db')
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinsub-reader-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const id = (n: number): string => String(n).padStart(64, '0')
const add = (store: Store, n: number): number => store.addCommand(aCommand({ id: id(n), acceptedAt: n, envelope: Uint8Array.of(n) }))
const ids = (reader: ReturnType<typeof openStateReader>): string[] => [...reader.commands()].map((command) => command.id)

function errorOf(work: () => unknown): StorageError {
  try {
    work()
  } catch (err) {
    if (err instanceof StorageError) return err
    throw err
  }
  throw new Error('it was read')
}

test('shows authors, and the commands that hold a register in the order in which they came', () => {
  const store: Store = openNodeStore(file())
  const { author } = aCommand()
  const grant = { author, comment: 'c', rights: ['pin'], admin: false } as const
  store.putFiled(author, { grant, closedAt: 5, voided: true })
  const seqs = [3, 1, 2].map((n) => add(store, n))
  store.pass(seqs[1] as number, 9)
  store.close()

  using reader = openStateReader(file())
  expect(reader.filed()).toEqual(new Map([[author, { grant, closedAt: 5, voided: true }]]))
  expect([...reader.commands()]).toEqual([3, 2].map((n) => ({ id: id(n), author, acceptedAt: n, envelope: Uint8Array.of(n) })))
})

test('shows what authors are charged for', () => {
  const store: Store = openNodeStore(file())
  const register = aRegister()
  store.offerRegister(register)
  store.charge(register)
  store.putPin({ cid: register.cid, spelled: register.cid, bytes: 30, foreign: false, pinnedAt: 1 })
  store.close()
  using reader = openStateReader(file())
  expect(reader.usage()).toEqual(new Map([[register.author, { pins: 1, bytes: 30 }]]))
})

test('finds commands by the beginning of their ids, also those that hold no register any more', () => {
  const store: Store = openNodeStore(file())
  const named = ['ab'.repeat(32), `ab${'0'.repeat(62)}`, 'ac'.repeat(32)]
  const seqs = named.map((each) => store.addCommand(aCommand({ id: each })))
  store.pass(seqs[0] as number, 9)
  store.close()
  using reader = openStateReader(file())
  const found = (prefix: string, limit = 10): string[] => reader.find(prefix, limit).map((command) => command.id)
  expect(found('ab')).toEqual([named[1], named[0]])
  expect(found('ab', 1)).toEqual([named[1]])
  expect(found(named[2] as string)).toEqual([named[2]])
  expect(found('ad')).toEqual([])
})

test('beside a writer it shows one moment, and does not hold the writer up', () => {
  const store: Store = openNodeStore(file())
  for (let n = 0; n < 100; n++) add(store, n)
  {
    using reader = openStateReader(file())
    const walk = reader.commands()
    const first = walk.next().value
    store.transaction(() => add(store, 100))
    store.pass(50, 1)
    expect(store.forgetPassed(2, 0, 10)).toBe(1)
    const all = Array.from({ length: 100 }, (_, n) => id(n))
    expect([first?.id, ...[...walk].map((command) => command.id)]).toEqual(all)
    expect(ids(reader)).toEqual(all)
  }
  using reader = openStateReader(file())
  expect(ids(reader)).toHaveLength(100)
  expect(ids(reader)).toContain(id(100))
  store.close()
})

test('left in the middle of a walk it lets go of the file', () => {
  const store: Store = openNodeStore(file())
  for (let n = 0; n < 10; n++) add(store, n)
  {
    using reader = openStateReader(file())
    for (const command of reader.commands()) if (command.id === id(3)) break
  }
  store.close()
  // With another handle on the file the journal mode could not be changed.
  const db = new DatabaseSync(file())
  expect(db.prepare('PRAGMA journal_mode=DELETE').get()).toEqual({ journal_mode: 'delete' })
  db.close()
})

const KILLED = `
const { openNodeStore } = await import(${JSON.stringify(new URL('../../src/storage/node-store.ts', import.meta.url).href)})
const command = { author: 'SHA256:${'A'.repeat(43)}', pinset: 'p', time: { ms: 1, counter: 0 }, envelope: new Uint8Array(3) }
openNodeStore(process.argv[1]).addCommand({ ...command, id: 'a'.repeat(64), acceptedAt: 6 })
process.kill(process.pid, 'SIGKILL')
`

test('after a kill -9 of the agent it shows what was durable, and changes nothing', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', KILLED, file()], { stdio: 'inherit' })
  await once(child, 'exit')
  const before = [readFileSync(file()), readFileSync(`${file()}-wal`)]
  expect(before[1]?.byteLength).toBeGreaterThan(0)
  using reader = openStateReader(file())
  expect(ids(reader)).toEqual(['a'.repeat(64)])
  expect([readFileSync(file()), readFileSync(`${file()}-wal`)]).toEqual(before)
})

describe('a file that cannot be read is refused by name and left as it is', () => {
  test('missing', () => {
    expect(errorOf(() => openStateReader(file()))).toMatchObject({
      code: 'open',
      message: expect.stringContaining(`there is no ${file()}`)
    })
  })

  test('of an older version', () => {
    copyFileSync(FIXTURE, file())
    expect(errorOf(() => openStateReader(file()))).toMatchObject({
      code: 'open',
      message: expect.stringMatching(/state\.db was written by an older pinsub \(schema 1, .*"pinsub node" brings it up to date/)
    })
    expect(readFileSync(file())).toEqual(readFileSync(FIXTURE))
  })

  test('of a newer version', () => {
    openNodeStore(file()).close()
    const db = new DatabaseSync(file())
    db.exec('PRAGMA user_version=999')
    db.close()
    const error = errorOf(() => openStateReader(file()))
    expect(error).toMatchObject({ code: 'newer', message: expect.stringMatching(/newer pinsub \(schema 999.*update pinsub/) })
  })

  test('damaged', () => {
    writeFileSync(file(), 'not a database '.repeat(400))
    expect(errorOf(() => openStateReader(file()))).toMatchObject({ code: 'corrupt', message: expect.stringContaining(file()) })
  })

  test('damaged in the middle: what comes before is shown', () => {
    const store: Store = openNodeStore(file())
    store.transaction(() => {
      for (let n = 0; n < 2_000; n++) store.addCommand(aCommand({ id: id(n), envelope: new Uint8Array(500) }))
    })
    store.close()
    const bytes = readFileSync(file())
    bytes.fill(0xff, bytes.byteLength >> 1)
    writeFileSync(file(), bytes)
    using reader = openStateReader(file())
    let shown = 0
    const walk = (): void => {
      for (const _ of reader.commands()) shown++
    }
    expect(errorOf(walk)).toMatchObject({ code: 'corrupt', message: expect.stringContaining(file()) })
    expect(shown).toBeGreaterThan(0)
  })
})
