import { expect, test } from 'vitest'
import { createRetention } from '../../src/node/retention.ts'
import { MAX_PASSED, PASSED_MS } from '../../src/protocol/limits.ts'
import { openNodeStore } from '../../src/storage/node-store.ts'
import { aCommand } from '../contract/store.ts'
import { createManualClock } from '../support/clock.ts'

const log = { debug() {}, info() {}, warn() {} }

function stage() {
  const clock = createManualClock()
  const store = openNodeStore(':memory:')
  const retention = createRetention({ store, clock, log })
  const add = (i: number): number => store.addCommand(aCommand({ id: i.toString(16).padStart(64, '0') }))
  const left = (): number[] => Array.from({ length: 2_000 }, (_, i) => i).filter((i) => store.command(i.toString(16).padStart(64, '0')))
  return { clock, store, retention, add, left, [Symbol.dispose]: () => store.close() }
}

const change = { kind: 'left', author: `SHA256:${'A'.repeat(43)}`, pinset: 'default', ms: 0, id: '', bytes: 0 } as const

test('what passed goes a day later, what stands in a set never', () => {
  using at = stage()
  const { clock, store, retention, add, left } = at
  add(0)
  store.pass(add(1), clock.now())
  retention.start()
  clock.advance(PASSED_MS)
  expect(left()).toEqual([0, 1])
  clock.advance(600_000)
  expect(left()).toEqual([0])
  retention.stop()
  expect(clock.pending()).toBe(0)
})

test('many that pass are looked at once, and more than fit one transaction go one after the other', () => {
  using at = stage()
  const { clock, store, retention, add, left } = at
  store.transaction(() => {
    for (let i = 0; i < 1_200; i++) store.pass(add(i), clock.now() - PASSED_MS - 1)
  })
  retention.apply(Array.from({ length: 1_000 }, () => change))
  expect(clock.pending()).toBe(0)
  retention.start()
  retention.apply(Array.from({ length: 1_000 }, () => change))
  clock.advance(0)
  expect(left()).toEqual([])
  retention.stop()
})

test('the newest are kept however many there are', () => {
  using at = stage()
  const { clock, store, retention, add } = at
  store.transaction(() => {
    for (let i = 0; i < MAX_PASSED + 7; i++) store.pass(add(i), clock.now())
  })
  retention.start()
  clock.advance(0)
  const kept = (i: number): boolean => store.command(i.toString(16).padStart(64, '0')) !== undefined
  expect([kept(6), kept(7), kept(MAX_PASSED + 6)]).toEqual([false, true, true])
  retention.stop()
})

test('a store that cannot be written is tried again later', () => {
  using at = stage()
  const { clock, store, add, left } = at
  let isFull = true
  const warnings: string[] = []
  const retention = createRetention({
    store: {
      ...store,
      transaction: (work) => {
        if (isFull) throw new Error('database or disk is full')
        return store.transaction(work)
      }
    },
    clock,
    log: { ...log, warn: (line) => warnings.push(line) }
  })
  store.pass(add(0), clock.now() - PASSED_MS - 1)
  retention.start()
  clock.advance(0)
  expect(warnings).toEqual(['cannot remove old commands, will try again: database or disk is full'])
  isFull = false
  clock.advance(600_000)
  expect(left()).toEqual([])
  retention.stop()
})
