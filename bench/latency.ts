/** One small CID at a time, from a warm sender to three embedded nodes: time to the third signed "pinned". */
import { setTimeout as wait } from 'node:timers/promises'
import type { Figure } from './support/figure.ts'
import { createStage, median } from './support/stage.ts'

const ROUNDS = 60
const WARM_UP = 10
/** As a person or a build job sends, not as fast as the last one ends. */
const PAUSE_MS = 100

/** Runs it. */
export async function latency(): Promise<Figure[]> {
  await using stage = await createStage(3)
  const sender = await stage.sender()
  const cids = await stage.provide(ROUNDS + WARM_UP, 'latency')
  const times: number[] = []
  const accepted: number[] = []
  for (const cid of cids) {
    await wait(PAUSE_MS)
    const begun = performance.now()
    let first: number | undefined
    for await (const event of sender.pin([cid], { wait: 3 })) {
      if (event.event === 'ack') first ??= performance.now() - begun
    }
    times.push(performance.now() - begun)
    accepted.push(first as number)
  }
  return [
    { name: 'warm sender, one small CID, third ack', value: median(times.slice(WARM_UP)), unit: 'ms', target: 25, best: 'low' },
    { name: 'warm sender, one small CID, first word of a node', value: median(accepted.slice(WARM_UP)), unit: 'ms' }
  ]
}
