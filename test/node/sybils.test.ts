/** Nodes that somebody made up, many more than there is room for: nothing is placed, freed or counted on their word. */
import { beforeAll, expect, test } from 'vitest'
import { createPresenceTable, type PresenceTable } from '../../src/network/presence-table.ts'
import { createClockCheck } from '../../src/node/clock-check.ts'
import { linkContent } from '../../src/node/content-links.ts'
import { createKnownNodes } from '../../src/node/known-nodes.ts'
import type { Envelope, Verified } from '../../src/protocol/envelope.ts'
import { MAX_PRESENCES } from '../../src/protocol/limits.ts'
import { nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { createCensus } from '../../src/sender/census.ts'
import { NETWORK } from '../network/helpers.ts'
import { presenceOf } from '../network/presences.ts'
import { author } from '../support/author.ts'
import { createManualClock, type ManualClock } from '../support/clock.ts'
import { keepLog } from '../support/log.ts'

const HOUR = 3_600_000
const SYBILS = MAX_PRESENCES + 500
const honest = [author('one'), author('two')]
const known = createKnownNodes(honest.map(({ blob }) => nodeIdOf(blob)))

const START = createManualClock().now()
/** Each with a clock of its own time and a daemon at the same victim. */
let sybils: Verified<Envelope>[]
let nodes: Verified<Envelope>[]
beforeAll(async () => {
  const daemon = { kind: 'kubo', up: true, peer: 'victim', addresses: ['/ip4/203.0.113.9/tcp/4001'] } as const
  const made = Array.from({ length: SYBILS }, (_, i) => presenceOf(author(`sybil ${i}`), { time: START + HOUR, backend: daemon }))
  sybils = await Promise.all(made)
  nodes = await Promise.all(honest.map((signer) => presenceOf(signer, { time: START })))
})

/** A table that has heard the known nodes, and can hear the crowd. */
function bench(): { clock: ManualClock; presence: PresenceTable; crowd(): void } {
  const clock = createManualClock()
  const presence = createPresenceTable({ network: NETWORK, isKnown: known.has }, { clock })
  for (const node of nodes) presence.offer(node)
  return { clock, presence, crowd: () => sybils.forEach((sybil) => presence.offer(sybil)) }
}

test('the table is full of them and no fuller, and known nodes stay in it', () => {
  const { presence, crowd } = bench()
  crowd()
  expect(presence.all()).toHaveLength(MAX_PRESENCES)
  for (const node of known.all()) expect(presence.get(node)).toBeDefined()
})

test('they move no clock, so that no pin expires by theirs', () => {
  const { clock, presence, crowd } = bench()
  const check = createClockCheck({ knownNodes: known }, { presence, clock, log: keepLog(), newest: () => undefined })
  check.start(() => undefined)
  crowd()
  expect([check.offset(), check.isOff(), check.mayExpire(), check.expiryNow(clock.now())]).toEqual([0, false, true, START])
  check.stop()
})

test('nobody looks for content where they say it is', () => {
  const { clock, presence, crowd } = bench()
  const reached: string[] = []
  const backend = { kind: 'helia', reach: (addresses: readonly string[]) => reached.push(...addresses) }
  linkContent(known, { presence, clock, backend: backend as never, watch: { onChange: () => () => {} } as never })
  crowd()
  expect(reached).toEqual([])
})

test('a sender waits for none of them and counts none', () => {
  const { presence, crowd } = bench()
  crowd()
  const census = createCensus(known.all(), presence)
  const present = presence.all().map((entry) => entry.presence.node)
  expect([census.replicas(present), census.all()]).toEqual([honest.length, honest.length])
})
