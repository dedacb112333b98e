import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isOff, medianOffset, offsetOf, sayOffset } from '../../src/protocol/clock-offset.ts'
import { MAX_AHEAD_MS } from '../../src/protocol/limits.ts'

const HOUR = 3_600_000

test('the offset of a clock is what it showed less when that was heard', () => {
  expect(offsetOf({ time: 5_000, heardAt: 3_000 })).toBe(2_000)
  expect(offsetOf({ time: 3_000, heardAt: 5_000 })).toBe(-2_000)
})

test.each([
  [[], undefined],
  [[HOUR], HOUR],
  [[0, HOUR], 0],
  [[0, -HOUR], 0],
  [[-HOUR, HOUR], 0],
  [[HOUR, HOUR + 1], HOUR],
  [[-HOUR - 1, -HOUR], -HOUR],
  [[0, 5, HOUR], 5],
  [[HOUR, 0, HOUR], HOUR],
  [[-HOUR, 0, 3, HOUR], 0]
])('the median of %j is %s', (offsets, median) => expect(medianOffset(offsets)).toBe(median))

test('it lies among the offsets or at 0, fewer than half of them cannot move it far, and order does not matter', () => {
  const offsets = fc.array(fc.integer({ min: -10, max: 10 }), { minLength: 1, maxLength: 9 })
  fc.assert(
    fc.property(offsets, fc.array(fc.integer({ min: -HOUR, max: HOUR }), { maxLength: 8 }), (honest, others) => {
      const wrong = others.slice(0, honest.length - 1)
      const median = medianOffset([...honest, ...wrong]) as number
      expect(Math.abs(median)).toBeLessThanOrEqual(10)
      expect(medianOffset([...wrong, ...honest].toReversed())).toBe(median)
    })
  )
})

test('is off beyond what commands may be ahead, either way', () => {
  expect([undefined, 0, MAX_AHEAD_MS, -MAX_AHEAD_MS, MAX_AHEAD_MS + 1, -MAX_AHEAD_MS - 1].map(isOff)).toEqual([
    false,
    false,
    false,
    false,
    true,
    true
  ])
})

test('in words', () => {
  expect(sayOffset(61 * 60_000)).toBe('61 min ahead')
  expect(sayOffset(-61 * 60_000, 'the nodes')).toBe('61 min behind the nodes')
  expect(sayOffset(5 * HOUR, 'the nodes')).toBe('5 h ahead of the nodes')
  expect(sayOffset(-72 * HOUR)).toBe('3 days behind')
})
