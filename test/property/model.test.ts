import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { test } from 'vitest'
import { schedule } from './model-steps.ts'
import { createWorld } from './model-world.ts'

const RUNS = 40 * Number(process.env['PINSUB_TEST_RUNS'] ?? 1)

test('agents do what the model says', { timeout: 3_600_000 }, () =>
  fc.assert(
    fc.asyncProperty(schedule, async (run) => {
      const dir = mkdtempSync(join(tmpdir(), 'pinsub-model-'))
      try {
        using world = await createWorld(run, dir)
        for (const step of run.steps) await world.step(step)
        await world.calm()
      } finally {
        rmSync(dir, { recursive: true, force: true })
      }
    }),
    { numRuns: RUNS }
  )
)
