/** Thousands of small CIDs in one send to three embedded nodes: nothing lost, pins a second on each. */
import type { Figure } from './support/figure.ts'
import { createStage } from './support/stage.ts'

const PINS = 5_000

/** Runs it. */
export async function bulk(): Promise<Figure[]> {
  await using stage = await createStage(3)
  const sender = await stage.sender()
  const cids = await stage.provide(PINS, 'bulk')
  const begun = performance.now()
  const done = new Map<string, { count: number; at: number }>()
  let lost = 0
  for await (const event of sender.pin(cids, { wait: 3, timeout: 120_000 })) {
    if (event.event === 'ack' && event.status === 'pinned') {
      done.set(event.node, { count: (done.get(event.node)?.count ?? 0) + 1, at: performance.now() })
    } else if (event.event === 'done' && event.result !== 'ok') lost++
  }
  const rates = [...done.values()].map(({ count, at }) => count / ((at - begun) / 1000))
  return [
    { name: `${PINS} small CIDs on 3 embedded nodes, slowest node`, value: Math.min(...rates), unit: 'pins/s', target: 400, best: 'high' },
    { name: `${PINS} small CIDs on 3 embedded nodes, lost`, value: lost, unit: 'count', target: 0, best: 'low' }
  ]
}
