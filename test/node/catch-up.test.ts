import { beforeEach, expect, test } from 'vitest'
import { createCatchUp, type CatchUp } from '../../src/node/catch-up.ts'
import { createPresenceTable, type PresenceTable } from '../../src/network/presence-table.ts'
import type { PullResult } from '../../src/network/sync-pull.ts'
import type { SetDigest } from '../../src/protocol/sync/digest.ts'
import { author } from '../support/author.ts'
import { createManualClock, type ManualClock } from '../support/clock.ts'
import { presenceOf } from '../network/presences.ts'
import { nodeIdOf } from '../../src/protocol/ssh-key.ts'

const alice = author('alice')
const [ann, ben, cid, known] = ['ann', 'ben', 'cid', 'known'].map((name) => {
  const signer = author(name)
  return { signer, id: nodeIdOf(signer.blob) }
}) as [Peer, Peer, Peer, Peer]
const NOTHING: PullResult = { roundTrips: 1, bytes: 0, fetched: 0, taken: 0, ahead: 0, missing: 0, unequal: [], more: false }

interface Peer {
  readonly signer: ReturnType<typeof author>
  readonly id: string
}

interface Pulling {
  readonly peer: string
  readonly signal: AbortSignal
  end(result?: Partial<PullResult>): Promise<void>
  fail(): Promise<void>
}

let clock: ManualClock
let presence: PresenceTable
let pulls: Pulling[]
let own: SetDigest[]
let taken: number
let subscribers: string[]
let subscribe: (peer: string, topic: 'commands' | 'acks') => void
let lines: string[]
let catchUp: CatchUp
let sequence = 0

beforeEach(() => {
  clock = createManualClock()
  presence = createPresenceTable({ network: 'test-net' }, { clock })
  pulls = []
  own = []
  taken = 0
  subscribers = []
  lines = []
  catchUp = createCatchUp(
    {},
    {
      bus: {
        subscribers: () => subscribers,
        onSubscribe: (listener) => {
          subscribe = listener
          return () => {
            subscribe = () => {}
          }
        }
      },
      presence,
      clock,
      log: { debug() {}, info: (line) => lines.push(line), warn() {} },
      random: () => 0.5,
      digests: () => own,
      isKnown: (peer) => peer === known.id,
      wants: ({ pinset }) => pinset !== 'foreign',
      pull: (peer, signal) =>
        new Promise((resolve, reject) => {
          const settle = async (): Promise<void> => {
            for (let i = 0; i < 5; i++) await Promise.resolve()
          }
          signal.addEventListener('abort', () => reject(signal.reason as Error))
          pulls.push({
            peer,
            signal,
            end: (result = {}) => (resolve({ ...NOTHING, ...result }), settle()),
            fail: () => (reject(new Error('cut')), settle())
          })
        }),
      onTaken: () => taken++
    }
  )
})

const digest = (root: number, pinset = 'default'): SetDigest => ({
  author: alice.author,
  pinset,
  count: root,
  root: new Uint8Array(32).fill(root),
  newest: root
})
const announce = async (peer: Peer, ...sets: SetDigest[]): Promise<void> => {
  if (!subscribers.includes(peer.id)) subscribers.push(peer.id)
  presence.offer(await presenceOf(peer.signer, { sequence: ++sequence, sets }))
}
const peers = (): string[] => pulls.map(({ peer }) => peer)

test('asks whoever is there at the start and whoever subscribes, two strangers at a time and a known node besides', async () => {
  subscribers = [ann.id, ben.id]
  catchUp.start()
  subscribe(cid.id, 'acks')
  expect(peers()).toEqual([ann.id, ben.id])
  subscribe(cid.id, 'commands')
  expect(peers()).toEqual([ann.id, ben.id])
  subscribe(known.id, 'commands')
  expect(peers()).toEqual([ann.id, ben.id, known.id])
  await pulls[0]?.end({ taken: 3 })
  expect(peers()).toEqual([ann.id, ben.id, known.id, cid.id])
  expect([taken, lines]).toEqual([1, ['caught up 3 commands']])
  await pulls[1]?.fail()
  await catchUp.stop()
})

test('of a peer that has not announced itself nothing is kept: it begins anew when it does', async () => {
  catchUp.start()
  subscribe(ann.id, 'commands')
  await pulls[0]?.end()
  subscribe(ben.id, 'commands')
  await pulls[1]?.fail()
  await announce(ann, digest(1))
  await announce(ben, digest(1))
  clock.advance(1_000)
  expect(peers()).toEqual([ann.id, ben.id, ann.id, ben.id])
  await catchUp.stop()
})

test('a peer that announces other sets is asked a moment later, unless gossip made them equal meanwhile', async () => {
  catchUp.start()
  own = [digest(1)]
  await announce(ann, digest(1))
  await announce(ben, digest(2))
  clock.advance(500)
  expect(peers()).toEqual([])
  clock.advance(500)
  expect(peers()).toEqual([ben.id])
  await pulls[0]?.end()
  await announce(cid, digest(3))
  own = [digest(3)]
  clock.advance(1_000)
  expect(peers()).toEqual([ben.id])
  await catchUp.stop()
})

test('what was compared in vain is not compared again until one side changed', async () => {
  catchUp.start()
  await announce(ann, digest(1))
  clock.advance(1_000)
  await pulls[0]?.end()
  await announce(ann, digest(1))
  clock.advance(20_000)
  expect(peers()).toEqual([ann.id])
  own = [digest(7)]
  await announce(ann, digest(1))
  clock.advance(10_000)
  expect(peers()).toEqual([ann.id, ann.id])
  await catchUp.stop()
})

test('a peer whose pull failed is asked again without another word of it, two seconds later at the soonest', async () => {
  catchUp.start()
  await announce(ann, digest(1))
  clock.advance(1_000)
  await pulls[0]?.fail()
  clock.advance(1_999)
  expect(peers()).toEqual([ann.id])
  clock.advance(1)
  expect(peers()).toEqual([ann.id, ann.id])
  await catchUp.stop()
})

test('a peer whose sets go on differing is asked ever less often while nothing comes of it, and soon after something did', async () => {
  catchUp.start()
  /** Announces other sets each half second until it is asked; how long that took. */
  const untilAsked = async (): Promise<number> => {
    const began = clock.now()
    for (const before = pulls.length; pulls.length === before; clock.advance(500))
      await announce(ann, digest((own[0]?.count ?? 0) + ++sequence))
    return clock.now() - began
  }
  const rests: number[] = []
  for (let i = 0; i < 6; i++) {
    rests.push(await untilAsked())
    await pulls.at(-1)?.end()
  }
  expect(rests).toEqual([1_000, 2_000, 4_000, 8_000, 10_000, 10_000])
  await untilAsked()
  await pulls.at(-1)?.end({ taken: 1 })
  expect(await untilAsked()).toBe(2_000)
  await catchUp.stop()
})

test('once in step with a peer, what differs next is news and is asked for soon', async () => {
  catchUp.start()
  for (const root of [1, 2, 3]) {
    await announce(ann, digest(root))
    clock.advance(10_000)
    await pulls.at(-1)?.end()
  }
  own = [digest(4)]
  await announce(ann, digest(4))
  const before = pulls.length
  await announce(ann, digest(5))
  clock.advance(2_000)
  expect(pulls.length).toBe(before + 1)
  await catchUp.stop()
})

test('a node that is not linked is left to those that are', async () => {
  catchUp.start()
  presence.offer(await presenceOf(ann.signer, { sequence: ++sequence, sets: [digest(1)] }))
  clock.advance(20_000)
  expect(peers()).toEqual([])
  await catchUp.stop()
})

test('sets that are not wanted here are no reason', async () => {
  catchUp.start()
  await announce(ann, digest(1, 'foreign'))
  clock.advance(20_000)
  expect(peers()).toEqual([])
  await catchUp.stop()
})

test('a pull that left some is followed by another', async () => {
  subscribers = [ann.id]
  catchUp.start()
  await pulls[0]?.end({ taken: 5, more: true })
  expect(peers()).toEqual([ann.id, ann.id])
  await catchUp.stop()
})

test('a pull that was ended early compared nothing to the end', async () => {
  catchUp.start()
  await announce(ann, digest(1))
  clock.advance(1_000)
  await pulls[0]?.end({ more: true })
  await announce(ann, digest(1))
  clock.advance(10_000)
  expect(peers()).toEqual([ann.id, ann.id])
  await catchUp.stop()
})

test('now and then somebody is asked for no reason', async () => {
  catchUp.start()
  subscribers = [ann.id]
  clock.advance(60_000)
  expect(peers()).toEqual([ann.id])
  await pulls[0]?.end()
  clock.advance(60_000)
  expect(peers()).toEqual([ann.id, ann.id])
  await catchUp.stop()
})

test('stop ends what runs, and nothing is asked after it', async () => {
  subscribers = [ann.id]
  catchUp.start()
  await catchUp.stop()
  expect(pulls[0]?.signal.aborted).toBe(true)
  expect(clock.pending()).toBe(0)
  subscribe(ben.id, 'commands')
  expect(peers()).toEqual([ann.id])
})
