/** A newcomer to a node with 5,200 pins, each a command of its own: until it knows all, and until it holds all. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import type { Figure } from './support/figure.ts'
import { startAgent } from './support/agents.ts'
import { createStage } from './support/stage.ts'

const PINS = 5_200

/** Sends under way at a time while the stage is set. */
const AT_ONCE = 64

/** Runs it. */
export async function catchUp(): Promise<Figure[]> {
  await using stage = await createStage(1)
  const [old] = stage.agents
  if (old === undefined) throw new Error('no agent')
  const sender = await stage.sender()
  const cids = await stage.provide(PINS, 'catch-up')
  const rest = [...cids]
  const work = async (): Promise<void> => {
    for (let cid = rest.pop(); cid !== undefined; cid = rest.pop()) {
      for await (const _ of sender.pin([cid], { detach: true, timeout: 120_000 })) continue
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, work))
  await holdsAll(sender, old.peer)

  const line = (await readFile(`${stage.key}.pub`, 'utf8')).trim()
  const begun = performance.now()
  await using newcomer = await startAgent(join(stage.dir, 'newcomer'), stage.network, line, [old.address])
  const ready = performance.now()
  let known = 0
  for await (const text of newcomer.log) {
    known += Number(/caught up (\d+) command/.exec(text)?.[1] ?? 0)
    if (known >= PINS) break
  }
  const knows = performance.now()
  await holdsAll(sender, newcomer.peer)
  const holds = performance.now()
  return [
    { name: `newcomer: ${PINS} commands known, from ready`, value: (knows - ready) / 1_000, unit: 's', target: 2, best: 'low' },
    { name: `newcomer: ${PINS} commands known, from the start of the process`, value: (knows - begun) / 1_000, unit: 's' },
    { name: `newcomer: ${PINS} pins held, from ready`, value: (holds - ready) / 1_000, unit: 's' },
    { name: `newcomer: pins held a second`, value: PINS / ((holds - ready) / 1_000), unit: 'pins/s' }
  ]
}

async function holdsAll(sender: Awaited<ReturnType<Awaited<ReturnType<typeof createStage>>['sender']>>, node: string): Promise<void> {
  for (;;) {
    let held = 0
    for await (const row of sender.status()) if (row.node === node && row.source === 'live' && row.status === 'pinned') held++
    if (held >= PINS) return
    await wait(250)
  }
}
