/** An agent that was not there while a network went on, with nobody there but one other agent when it comes. */
import { join } from 'node:path'
import { loadSigner } from '../../src/identity/key-file.ts'
import { multiaddr } from '@multiformats/multiaddr'
import { leaf } from '../support/dags.ts'
import { createOperator, type Said, type Sayable } from '../support/operator.ts'
import { createRandom } from '../support/random.ts'
import { createHearing, type Expected } from './expected.ts'
import { agentArgs, createNetwork, startAgent, type Agent, type TestNetwork } from './network.ts'
import { checkState, jobs, knows, until } from './state.ts'

/** What it took the agent from its `ready`, milliseconds. */
export interface AbsenceTimes {
  /** Until it knew all that was said. */
  readonly known: number
  /** Until it held what is wanted, and nothing else. */
  readonly held: number
}

const DEADLINE_MS = 100_000
/** Commands on their way at a time: an agent takes 1,024 before it says that it is busy. */
const CHUNK = 200

/** An agent that comes new to a network of as many pins, each a command of its own. */
export async function newcomer(pins: number): Promise<AbsenceTimes> {
  await using net = await createNetwork(1)
  const [first] = net.agents as [Agent]
  const expected = await happen(net, first, (make) => Array.from({ length: pins }, () => async () => [await make()]))
  return await comeTo(net, net.sandbox.path('new'), first, expected)
}

/** An agent that was off while as many operations passed: pins, unpins, updates and pins again of the same CIDs. */
export async function missed(operations: number, seed: number): Promise<AbsenceTimes> {
  const random = createRandom(seed)
  await using net = await createNetwork(2)
  const [first, second] = net.agents as [Agent, Agent]
  await second.process.end()
  const blocks = await Promise.all(Array.from({ length: Math.ceil(operations / 10) }, (_, i) => leaf(`named again and again, ${i}`)))
  const expected = await happen(net, first, (_, pinOf, provide) => {
    provide(blocks)
    const commands: (() => Promise<Sayable[]>)[] = []
    for (let left = operations; left > 0;) {
      const named = random.some(blocks, Math.min(left, random.between(1, 5)))
      left -= named.length
      const spare = random.pick(blocks)
      commands.push(async () =>
        named.map(({ cid }, i): Sayable => {
          if (i === 0 && !named.includes(spare) && random.chance(0.2)) return { op: 'update', from: cid, to: spare.cid }
          return random.chance(0.35) ? { op: 'unpin', cid } : pinOf(cid)
        })
      )
    }
    return commands
  })
  return await comeTo(net, second.home, first, expected)
}

type Pin = Extract<Sayable, { op: 'pin' }>

/** Says all of it to the one agent, waits until it is done there, and leaves. */
async function happen(
  net: TestNetwork,
  agent: Agent,
  plan: (
    make: () => Promise<Pin>,
    pinOf: (cid: Pin['cid']) => Pin,
    provide: (blocks: readonly Awaited<ReturnType<typeof leaf>>[]) => void
  ) => readonly (() => Promise<readonly Sayable[]>)[]
): Promise<Expected> {
  await using operator = await createOperator({ network: net.name })
  const { signer } = await loadSigner(join(net.home, 'id_ed25519'))
  const origins = [multiaddr(operator.origin).bytes]
  let made = 0
  const pinOf = (cid: Pin['cid']): Pin => ({ op: 'pin', cid, origins })
  const make = async (): Promise<Pin> => {
    const block = await leaf(`pin ${made++}`)
    operator.provide([block])
    return pinOf(block.cid)
  }
  const commands = plan(make, pinOf, operator.provide)
  const hearing = createHearing(net.name)
  await operator.link(agent.address)
  for (let at = 0; at < commands.length; at += CHUNK) {
    const said: Said[] = []
    for (const command of commands.slice(at, at + CHUNK)) said.push(await operator.say(signer, await command()))
    await operator.accepted(said, [agent.peer], DEADLINE_MS)
    hearing.add(said.map(({ envelope }) => envelope))
  }
  await until('what was said is done', () => jobs(agent.home) === 0, DEADLINE_MS)
  const expected = hearing.outcome()
  checkState(agent.home, expected)
  return expected
}

/** Starts the agent in `home`, and waits until it is where the other is. */
async function comeTo(net: TestNetwork, home: string, first: Agent, expected: Expected): Promise<AbsenceTimes> {
  const args = agentArgs(home, '--network', net.name, '--authorize', net.line, '--bootstrap', first.address)
  await startAgent(net.sandbox, home, args, { deadline: 2 * DEADLINE_MS })
  const readyAt = performance.now()
  await until('it knows all that was said', () => knows(home, expected), DEADLINE_MS)
  const known = performance.now() - readyAt
  await until('it holds what is wanted', () => jobs(home) === 0, DEADLINE_MS)
  const held = performance.now() - readyAt
  checkState(home, expected)
  return { known, held }
}
