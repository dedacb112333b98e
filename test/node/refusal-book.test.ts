import { expect, test } from 'vitest'
import { createRefusalBook } from '../../src/node/refusal-book.ts'
import { MAX_REFUSALS_TOLD, REFUSALS_MS } from '../../src/protocol/limits.ts'
import type { StoredRefusal } from '../../src/protocol/records.ts'
import { openNodeStore } from '../../src/storage/node-store.ts'
import { author } from '../support/author.ts'
import { createManualClock } from '../support/clock.ts'

const { author: alice } = author('alice')

function stage(addRefusals?: () => void) {
  const clock = createManualClock()
  const store = openNodeStore(':memory:')
  const written: StoredRefusal[][] = []
  const warnings: string[] = []
  const log = { debug() {}, info() {}, warn: (line: string) => void warnings.push(line) }
  const add = addRefusals ?? ((refusals: readonly StoredRefusal[]): void => void written.push([...refusals]))
  const book = createRefusalBook({ store: { ...store, addRefusals: add }, clock, log })
  return { clock, book, written, warnings, [Symbol.dispose]: () => store.close() }
}

test('the first is written soon, with what was read of it', () => {
  using at = stage()
  const now = at.clock.now()
  at.book.note('pinset', { author: alice, command: 'c', pinset: 'site', isProven: true }, 'peer')
  expect(at.written).toEqual([])
  at.clock.advance(250)
  const refusal = {
    at: now,
    until: now,
    code: 'pinset',
    author: alice,
    command: 'c',
    pinset: 'site',
    isProven: true,
    peer: 'peer',
    more: 0
  }
  expect(at.written).toEqual([[refusal]])
  expect(at.clock.pending()).toBe(0)
})

test('those that follow from one key are a number, and are written later', () => {
  using at = stage()
  at.book.note('unauthorised', { author: alice, command: 'a' }, 'peer')
  at.clock.advance(250)
  for (let i = 0; i < 413; i++) {
    at.book.note('unauthorised', { author: alice, command: `b${i}` }, 'peer')
    at.clock.advance(10)
  }
  at.book.note('skew', { author: alice }, 'peer')
  expect(at.written).toHaveLength(1)
  at.clock.advance(REFUSALS_MS)
  expect(at.written.slice(1)).toEqual([
    [expect.objectContaining({ code: 'unauthorised', command: 'b0', more: 412 }), expect.objectContaining({ code: 'skew', more: 0 })]
  ])
  const [{ at: first, until } = { at: 0, until: 0 }] = at.written[1] ?? []
  expect(until - first).toBe(4_120)
})

test('a flood from ever new keys is a few rows in each time, and loses no number', () => {
  using at = stage()
  const noted = 20_000
  for (let i = 0; i < noted; i++) {
    at.book.note('unauthorised', { author: author(`key ${i % 500}`).author, command: `${i}` }, 'peer')
    if (i % 100 === 0) at.clock.advance(200)
  }
  at.book.stop()
  const rows = at.written.flat()
  expect(rows.reduce((sum, { more }) => sum + 1 + more, 0)).toBe(noted)
  expect(Math.max(...at.written.map(({ length }) => length))).toBe(MAX_REFUSALS_TOLD + 1)
  expect(at.written.length).toBeLessThanOrEqual((200 * 200) / REFUSALS_MS + 2)
  expect(rows.filter((row) => row.author === undefined).every(({ command, isProven }) => command === undefined && !isProven)).toBe(true)
})

test('what is noted at the end is written; a store that cannot be written costs a warning', () => {
  using at = stage(() => {
    throw new Error('disk is full')
  })
  at.book.note('shape', {}, 'peer')
  at.book.stop()
  at.book.stop()
  expect(at.warnings).toEqual(['cannot note refusals for the log: disk is full'])
  expect(at.clock.pending()).toBe(0)
})
