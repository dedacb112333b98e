import { expect, test } from 'vitest'
import type { OperationState } from '../../src/protocol/ack.ts'
import { MAX_TRACKED_NODES } from '../../src/protocol/limits.ts'
import { createTracker, tally, track, type Census, type Tally, type Tracker, type TrackerEvent } from '../../src/sender/tracker.ts'

const everyone: Census = { counts: () => true, backend: (node) => node }
const pinned: OperationState = { status: 'pinned', bytes: 1 }
const refused: OperationState = { status: 'refused', code: 'operation' }

const begun = (): Tracker =>
  createTracker([
    { cid: 'a', op: 'pin', command: 'c1', index: 0, wanted: 2 },
    { cid: 'b', op: 'pin', command: 'c1', index: 1, wanted: 2 }
  ])
const ack = (node: string, sequence: number, ...states: OperationState[]): TrackerEvent => ({
  type: 'ack',
  node,
  command: 'c1',
  sequence,
  states
})
const take = (tracker: Tracker, event: TrackerEvent): Tracker => track(tracker, event, everyone).tracker
const after = (...events: TrackerEvent[]): Tracker => events.reduce(take, begun())
const tallies = (tracker: Tracker, census = everyone): Tally[] => tracker.cids.map((_, position) => tally(tracker, position, census))

test('counts nodes that say pinned, for each CID', () => {
  const found = tallies(after(ack('n1', 1, pinned, { status: 'queued' }), ack('n2', 1, pinned, pinned)))
  expect(found.map(({ cid, replicas, wanted }) => [cid, replicas, wanted])).toEqual([
    ['a', 2, 2],
    ['b', 1, 2]
  ])
})

test('the higher sequence replaces the lower, whatever comes last; repeats change nothing', () => {
  const newest = after(ack('n1', 5, pinned, pinned))
  expect(track(newest, ack('n1', 4, refused, refused), everyone)).toEqual({ tracker: newest, positions: [] })
  expect(track(newest, ack('n1', 5, refused, refused), everyone)).toEqual({ tracker: newest, positions: [] })
  expect(track(newest, ack('n1', 6, refused, pinned), everyone).positions).toEqual([0])
  expect(tallies(take(newest, ack('n1', 6, refused, pinned)))[0]).toMatchObject({ replicas: 0, refused: true })
})

test('nodes that nobody vouched for are shown and not counted; two on one daemon are one replica', () => {
  const tracker = after(ack('n1', 1, pinned, pinned), ack('n2', 1, pinned, pinned), ack('evil', 1, pinned, pinned))
  const census: Census = { counts: (node) => node !== 'evil', backend: () => 'one daemon' }
  const [a] = tallies(tracker, census)
  expect(a?.replicas).toBe(1)
  expect([...(a?.states.keys() ?? [])]).toEqual(['n1', 'n2', 'evil'])
})

test('is hopeless when every node that was reached has refused, and not before', () => {
  const sent = take(begun(), { type: 'delivered', command: 'c1', nodes: ['n1', 'n2'] })
  expect(tallies(sent)[0]).toMatchObject({ hopeless: false, refused: false })
  const one = take(sent, ack('n1', 1, refused, pinned))
  expect(tallies(one)[0]).toMatchObject({ hopeless: false, refused: true })
  const two = take(one, { type: 'refusal', node: 'n2', command: 'c1', code: 'unauthorised' })
  expect(tallies(two).map(({ hopeless }) => hopeless)).toEqual([true, false])
})

test('is hopeless, too, when those that did not refuse hold to a later command', () => {
  const superseded: OperationState = { status: 'superseded', by: 'c2' }
  const one = take(begun(), ack('n1', 1, superseded, pinned))
  expect(tallies(one).map(({ hopeless, refused: isRefused }) => [hopeless, isRefused])).toEqual([
    [true, false],
    [false, false]
  ])
  expect(tallies(take(one, ack('n2', 1, refused, pinned)))[0]).toMatchObject({ hopeless: true, refused: true })
  expect(tallies(take(one, ack('n2', 1, { status: 'queued' }, pinned)))[0]).toMatchObject({ hopeless: false })
})

test('a refusal over a stream never outweighs what a node signed', () => {
  const tracker = after(ack('n1', 1, pinned, pinned), { type: 'refusal', node: 'n1', command: 'c1', code: 'skew' })
  expect(tallies(tracker)[0]).toMatchObject({ replicas: 1, refused: false })
  const turned = after({ type: 'refusal', node: 'n1', command: 'c1', code: 'skew' }, ack('n1', 0, pinned, pinned))
  expect(tallies(turned)[0]).toMatchObject({ replicas: 1, refused: false })
})

test('words on commands of others are not ours', () => {
  const tracker = begun()
  expect(track(tracker, { type: 'refusal', node: 'n1', command: 'other', code: 'skew' }, everyone)).toEqual({ tracker, positions: [] })
  expect(track(tracker, { type: 'ack', node: 'n1', command: 'other', sequence: 1, states: [pinned] }, everyone)).toEqual({
    tracker,
    positions: []
  })
})

test('the words of so many nodes are kept, and newer words of those', () => {
  const crowd = Array.from({ length: MAX_TRACKED_NODES + 10 }, (_, i) => ack(`n${i}`, 1, pinned, pinned))
  const full = after(...crowd)
  expect(tallies(full)[0]?.states.size).toBe(MAX_TRACKED_NODES)
  expect(track(full, ack('n0', 2, refused, pinned), everyone).positions).toEqual([0])
})

test('strangers who speak first keep no node out that counts', () => {
  const census: Census = { ...everyone, counts: (node) => node.startsWith('known') }
  let tracker = after(...Array.from({ length: MAX_TRACKED_NODES }, (_, i) => ack(`stranger ${i}`, 1, pinned, pinned)))
  for (const node of ['known 1', 'stranger last', 'known 2']) tracker = track(tracker, ack(node, 1, pinned, pinned), census).tracker
  expect(tally(tracker, 0, census)).toMatchObject({ replicas: 2 })
  expect(tally(tracker, 0, census).states.size).toBe(MAX_TRACKED_NODES)
  expect([...tally(tracker, 0, census).states.keys()]).not.toContain('stranger last')
})
