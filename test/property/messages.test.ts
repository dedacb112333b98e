import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeAck, encodeAck, type OperationState } from '../../src/protocol/ack.ts'
import { requireCanonical } from '../../src/protocol/canonical.ts'
import { decodeCommand, encodeCommand } from '../../src/protocol/command.ts'
import { commandId, openEnvelope, sealEnvelope, verifyEnvelope, type Kind } from '../../src/protocol/envelope.ts'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_ENVELOPE_BYTES, MAX_HELD_BY, MAX_OPERATIONS } from '../../src/protocol/limits.ts'
import { decodePresence, encodePresence } from '../../src/protocol/presence.ts'
import { decodeQueryPage, encodeQueryPage } from '../../src/protocol/query.ts'
import { plain } from '../vectors/source/plain.ts'
import { author, NETWORK, node } from '../vectors/source/make.ts'
import { ack, command, page, presence, RUNS } from './arbitrary.ts'

describe('what is written is read as it was meant', () => {
  test('commands', () =>
    fc.assert(
      fc.asyncProperty(command, async (init) => {
        const sealed = await sealEnvelope('command', encodeCommand(init, author.blob), author)
        const { id, ...read } = decodeCommand(verifyEnvelope(openEnvelope(sealed.bytes)), init.network)
        expect(id).toBe(commandId(sealed.payload))
        expect(plain(read)).toEqual(plain({ ...init, author: author.author }))
      }),
      RUNS
    ))

  test('acks', () =>
    fc.assert(
      fc.asyncProperty(ack, async (said) => {
        const sealed = await sealEnvelope('ack', encodeAck(NETWORK, said), node)
        const { node: _node, ...read } = decodeAck(verifyEnvelope(openEnvelope(sealed.bytes)), NETWORK)
        expect(read).toEqual(said)
      }),
      RUNS
    ))

  test('presences', () =>
    fc.assert(
      fc.asyncProperty(presence, async (said) => {
        const sealed = await sealEnvelope('presence', encodePresence(NETWORK, said), node)
        const { node: _node, ...read } = decodePresence(verifyEnvelope(openEnvelope(sealed.bytes)), NETWORK)
        expect(plain(read)).toEqual(plain(said))
      }),
      RUNS
    ))

  test('pages of answers', () =>
    fc.assert(
      fc.property(page, (said) => {
        expect(plain(decodeQueryPage(encodeQueryPage(said)))).toEqual(plain(said))
      }),
      RUNS
    ))

  test('all that is written is canonical', () =>
    fc.assert(
      fc.property(command, ack, presence, (said, answer, self) => {
        requireCanonical(encodeCommand(said, author.blob))
        requireCanonical(encodeAck(NETWORK, answer))
        requireCanonical(encodePresence(NETWORK, self))
      }),
      RUNS
    ))
})

test('an ack always travels, at the cost of what still holds the CIDs', async () => {
  const heldBy = (i: number): string[] => Array.from({ length: MAX_HELD_BY }, (_, k) => `${i % 2}${k}`.padEnd(64, 'x'))
  const states = Array.from({ length: MAX_OPERATIONS }, (_, i): OperationState => ({ status: 'unpinned', heldBy: heldBy(i) }))
  const said = { command: commandId(new Uint8Array()), sequence: Number.MAX_SAFE_INTEGER, time: Number.MAX_SAFE_INTEGER, states }
  const sealed = await sealEnvelope('ack', encodeAck('n'.repeat(64), said), node)
  expect(sealed.bytes.byteLength).toBeLessThanOrEqual(MAX_ENVELOPE_BYTES)
  expect(decodeAck(verifyEnvelope(openEnvelope(sealed.bytes)), 'n'.repeat(64)).states).toEqual(
    states.map(() => ({ status: 'unpinned', heldBy: [] }))
  )
})

test('the largest ack without holders travels whole', async () => {
  const states = Array.from({ length: MAX_OPERATIONS }, (_, i): OperationState => ({
    status: 'superseded',
    by: commandId(Buffer.from(String(i)))
  }))
  const said = { command: commandId(new Uint8Array()), sequence: 1, time: Number.MAX_SAFE_INTEGER, states }
  const sealed = await sealEnvelope('ack', encodeAck('n'.repeat(64), said), node)
  expect(decodeAck(verifyEnvelope(openEnvelope(sealed.bytes)), 'n'.repeat(64)).states).toEqual(states)
})

describe('any flipped bit of an envelope is refused', () => {
  const cases: [Kind, fc.Arbitrary<Uint8Array>, (bytes: Uint8Array) => unknown][] = [
    [
      'command',
      command.map((init) => encodeCommand({ ...init, network: NETWORK }, author.blob)),
      (bytes) => decodeCommand(verifyEnvelope(openEnvelope(bytes)), NETWORK)
    ],
    ['ack', ack.map((said) => encodeAck(NETWORK, said)), (bytes) => decodeAck(verifyEnvelope(openEnvelope(bytes)), NETWORK)],
    [
      'presence',
      presence.map((said) => encodePresence(NETWORK, said)),
      (bytes) => decodePresence(verifyEnvelope(openEnvelope(bytes)), NETWORK)
    ]
  ]
  test.each(cases)('%s: any one', (kind, payloads, read) =>
    fc.assert(
      fc.asyncProperty(payloads, fc.nat(), async (payload, where) => {
        const { bytes } = await sealEnvelope(kind, payload, kind === 'command' ? author : node)
        const broken = bytes.slice()
        const bit = where % (bytes.byteLength * 8)
        broken[bit >> 3] = (broken[bit >> 3] as number) ^ (1 << (bit & 7))
        expect(() => read(broken)).toThrow(InvalidMessageError)
      }),
      { ...RUNS, numRuns: 300 }
    )
  )

  test.each(cases)('%s: each one of a small envelope', async (kind, payloads, read) => {
    const [payload] = fc.sample(payloads, { seed: 1, numRuns: 40 }).toSorted((a, b) => a.byteLength - b.byteLength)
    const { bytes } = await sealEnvelope(kind, payload as Uint8Array, kind === 'command' ? author : node)
    expect(() => read(bytes)).not.toThrow()
    for (let bit = 0; bit < bytes.byteLength * 8; bit++) {
      const broken = bytes.slice()
      broken[bit >> 3] = (broken[bit >> 3] as number) ^ (1 << (bit & 7))
      expect(() => read(broken), `bit ${bit}`).toThrow(InvalidMessageError)
    }
  })
})
