import fc from 'fast-check'
import { expect, test } from 'vitest'
import { encodeCommand } from '../../src/protocol/command.ts'
import { sealEnvelope } from '../../src/protocol/envelope.ts'
import { MAX_NAME_LABEL } from '../../src/protocol/limits.ts'
import { bundle } from '../../src/sender/bundle.ts'
import { author, cidOf } from '../support/author.ts'

test('5,000 CIDs travel in five commands', () => {
  const operations = Array.from({ length: 5_000 }, (_, i) => ({ op: 'pin', cid: cidOf(String(i)) }) as const)
  const groups = bundle(operations)
  expect(groups).toHaveLength(5)
  expect(groups.flat()).toEqual(operations)
})

test('whatever the operations are, each bundle fits its envelope with the longest names', async () => {
  const alice = author('alice')
  const operation = fc.record({
    op: fc.constant('pin' as const),
    cid: fc.nat().map((n) => cidOf(String(n))),
    name: fc.string({ maxLength: 80 })
  })
  await fc.assert(
    fc.asyncProperty(fc.array(operation, { minLength: 1, maxLength: 2_000, size: 'max' }), async (operations) => {
      const groups = bundle(operations)
      expect(groups.flat()).toEqual(operations)
      const label = 'n'.repeat(MAX_NAME_LABEL)
      for (const group of groups) {
        const time = { ms: Number.MAX_SAFE_INTEGER, counter: 0xffff_ffff }
        await sealEnvelope('command', encodeCommand({ network: label, pinset: label, time, operations: group }, alice.blob), alice)
      }
    }),
    { numRuns: 20 }
  )
})
