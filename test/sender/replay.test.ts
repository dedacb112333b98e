/** Acks and presence that somebody recorded, or turned into something else: a sender believes the newest word of each node alone. */
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createPresenceTable } from '../../src/network/presence-table.ts'
import { encodeAck, type OperationState } from '../../src/protocol/ack.ts'
import { sealEnvelope, type Kind } from '../../src/protocol/envelope.ts'
import { encode } from '../../src/protocol/wire.ts'
import { createTracker, tally, track, type Census, type Tracker } from '../../src/sender/tracker.ts'
import { createWords } from '../../src/sender/words.ts'
import { openLedger } from '../../src/storage/ledger.ts'
import { author } from '../support/author.ts'

const node = author('a node')
const [ours, other] = ['11'.repeat(32), '22'.repeat(32)] as const
const pinned: OperationState = { status: 'pinned', bytes: 1 }
const everyone: Census = { counts: () => true, backend: (id) => id }

const ackOf = (command: string, sequence: number, state: OperationState, network = 'net') =>
  sealEnvelope('ack', encodeAck(network, { command, sequence, time: sequence, states: [state] }), node)

/** A sender that has sent `ours`, and what it counts. */
function listening() {
  const presence = createPresenceTable({ network: 'net', isKnown: () => true }, { clock: systemClock })
  const ledger = openLedger(':memory:')
  const words = createWords('net', { presence, ledger, clock: systemClock, announced() {} })
  let tracker: Tracker = createTracker([{ cid: 'a', op: 'pin', command: ours, index: 0, wanted: 1 }])
  words.listen((event) => {
    ;({ tracker } = track(tracker, event, everyone))
  })
  words.expect([ours])
  onTestFinished(() => {
    words.stop()
    ledger.close()
  })
  return { words, replicas: () => tally(tracker, 0, everyone).replicas }
}

test('an old ack that comes after a newer one brings back no replica', async () => {
  const { words, replicas } = listening()
  const [old, newer] = [await ackOf(ours, 1, pinned), await ackOf(ours, 2, { status: 'failed', code: 'timeout', attempt: 1, next: 0 })]
  words.judge(old.bytes)
  expect(replicas()).toBe(1)
  words.judge(newer.bytes)
  expect(replicas()).toBe(0)
  words.judge(old.bytes)
  expect(replicas()).toBe(0)
})

test('an ack of one command cannot be passed off for another, nor for another network, nor as another kind', async () => {
  const { words, replicas } = listening()
  const genuine = await ackOf(other, 1, pinned)
  expect(words.judge(genuine.bytes)).toBe('ignore')
  const forge = (kind: Kind, payload: Uint8Array) =>
    encode({ ...(kind === 'command' ? {} : { kind }), payload, signature: genuine.signature, signer: genuine.signer })
  expect(words.judge(forge('ack', genuine.payload))).toBe('ignore')
  const forgeries = [
    forge('ack', encodeAck('net', { command: ours, sequence: 1, time: 1, states: [pinned] })),
    forge('presence', genuine.payload),
    forge('command', genuine.payload),
    (await ackOf(ours, 1, pinned, 'other')).bytes
  ]
  for (const bytes of forgeries) expect(words.judge(bytes)).toBe('reject')
  expect(replicas()).toBe(0)
})
