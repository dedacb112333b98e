/** How much of one author is kept, at the sizes that agents run with. */
import { expect, test } from 'vitest'
import { openCommandSets, type CommandSets } from '../../src/node/sets.ts'
import type { Operation } from '../../src/protocol/command.ts'
import {
  MAX_ADMIN_BYTES,
  MAX_ADMIN_CLOSING_BYTES,
  MAX_AUTHOR_BYTES,
  MAX_AUTHOR_UNPIN_BYTES,
  MAX_PLAIN_ADMIN_BYTES
} from '../../src/protocol/limits.ts'
import type { SetMember } from '../../src/protocol/records.ts'
import { nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { author, cidOf } from '../support/author.ts'

const greedy = author('greedy').author
const other = author('other').author
const cid = cidOf('x')
const OPERATIONS = {
  pin: { op: 'pin', cid },
  unpin: { op: 'unpin', cid },
  trust: { op: 'trust', node: nodeIdOf(author('node').blob) },
  distrust: { op: 'distrust', node: nodeIdOf(author('node').blob) },
  revoke: { op: 'revoke', author: other },
  close: { op: 'close', author: other, keeps: [] }
} as const satisfies Record<string, Operation>
type Op = keyof typeof OPERATIONS

const member = (pinset: string | undefined, bytes: number, by = greedy): SetMember => ({
  author: by,
  pinset,
  ms: 5,
  id: bytes.toString(16).padStart(64, '0'),
  bytes
})

/** Sets in which the author has so many bytes, in pinsets and without one. */
const holding = (pins: number, admin: number): CommandSets =>
  openCommandSets({ setMembers: () => [member('site', pins), member(undefined, admin)].filter(({ bytes }) => bytes > 0) })

const room = (sets: CommandSets, pinset: string | undefined, isAdmin: boolean, ...ops: readonly Op[]): boolean =>
  sets.hasRoom({ author: greedy, pinset, operations: ops.map((op) => OPERATIONS[op]) }, isAdmin)

test.each<[ops: Op, most: number]>([
  ['pin', MAX_AUTHOR_BYTES],
  ['unpin', MAX_AUTHOR_BYTES + MAX_AUTHOR_UNPIN_BYTES]
])('in pinsets there is room to %s below %i bytes', (op, most) => {
  for (const isAdmin of [true, false]) {
    expect(room(holding(most - 1, 0), 'site', isAdmin, op)).toBe(true)
    expect(room(holding(most, 0), 'site', isAdmin, op)).toBe(false)
    // Its share is one, whatever it calls its pinsets.
    expect(room(holding(most, 0), 'another', isAdmin, op)).toBe(false)
  }
})

test.each<[op: Op, isAdmin: boolean, most: number]>([
  ['trust', true, MAX_ADMIN_BYTES],
  ['distrust', true, MAX_ADMIN_BYTES + MAX_ADMIN_CLOSING_BYTES],
  ['revoke', true, MAX_ADMIN_BYTES + MAX_ADMIN_CLOSING_BYTES],
  ['close', true, MAX_ADMIN_BYTES + MAX_ADMIN_CLOSING_BYTES],
  ['trust', false, MAX_PLAIN_ADMIN_BYTES],
  ['revoke', false, MAX_PLAIN_ADMIN_BYTES]
])('without a pinset there is room to %s (an admin: %s) below %i bytes', (op, isAdmin, most) => {
  expect(room(holding(0, most - 1), undefined, isAdmin, op)).toBe(true)
  expect(room(holding(0, most), undefined, isAdmin, op)).toBe(false)
})

test('what only takes away is that with every operation', () => {
  expect(room(holding(MAX_AUTHOR_BYTES, 0), 'site', false, 'unpin', 'pin')).toBe(false)
  expect(room(holding(0, MAX_ADMIN_BYTES), undefined, true, 'revoke', 'trust')).toBe(false)
})

test('what an author has without a pinset counts into its share, and not the other way round', () => {
  const sets = holding(MAX_AUTHOR_BYTES - 1, 1)
  expect(room(sets, 'site', true, 'pin')).toBe(false)
  expect(room(sets, undefined, true, 'trust')).toBe(true)
})

test('others have their own room, and what goes makes room again', () => {
  const sets = holding(MAX_AUTHOR_BYTES, 0)
  expect(sets.hasRoom({ author: other, pinset: 'site', operations: [OPERATIONS.pin] }, false)).toBe(true)
  sets.apply([{ kind: 'left', ...member('site', MAX_AUTHOR_BYTES) }])
  expect(room(sets, 'site', false, 'pin')).toBe(true)
  sets.apply([{ kind: 'joined', ...member('site', MAX_AUTHOR_BYTES, other) }])
  expect(room(sets, 'site', false, 'pin')).toBe(true)
})

test.each([
  ['site', MAX_AUTHOR_BYTES],
  [undefined, MAX_ADMIN_BYTES]
])('a set that is full says so to others (%s)', (pinset, most) => {
  const capped = (bytes: number): boolean | undefined => openCommandSets({ setMembers: () => [member(pinset, bytes)] }).digests()[0]?.capped
  expect([capped(most - 1), capped(most)]).toEqual([undefined, true])
})
