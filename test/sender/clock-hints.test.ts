import { describe, expect, test } from 'vitest'
import type { OperationState } from '../../src/protocol/ack.ts'
import { MAX_AHEAD_MS } from '../../src/protocol/limits.ts'
import { clockHint, clockWarning, readClocks, type HeardClock } from '../../src/sender/clock-hints.ts'

const HOUR = 3_600_000
const NOW = Date.UTC(2026, 10, 21, 12)
const heard = (node: string, ahead: number, online = true): HeardClock => ({
  online,
  heardAt: NOW,
  presence: { node, time: NOW + ahead }
})
const everyone = (): boolean => true
const skew: OperationState = { status: 'refused', code: 'skew' }
const superseded: OperationState = { status: 'superseded', by: 'c1' }
const pinned: OperationState = { status: 'pinned', bytes: 1 }

const hint = (states: Record<string, OperationState>, nodes: readonly HeardClock[], signedAt = NOW): string | undefined =>
  clockHint(new Map(Object.entries(states)), signedAt, NOW, readClocks(nodes, everyone))

describe('the clocks of nodes', () => {
  test('are measured by those that are there and count, and each against their median', () => {
    const nodes = [heard('a', 0), heard('b', HOUR), heard('c', 10), heard('gone', -9 * HOUR, false), heard('stranger', 5 * HOUR)]
    const { offset, nodes: each } = readClocks(nodes, (node) => node !== 'stranger')
    expect(offset).toBe(10)
    expect([...each]).toEqual([
      ['a', -10],
      ['b', HOUR - 10],
      ['c', 0],
      ['stranger', 5 * HOUR - 10]
    ])
  })

  test('are not known where nobody is there', () => {
    expect(readClocks([heard('gone', HOUR, false)], everyone)).toEqual({ offset: undefined, nodes: new Map() })
  })
})

test('a warning is for a clock that is off, and says which way', () => {
  expect([undefined, 0, MAX_AHEAD_MS].map(clockWarning)).toEqual([undefined, undefined, undefined])
  expect(clockWarning(-2 * HOUR)).toMatch(/^this machine's clock is 2 h ahead of the nodes: they refuse .*timedatectl/)
  expect(clockWarning(HOUR)).toMatch(/^this machine's clock is 60 min behind the nodes: what was said in that time outranks .*timedatectl/)
})

describe('why commands were refused or outranked', () => {
  test('this machine is ahead: from when on nodes take what it signs', () => {
    expect(hint({ a: skew }, [heard('a', -HOUR)])).toMatch(/60 min ahead of the nodes.* from 2026-11-21T11:55Z on/)
  })

  test('it was ahead', () => {
    expect(hint({ a: skew }, [heard('a', 0)], NOW + HOUR)).toMatch(/^a command signed here earlier.* from 2026-11-21T12:55Z on/)
  })

  test('a node is behind the others, or nobody can tell', () => {
    const others = [heard('a', 0), heard('b', 0), heard('c', -HOUR)]
    expect(hint({ a: pinned, b: pinned, c: skew }, others)).toMatch(/^the clock of c is 60 min behind the other nodes/)
    expect(hint({ c: skew }, [])).toBeUndefined()
  })

  test('this machine is behind', () => {
    expect(hint({ a: superseded }, [heard('a', HOUR)])).toMatch(/^this machine's clock is 60 min behind the nodes, which is likely why/)
    expect(hint({ a: superseded }, [heard('a', 0)])).toBeUndefined()
  })

  test('no clock is to blame for other reasons', () => {
    expect(hint({ a: { status: 'refused', code: 'unauthorised' } }, [heard('a', -HOUR)])).toBeUndefined()
    expect(hint({ a: pinned }, [heard('a', HOUR)])).toBeUndefined()
  })
})
