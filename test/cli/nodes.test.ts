import { expect, test } from 'vitest'
import { nodeRow } from '../../src/cli/commands/nodes.ts'
import type { NodeEvent } from '../../src/sender/types.ts'

const NOW = Date.UTC(2026, 10, 21, 12)
const node = (rest: Partial<NodeEvent> = {}): NodeEvent => ({
  event: 'node',
  node: '12D3KooWA',
  addresses: ['/ip4/203.0.113.1/tcp/4101'],
  state: 'online',
  last_seen: new Date(NOW - 240_000).toISOString(),
  backend: 'kubo',
  up: true,
  version: 'pinsub/0.1.0',
  trusted: true,
  behind: 0,
  ...rest
})
const row = (rest: Partial<NodeEvent>): string[] => nodeRow(node(rest), NOW)

test('a row says who it is, whether it is in step, and where it keeps what', () => {
  expect(row({ free: 12e9 })).toEqual([
    '12D3KooWA',
    'online',
    'in sync',
    'Kubo',
    '12.0 GB free',
    'trusted',
    '/ip4/203.0.113.1/tcp/4101',
    ''
  ])
})

test.each<[Partial<NodeEvent>, string]>([
  [{ behind: 312 }, '312 behind'],
  [{ behind: null }, 'lag unknown'],
  [{ capped: true }, 'in sync (capped)'],
  [{ behind: 3, capped: true }, '3 behind (capped)'],
  [{ state: 'gone', behind: null }, 'last seen 4 min ago'],
  [{ state: 'gone', behind: null, last_seen: null }, 'never seen'],
  [{ up: false }, 'Kubo (down)'],
  [{ up: false, full: true }, 'Kubo (down)'],
  [{ full: true, backend: 'helia' }, 'built in (full)'],
  [{ clock_off_ms: 61 * 60_000, clock_off: true }, 'clock 61 min ahead'],
  [{ clock_off_ms: -3 * 3_600_000 }, 'clock 3 h behind'],
  [{ clock_off: true }, 'clock off, by its own word'],
  [{ trusted: false }, 'not vouched for']
])('%j is told as "%s"', (rest, text) => expect(row(rest)).toContain(text))
