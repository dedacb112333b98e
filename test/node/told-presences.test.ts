import { expect, test } from 'vitest'
import type { PresenceEntry } from '../../src/network/presence-table.ts'
import { toldPresences } from '../../src/node/told-presences.ts'
import { MAX_PRESENCES, MAX_PRESENCE_BYTES, MAX_TOLD_STRANGER_BYTES, MAX_TOLD_UNVOUCHED_BYTES } from '../../src/protocol/limits.ts'

/** Entries in the order of hearing, each as large as it says. */
const heard = (count: number, size: number, name: string): PresenceEntry[] =>
  Array.from(
    { length: count },
    (_, i) => ({ presence: { node: `${name}${i}` }, envelope: { bytes: new Uint8Array(size) } }) as unknown as PresenceEntry
  )
const known = (isChosen: boolean) => ({ has: (node: string) => node.startsWith('known'), isChosen: () => isChosen })
const nodes = (entries: readonly PresenceEntry[]): string[] => entries.map(({ presence }) => presence.node)

test('all known nodes are told of, before others, however many strangers fill the table', () => {
  const told = toldPresences(
    [...heard(300, MAX_PRESENCE_BYTES, 'known'), ...heard(MAX_PRESENCES - 300, MAX_PRESENCE_BYTES, 'sybil')],
    known(true)
  )
  expect(nodes(told.slice(0, 300))).toEqual(nodes(heard(300, 1, 'known')).toReversed())
  const others = told.slice(300)
  expect(others).toHaveLength(MAX_TOLD_STRANGER_BYTES / MAX_PRESENCE_BYTES)
  expect(nodes(others)[0]).toBe('sybil723')
})

test('a node of the usual size is told of beside those that make theirs large, also where nobody is named', () => {
  const large = heard(500, MAX_PRESENCE_BYTES - 1, 'sybil')
  for (const isChosen of [true, false])
    expect(nodes(toldPresences([...heard(1, 10, 'small'), ...large], known(isChosen)))).toContain('small0')
  const honest = heard(500, 1_000, 'node')
  expect(toldPresences(honest, known(false))).toHaveLength(500)
  const bytes = toldPresences(large, known(false)).reduce((sum, { envelope }) => sum + envelope.bytes.byteLength, 0)
  expect(bytes).toBeLessThanOrEqual(MAX_TOLD_UNVOUCHED_BYTES)
})
