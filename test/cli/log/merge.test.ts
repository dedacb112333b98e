import { expect, test } from 'vitest'
import { mergeRows } from '../../../src/cli/log/merge.ts'
import type { LogRow } from '../../../src/protocol/log-entry.ts'

const ended: string[] = []
function* rows(peer: string, ...times: number[]): Generator<LogRow> {
  try {
    for (const at of times)
      yield { kind: 'refusal', source: 'node', at, refusal: { at, until: at, code: 'skew', isProven: true, peer, more: 0 } }
  } finally {
    ended.push(peer)
  }
}
const told = (row: LogRow): string => `${row.at}${row.kind === 'refusal' ? row.refusal.peer : ''}`

test('rows of several logs come in the order of time, from either end, none lost', () => {
  expect([...mergeRows([rows('a', 1, 3, 3, 9), rows('b', 2, 3), rows('c')], false)].map(told)).toEqual(['1a', '2b', '3a', '3a', '3b', '9a'])
  expect([...mergeRows([rows('a', 9, 3), rows('b', 5, 3, 1)], true)].map(told)).toEqual(['9a', '5b', '3a', '3b', '1b'])
  expect([...mergeRows([], true)]).toEqual([])
})

test('whoever stops reading ends all of them', () => {
  ended.length = 0
  for (const row of mergeRows([rows('a', 1, 5), rows('b', 2, 6)], false)) if (row.at === 2) break
  expect(ended.toSorted()).toEqual(['a', 'b'])
})
