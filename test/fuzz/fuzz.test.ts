/** Thousands of inputs that were never seen before, the same on every machine. `npm run fuzz` tries millions. */
import { afterAll, describe, expect, test } from 'vitest'
import { createFuzzer } from './fuzzer.ts'
import { shares } from './shares.ts'
import { TARGETS } from './targets.ts'

const RUNS = Number(process.env['PINSUB_TEST_RUNS'] ?? 1)
const TOTAL = 60_000 * RUNS
const SEED = 20_261_121

afterAll(async () => {
  for (const target of TARGETS) await target.stop?.()
})

describe.each(shares(TARGETS, TOTAL).map(([target, runs]) => [target.name, target, runs] as const))('%s', (_name, target, runs) => {
  test(`${runs} inputs: read, or refused by an error of ours, and soon`, { timeout: 60_000 * RUNS }, async () => {
    const fuzzer = createFuzzer(target, SEED)
    for (let run = 0; run < runs; run++) {
      const failure = await fuzzer.step()
      if (failure === undefined) continue
      const input = Buffer.from(failure.input).toString('base64')
      throw new Error(`run ${run}: ${failure.error.message}; its input in base64: ${input.slice(0, 10_000)}`, { cause: failure.error })
    }
    expect(fuzzer.outcomes).toBeGreaterThan(1)
  })
})
