/** What a flood of strangers costs: the time of ordinary commands, and an agent's memory, without and with it in one run. */
import { setTimeout as wait } from 'node:timers/promises'
import type { Sender } from '../src/sender/sender.ts'
import { createAgentCore } from '../test/support/agent-core.ts'
import { loadSigner } from '../src/identity/key-file.ts'
import { author, cidOf, command, grantOf } from '../test/support/author.ts'
import { flood as floodAgent } from '../test/support/flood.ts'
import { KINDS } from '../test/support/flooder.ts'
import { createOperator } from '../test/support/operator.ts'
import type { Figure } from './support/figure.ts'
import { createStage, median } from './support/stage.ts'

/** Ordinary commands a second. */
const ORDINARY = 50
/** Messages of the flood a second, on both topics. */
const FLOOD = 500
const RUN_MS = 20_000
/** Memory is looked at this long after a run. */
const SETTLE_MS = 10_000
/** What one frame of gossip may carry. */
const FRAME = 1_000

/** Runs it. */
export async function flood(): Promise<Figure[]> {
  await using stage = await createStage(2)
  const [agent] = stage.agents
  if (agent === undefined) throw new Error('no agent')
  const { network } = stage
  const sender = await stage.sender()
  await using operator = await createOperator({ network })
  await operator.link(agent.address)
  const said = await operator.say((await loadSigner(stage.key)).signer, [{ op: 'unpin', cid: cidOf('said') }])
  // The first run is for what is slow once, and to have as many commands behind it as the flood will have.
  await ordinary(sender, wait(RUN_MS), 'warm')
  await wait(SETTLE_MS)
  const warm = await agent.residentBytes()
  const quiet = await ordinary(sender, wait(RUN_MS), 'quiet')
  await wait(SETTLE_MS)
  const before = await agent.residentBytes()
  const flooding = floodAgent({ network, address: agent.address, said, kinds: Object.keys(KINDS), perSecond: FLOOD, ms: RUN_MS })
  const flooded = await ordinary(sender, flooding, 'flooded')
  const { sent, cuts } = await flooding
  await wait(SETTLE_MS)
  const grown = (await agent.residentBytes()) - before
  const [least, most] = [median(quiet), median(flooded)]
  return [
    { name: 'ordinary commands, quiet: to the second node', value: least, unit: 'ms' },
    { name: 'ordinary commands, under a flood of 500/s', value: most, unit: 'ms', target: 2 * least, best: 'low' },
    { name: 'the same, to quiet', value: most / least, unit: 'ratio', target: 2, best: 'low' },
    { name: 'messages of the flood that were sent', value: sent, unit: 'count' },
    { name: 'times that the flooder was cut off', value: cuts, unit: 'count' },
    { name: 'memory of the agent after the quiet run, above before', value: (before - warm) / 1e6, unit: 'MB' },
    { name: 'memory of the agent after the flood, above before', value: grown / 1e6, unit: 'MB', target: 20, best: 'low' },
    ...(await forged())
  ]
}

/** Says commands at an even pace, until the work is done, and how long each took until two nodes had done it. */
async function ordinary(sender: Sender, work: Promise<unknown>, label: string): Promise<number[]> {
  const times: number[] = []
  const under: Promise<void>[] = []
  let isOver = false
  void work.finally(() => (isOver = true))
  const begun = performance.now()
  const say = async (cid: string): Promise<void> => {
    const at = performance.now()
    for await (const event of sender.unpin([cid], { wait: 2 })) if (event.event === 'done' && event.result !== 'ok') return
    times.push(performance.now() - at)
  }
  for (let i = 0; !isOver; i++) {
    under.push(say(cidOf(`${label} ${i}`).toString()))
    await wait(Math.max(0, begun + ((i + 1) * 1_000) / ORDINARY - performance.now()))
  }
  await Promise.all(under)
  if (times.length !== under.length) throw new Error(`${under.length - times.length} of ${under.length} ordinary commands did not arrive`)
  return times
}

/** Commands whose signature is wrong, in processor time: the costliest that a stranger can send. */
async function forged(): Promise<Figure[]> {
  using core = createAgentCore()
  const alice = author('alice')
  await core.authorise([grantOf(alice)])
  const all: Uint8Array[] = []
  for (let i = 0; i < FRAME; i++) {
    const { bytes } = await command(alice, { operations: [{ op: 'unpin', cid: cidOf(`${i}`) }], time: { ms: i, counter: 0 } })
    bytes[bytes.length - 100] = (bytes.at(-100) as number) ^ 1
    all.push(bytes)
  }
  const frames: number[] = []
  for (let round = 0; round < 20; round++) {
    const begun = process.cpuUsage()
    for (const bytes of all) core.intake.judge(bytes, 'peer')
    const { user, system } = process.cpuUsage(begun)
    frames.push((user + system) / 1_000)
  }
  const frame = median(frames.slice(5))
  return [
    { name: 'forged commands judged, in a second of one core', value: (FRAME * 1_000) / frame, unit: '1/s', target: 10_000, best: 'high' },
    { name: 'a frame of 1,000 of them, of one core', value: frame, unit: 'ms', target: 100, best: 'low' }
  ]
}
