/** A network of the built bundle that is flooded for as long as it takes, while what is ordinary arrives. */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { loadSigner } from '../../src/identity/key-file.ts'
import { cidOf } from '../support/author.ts'
import { flood } from '../support/flood.ts'
import { IGNORED, REJECTED } from '../support/flooder.ts'
import type { FloodReport } from '../support/flooder-process.ts'
import { createOperator, type Said } from '../support/operator.ts'
import { createNetwork, type Agent } from './network.ts'

/** Messages of the flood and ordinary commands, a second. */
const FLOOD = 500
const ORDINARY = 50

/** Kinds that are flooded with together. */
export const FLOODS: Readonly<Record<string, readonly string[]>> = {
  'what nobody can accept': Object.keys(REJECTED),
  'what is of no use': ['a stranger signed', 'strangers signed', 'an old command', 'an ack of no command'],
  'what strangers may say': ['an ack by a stranger', 'a presence of the same stranger', 'presences of strangers'],
  'all of it': [...Object.keys(REJECTED), ...Object.keys(IGNORED)]
}

/** Floods the first of two agents for so long. Rejects where an ordinary command is lost on the way, or nobody is cut off. */
export async function flooded(kinds: readonly string[], ms: number): Promise<FloodReport & { readonly ordinary: number }> {
  await using net = await createNetwork(2)
  await using operator = await createOperator({ network: net.name })
  const { signer } = await loadSigner(join(net.home, 'id_ed25519'))
  for (const { address } of net.agents) await operator.link(address)
  const peers = net.agents.map(({ peer }) => peer)
  const first = await operator.say(signer, [{ op: 'unpin', cid: cidOf('first') }])
  await operator.accepted([first], peers, 10_000)
  const { address } = net.agents[0] as Agent
  let isOver = false
  const flooding = flood({ network: net.name, address, said: first, kinds, perSecond: FLOOD, ms }).finally(() => (isOver = true))
  const said: Said[] = []
  while (!isOver) {
    said.push(await operator.say(signer, [{ op: 'unpin', cid: cidOf(`ordinary ${said.length}`) }]))
    await wait(1_000 / ORDINARY)
  }
  const report = await flooding
  await operator.accepted(said, peers, 30_000)
  if (report.cuts === 0) throw new Error(`the flooder was not cut off: it sent ${report.sent}`)
  return { ...report, ordinary: said.length }
}
