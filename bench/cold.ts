/** The built program as a whole process: `--help`, and `send pin` of one small CID to three embedded nodes. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { START } from './support/agents.ts'
import type { Figure } from './support/figure.ts'
import { createStage, median } from './support/stage.ts'

const ROUNDS = 15

/** Runs it. */
export async function cold(): Promise<Figure[]> {
  await using stage = await createStage(3)
  const cids = await stage.provide(ROUNDS + 1, 'cold')
  const [agent] = stage.agents
  const thirds: number[] = []
  const wholes: number[] = []
  for (const cid of cids) {
    const begun = performance.now()
    const args = ['send', 'pin', cid, '--json', '--network', stage.network, '--key', stage.key, '--home', stage.dir, '--wait', '3']
    const child = spawn(process.execPath, [START, ...args, '--bootstrap', agent?.address as string], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const ended = once(child, 'exit')
    let pinned = 0
    for await (const line of createInterface({ input: child.stdout })) {
      const event = JSON.parse(line) as { event: string; status?: string }
      if (event.event === 'ack' && event.status === 'pinned' && ++pinned === 3) thirds.push(performance.now() - begun)
    }
    await ended
    wholes.push(performance.now() - begun)
  }
  const helps: number[] = []
  for (let i = 0; i <= ROUNDS; i++) {
    const begun = performance.now()
    await once(spawn(process.execPath, [START, '--help'], { stdio: 'ignore' }), 'exit')
    helps.push(performance.now() - begun)
  }
  return [
    { name: 'cold send pin, third ack', value: median(thirds.slice(1)), unit: 'ms', target: 500, best: 'low' },
    { name: 'cold send pin, whole process', value: median(wholes.slice(1)), unit: 'ms' },
    { name: '--help, whole process', value: median(helps.slice(1)), unit: 'ms', target: 60, best: 'low' }
  ]
}
