/**
 * Thousands of small CIDs on three real Kubos through three agents, against driving the daemons directly over RPC, in turns in
 * one run. Needs an `ipfs` binary (PINSUB_TEST_IPFS, or on PATH).
 */
import { findIpfs, NO_IPFS, startKuboDaemon, type KuboDaemon } from '../test/support/kubo-daemon.ts'
import type { Figure } from './support/figure.ts'
import { each, must, putBlocks } from './support/kubo.ts'
import { createStage, median } from './support/stage.ts'

const PINS = 2_000
const ROUNDS = 3

/** Runs it; no figures where there is no binary, and says so. One node shows what an agent costs that has cores to itself. */
export async function kubo(): Promise<Figure[]> {
  const binary = findIpfs()
  if (binary === undefined) {
    process.stderr.write(`kubo skipped: ${NO_IPFS}\n`)
    return []
  }
  return [...(await onDaemons(binary, 1)), ...(await onDaemons(binary, 3))]
}

/** A further daemon has the blocks. */
async function onDaemons(binary: string, count: number): Promise<Figure[]> {
  await using stack = new AsyncDisposableStack()
  const daemons: KuboDaemon[] = []
  for (let i = 0; i < count; i++) daemons.push(stack.use(await startKuboDaemon(binary)))
  const source = stack.use(await startKuboDaemon(binary))
  for (const daemon of daemons) await must(daemon, `swarm/connect?arg=${source.addresses[0]}`)
  const stage = stack.use(await createStage(count, (index) => ['--backend', 'kubo', '--kubo-api', (daemons[index] as KuboDaemon).apiUrl]))
  const sender = await stage.sender()

  const direct = async (cids: readonly string[]): Promise<number> => {
    const begun = performance.now()
    await Promise.all(daemons.map((daemon) => each(cids, (cid) => must(daemon, `pin/add?arg=${cid}&recursive=true&name=direct`))))
    return (performance.now() - begun) / 1_000
  }
  let lost = 0
  const throughAgents = async (cids: readonly string[]): Promise<number> => {
    const begun = performance.now()
    for await (const event of sender.pin(cids, { wait: count, timeout: 120_000 }))
      if (event.event === 'done' && event.result !== 'ok') lost++
    return (performance.now() - begun) / 1_000
  }
  await direct(await putBlocks(source, 'warm-up', 200))
  await throughAgents(await putBlocks(source, 'warm-up of agents', 200))
  const [floor, ours]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    floor.push(await direct(await putBlocks(source, `direct ${round}`, PINS)))
    ours.push(await throughAgents(await putBlocks(source, `agents ${round}`, PINS)))
  }
  const where = `${PINS} small CIDs on ${count === 1 ? '1 Kubo' : `${count} Kubos`}`
  return [
    { name: `${where}, directly over RPC`, value: PINS / median(floor), unit: 'pins/s' },
    { name: `${where}, through agents`, value: PINS / median(ours), unit: 'pins/s' },
    { name: `${where}, through agents, of directly`, value: median(floor) / median(ours), unit: 'ratio', target: 0.9, best: 'high' },
    { name: `${where}, lost in ${ROUNDS} rounds`, value: lost, unit: 'count', target: 0, best: 'low' }
  ]
}
