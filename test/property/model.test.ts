import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { agree, disputed } from './model-checks.ts'
import { FOUND } from './model-found.ts'
import { schedule, type Schedule } from './model-steps.ts'
import { createWorld } from './model-world.ts'

const TIMES = Number(process.env['PINSUB_TEST_RUNS'] ?? 1)

/** Schedules a run tries; `PINSUB_TEST_RUNS` multiplies them. A failure prints its seed, and itself in full. */
const RUNS = 200 * TIMES

/** The suite tries the same each time, so that a change is what turns it red; more runs draw anew. */
const SEED = TIMES > 1 ? {} : { seed: 1 }

/** Some seconds do where nothing is found; what is found takes minutes to shrink. */
const TIMEOUT_MS = 600_000 * Math.max(1, TIMES)

/** Runs a schedule; returns how much nodes were found to agree about. */
async function play(run: Schedule): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'pinsub-model-'))
  try {
    using world = await createWorld(run, dir)
    for (const step of run.steps) await world.step(step)
    await world.deliver()
    const alike = world.nodes.filter(({ files }) => files === world.nodes[0]?.files)
    const inDoubt = disputed(alike, world.nodes)
    await world.catchUp()
    const agreed = agree(alike, world.nodes, inDoubt, world.now())

    const newcomer = await world.join()
    const inDoubtThere = disputed([...alike, newcomer], world.nodes)
    await world.catchUp()
    return agreed + agree([...alike, newcomer], world.nodes, inDoubtThere, world.now())
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

test.each(FOUND)('%s', async (_, run) => void (await play(run)))

test(
  'agents do what the model says, whatever is lost, repeated, late or killed, and those with the same file agree',
  { timeout: TIMEOUT_MS },
  async () => {
    let agreed = 0
    const property = fc.asyncProperty(schedule, async (run) => void (agreed += await play(run)))
    await fc.assert(property, { numRuns: RUNS, ...SEED })
    // Of the sets and wishes of three nodes few may be in doubt, or nothing is shown.
    expect(agreed).toBeGreaterThan(2 * RUNS)
  }
)
