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

/** Runs it; no figures where there is no binary, and says so. */
export async function kubo(): Promise<Figure[]> {
  const binary = findIpfs()
  if (binary === undefined) {
    process.stderr.write(`kubo skipped: ${NO_IPFS}\n`)
    return []
  }
  await using stack = new AsyncDisposableStack()
  const daemons: KuboDaemon[] = []
  for (let i = 0; i < 3; i++) daemons.push(stack.use(await startKuboDaemon(binary)))
  const [source, ...others] = daemons as [KuboDaemon, ...KuboDaemon[]]
  for (const daemon of others) await must(daemon, `swarm/connect?arg=${source.addresses[0]}`)
  const stage = stack.use(await createStage(3, (index) => ['--backend', 'kubo', '--kubo-api', (daemons[index] as KuboDaemon).apiUrl]))
  const sender = await stage.sender()

  const direct = async (cids: readonly string[]): Promise<number> => {
    const begun = performance.now()
    await Promise.all(daemons.map((daemon) => each(cids, (cid) => must(daemon, `pin/add?arg=${cid}&recursive=true&name=direct`))))
    return (performance.now() - begun) / 1_000
  }
  let lost = 0
  const throughAgents = async (cids: readonly string[]): Promise<number> => {
    const begun = performance.now()
    for await (const event of sender.pin(cids, { wait: 3, timeout: 120_000 })) if (event.event === 'done' && event.result !== 'ok') lost++
    return (performance.now() - begun) / 1_000
  }
  await direct(await putBlocks(source, 'warm-up', 200))
  await throughAgents(await putBlocks(source, 'warm-up of agents', 200))
  const [floor, ours]: [number[], number[]] = [[], []]
  for (let round = 0; round < ROUNDS; round++) {
    floor.push(await direct(await putBlocks(source, `direct ${round}`, PINS)))
    ours.push(await throughAgents(await putBlocks(source, `agents ${round}`, PINS)))
  }
  return [
    { name: `${PINS} small CIDs on 3 Kubos, directly over RPC`, value: PINS / median(floor), unit: 'pins/s' },
    { name: `${PINS} small CIDs on 3 Kubos, through agents`, value: PINS / median(ours), unit: 'pins/s' },
    { name: 'through agents, of directly', value: median(floor) / median(ours), unit: 'ratio', target: 0.9, best: 'high' },
    { name: `${ROUNDS * PINS} small CIDs through agents, lost`, value: lost, unit: 'count', target: 0, best: 'low' }
  ]
}
