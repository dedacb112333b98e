import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { findCommands } from '../../src/storage/find-command.ts'
import { openLedger } from '../../src/storage/ledger.ts'
import { openNodeStore } from '../../src/storage/node-store.ts'
import { aCommand } from '../contract/store.ts'

const A = `abcdef01${'a'.repeat(56)}`
const B = `abcdef02${'b'.repeat(56)}`

let dir: string
const files = (): { ledger: string; stateDb: string } => ({ ledger: join(dir, 'ledger.db'), stateDb: join(dir, 'state.db') })
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'pinsub-find-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

/** Puts a command into the ledger, which stays open as that of a sender at work does. */
function sent(id: string): Disposable {
  const ledger = openLedger(files().ledger)
  const { author, time, envelope } = aCommand()
  ledger.record({ id, network: 'n', author, pinset: 'default', time, envelope, operations: [] })
  return { [Symbol.dispose]: () => ledger.close() }
}

/** The same for an agent. */
function accepted(...ids: readonly string[]): Disposable {
  const store = openNodeStore(files().stateDb)
  for (const id of ids) store.addCommand(aCommand({ id, acceptedAt: 7 }))
  return { [Symbol.dispose]: () => store.close() }
}

test('a home without either knows none', () => {
  expect(findCommands(files(), 'abcdef01')).toEqual([])
})

test('what was sent and what was accepted is found, and the same command once', () => {
  using _sender = sent(A)
  using _agent = accepted(A, B)
  const { envelope } = aCommand()
  expect(findCommands(files(), 'abcdef')).toEqual([
    { id: A, envelope: new Uint8Array(envelope), from: ['sender', 'node'], acceptedAt: 7 },
    { id: B, envelope: new Uint8Array(envelope), from: ['node'], acceptedAt: 7 }
  ])
  expect(findCommands(files(), A).map(({ id }) => id)).toEqual([A])
  expect(findCommands(files(), 'abcdef03')).toEqual([])
})

test('a file that cannot be read is told of where nothing else has the command', () => {
  using _sender = sent(A)
  writeFileSync(files().stateDb, 'this is not a database, whatever its name says'.repeat(100))
  expect(findCommands(files(), A)).toMatchObject([{ id: A, from: ['sender'] }])
  expect(() => findCommands(files(), B)).toThrow(/state\.db is damaged/)
})
