/** Resident memory of an idle agent of the built bundle, a while after its start, with two peers. */
import { setTimeout as wait } from 'node:timers/promises'
import type { Figure } from './support/figure.ts'
import { createStage, median } from './support/stage.ts'

const SETTLE_MS = 10_000

async function idle(backend: (index: number) => readonly string[]): Promise<number> {
  await using stage = await createStage(3, backend)
  await wait(SETTLE_MS)
  return median(await Promise.all(stage.agents.map((agent) => agent.residentBytes()))) / 1e6
}

/** Runs it. The Kubo backend needs no daemon to idle. */
export async function memory(): Promise<Figure[]> {
  return [
    { name: 'idle agent, embedded backend', value: await idle(() => ['--backend', 'helia']), unit: 'MB', target: 170, best: 'low' },
    {
      name: 'idle agent, Kubo backend',
      value: await idle(() => ['--backend', 'kubo', '--kubo-api', 'http://127.0.0.1:1']),
      unit: 'MB',
      target: 100,
      best: 'low'
    }
  ]
}
