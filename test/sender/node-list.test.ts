import { expect, test } from 'vitest'
import type { PresenceEntry } from '../../src/network/presence-table.ts'
import type { Presence } from '../../src/protocol/presence.ts'
import type { SetDigest } from '../../src/protocol/sync/digest.ts'
import { createCensus } from '../../src/sender/census.ts'
import { readClocks } from '../../src/sender/clock-hints.ts'
import { listNodes } from '../../src/sender/node-list.ts'
import type { NodeEvent } from '../../src/sender/types.ts'
import { described } from '../network/presences.ts'

const HOUR = 3_600_000
const NOW = Date.UTC(2026, 10, 21, 12)
const set = (count: number, rest: Partial<SetDigest> = {}): SetDigest => ({
  author: 'SHA256:alice',
  pinset: 'default',
  count,
  newest: count,
  root: new Uint8Array(32).fill(count),
  ...rest
})

const heard = (node: string, presence: Partial<Presence> = {}, rest: Partial<PresenceEntry> = {}): PresenceEntry =>
  ({
    presence: { ...described(), node, sequence: 1, time: NOW, sets: [set(9)], ...presence },
    heardAt: NOW,
    online: true,
    ...rest
  }) as PresenceEntry

function list(entries: readonly PresenceEntry[], known: readonly string[]): Record<string, NodeEvent> {
  const presence = {
    all: () => entries,
    get: (node: string) => entries.find((entry) => entry.presence.node === node),
    offer: () => false,
    onChange: () => () => {}
  }
  const knownNodes = new Set(known)
  const census = createCensus(knownNodes, presence)
  const nodes = listNodes({ presence, census, knownNodes, clocks: () => readClocks(entries, census.counts) })
  return Object.fromEntries(nodes.map((node) => [node.node, node]))
}

test('a node that is there and in step, and known ones that never were heard', () => {
  const nodes = list([heard('a', { free: 5, addresses: ['/ip4/203.0.113.1/tcp/4101'] })], ['a', 'silent'])
  expect(nodes).toEqual({
    a: {
      event: 'node',
      node: 'a',
      addresses: ['/ip4/203.0.113.1/tcp/4101'],
      state: 'online',
      last_seen: '2026-11-21T12:00:00.000Z',
      backend: 'helia',
      up: true,
      version: 'pinsub/0.1.0',
      trusted: true,
      behind: 0,
      free: 5
    },
    silent: {
      event: 'node',
      node: 'silent',
      addresses: [],
      state: 'gone',
      last_seen: null,
      backend: null,
      up: null,
      version: null,
      trusted: true,
      behind: null
    }
  })
})

test('lag is measured by trusted nodes; what is capped, full, gone or wrong about the time is told', () => {
  const nodes = list(
    [
      heard('a'),
      heard('slow', { sets: [set(4)] }),
      heard('capped', { sets: [set(1, { capped: true })] }),
      heard('full', { backend: { kind: 'kubo', up: true, full: true, addresses: [] } }),
      heard('ahead', { time: NOW + HOUR, clockOff: true }),
      heard('gone', { clockOff: true }, { online: false, heardAt: NOW - HOUR }),
      heard('stranger', { sets: [set(200)] })
    ],
    ['a', 'slow', 'capped', 'full', 'ahead', 'gone']
  )
  const told = Object.entries(nodes).map(([name, { behind, capped, full, clock_off_ms: off, clock_off: says }]) => [
    name,
    { behind, capped, full, off, says }
  ])
  const nothing = { behind: 0, capped: undefined, full: undefined, off: undefined, says: undefined }
  expect(Object.fromEntries(told)).toEqual({
    a: nothing,
    slow: { ...nothing, behind: 5 },
    capped: { ...nothing, capped: true },
    full: { ...nothing, full: true },
    ahead: { ...nothing, off: HOUR, says: true },
    gone: { ...nothing, behind: null },
    stranger: { ...nothing, behind: 1 }
  })
  expect(nodes['gone']).toMatchObject({ state: 'gone', last_seen: '2026-11-21T11:00:00.000Z' })
})
