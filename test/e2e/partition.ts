/** Five machines that are split into three and two while both sides are told what conflicts, and then healed. */
import { writeFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { generateKeyFile } from '../../src/identity/key-file.ts'
import { createSandbox, PINSUB, type Ended } from '../support/cli.ts'
import { leaf } from '../support/dags.ts'
import { makeNamespaces, type Cut } from '../support/namespaces.ts'
import { followOperator, OPERATOR_PROCESS, type RemoteOperator, type TextOperation } from '../support/remote-operator.ts'
import { createHearing } from './expected.ts'
import { only } from './network.ts'
import { same } from './same.ts'
import { until } from './state.ts'

/** What to do. */
export interface PartitionOptions {
  readonly cut: Cut
  /** How long the split lasts beyond the commands: until no machine has a link to the other side any more, or so many milliseconds. */
  readonly lasts: 'noticed' | number
}

/** How long it took from the heal, milliseconds. */
export interface PartitionTimes {
  /** Until all five had the same sets. */
  readonly equal: number
  /** Until all five held what is wanted, and nothing else. */
  readonly settled: number
  /** How long the split lasted. */
  readonly split: number
}

const NETWORK = 'split'
const MACHINES = [1, 2, 3, 4, 5]
const [MAJORITY, MINORITY] = [
  [1, 2, 3],
  [4, 5]
] as const
const [ALICE, BOB] = [0, 1] as const
const DEADLINE_MS = 60_000

/** Splits, heals, and compares; rejects with what is not as it should be. Needs root: see `whyNoNamespaces`. */
export async function partition({ cut, lasts }: PartitionOptions): Promise<PartitionTimes> {
  await using stack = new AsyncDisposableStack()
  const machines = stack.use(makeNamespaces(5, MINORITY))
  const sandbox = stack.use(createSandbox())
  const inside = (machine: number, args: readonly string[]): [string, string[]] => machines.inside(machine, process.execPath, args)
  const you = sandbox.path('you')
  const init = await sandbox.run(['init', '--home', you, '--network', NETWORK, '--json'])
  const bob = await generateKeyFile(sandbox.path('bob'), 'bob')
  const authorize = [init.events[0]?.['line'] as string, bob.line].flatMap((line) => ['--authorize', line])

  const nodes = new Map<number, string>()
  const start = async (machine: number, bootstrap: readonly string[]): Promise<void> => {
    const args = ['node', '--json', '--home', sandbox.path(`node${machine}`), '--network', NETWORK, '--backend', 'helia']
    const more = [...authorize, ...bootstrap, '--listen', '/ip4/0.0.0.0/tcp/4101']
    const running = sandbox.spawn(...inside(machine, [PINSUB, ...args, ...more]), { deadline: 600_000 })
    nodes.set(machine, (await running.event(({ event }) => event === 'ready'))['peer'] as string)
  }
  const address = (machine: number, network = 77): string => `/ip4/10.${network}.0.${machine}/tcp/4101/p2p/${nodes.get(machine)}`
  await start(1, [])
  await Promise.all([2, 3, 4, 5].map((machine) => start(machine, ['--bootstrap', address(1)])))
  await until('all are linked', () => MACHINES.every((one) => linkedFrom(one).size === 4))

  const operate = (machine: number, listen: string): Promise<RemoteOperator> => {
    const args = [OPERATOR_PROCESS, NETWORK, listen, `${you}/id_ed25519`, sandbox.path('bob')]
    return followOperator(sandbox.spawn(...inside(machine, args), { stdin: null, deadline: 600_000 }))
  }
  const [left, right] = await Promise.all([operate(1, '/ip4/10.77.0.1/tcp/0'), operate(4, '/ip4/10.78.0.4/tcp/0')])
  for (const machine of MAJORITY) await left.link(address(machine))
  for (const machine of MINORITY) await right.link(address(machine, 78))
  const texts = [...'abcdefghijklmnop']
  const cids = Object.fromEntries(await Promise.all(texts.map(async (text) => [text, (await leaf(text)).cid.toString()] as const)))
  await Promise.all([left, right].map((operator) => operator.provide(texts)))

  const hearing = createHearing(NETWORK)
  const origins = [left.origin, right.origin]
  const say = async (operator: RemoteOperator, key: number, ...words: readonly string[]): Promise<void> => {
    hearing.add([
      await operator.say(
        key,
        words.map((word) => operationOf(word, cids)),
        origins
      )
    ])
  }
  await say(left, ALICE, 'pin a', 'pin b', 'pin c', 'pin d', 'pin e', 'pin f', 'pin g')
  await left.accepted(ids(MAJORITY), DEADLINE_MS)
  await until('all have what was said before', async () => (await states()).size === 1)

  machines.cut(cut)
  const cutAt = performance.now()
  // The same author on both sides, each way round.
  await say(left, ALICE, 'unpin a')
  await say(right, ALICE, 'pin a')
  await say(right, ALICE, 'unpin b')
  await say(left, ALICE, 'pin b')
  // Two authors.
  await say(left, ALICE, 'unpin c')
  await say(right, BOB, 'pin c')
  await say(right, BOB, 'unpin d')
  await say(left, ALICE, 'pin d')
  // Updates, of which the other side undoes the one half or the other.
  await say(left, ALICE, 'update e h')
  await say(right, BOB, 'unpin h')
  await say(right, BOB, 'update f i')
  await say(left, ALICE, 'pin f', 'unpin i')
  await say(right, ALICE, 'update g j')
  // What only one side hears of.
  await say(left, ALICE, 'pin k', 'pin l')
  await say(left, BOB, 'unpin l')
  await say(right, BOB, 'pin m', 'pin n')
  await say(left, BOB, 'pin o')
  await say(right, ALICE, 'pin o')
  await Promise.all([left.accepted(ids(MAJORITY), DEADLINE_MS), right.accepted(ids(MINORITY), DEADLINE_MS)])
  await until('each side has its own sets', async () => (await states()).size === 2)
  if (lasts === 'noticed') await until('nobody takes a link to the other side for open', () => crossing() === 0)
  else await pause(Math.max(0, lasts - (performance.now() - cutAt)))

  machines.heal()
  const healedAt = performance.now()
  await until('all have the same sets', async () => (await states()).size === 1)
  const equal = performance.now() - healedAt

  const expected = hearing.outcome()
  await writeFile(`${you}/config.json`, JSON.stringify({ network: NETWORK, bootstrap: MACHINES.map((machine) => address(machine)) }))
  await writeFile(`${you}/known_nodes`, ids(MACHINES).join('\n'))
  const ask = (...args: readonly string[]): Promise<Ended> => {
    const [command, all] = inside(1, [PINSUB, ...args, '--home', you, '--json'])
    return sandbox.spawn(command, all).ended
  }
  const wanted = ids(MACHINES).flatMap((node) => expected.holds.map((hold) => `${node} ${hold} pin pinned live`))
  const held = async (): Promise<string[]> => {
    const { events } = await ask('status', ...Object.values(cids))
    return only(events, 'status').flatMap(({ node, cid, pinset, op, status, source }) =>
      op === 'unpin' && status === 'unpinned' ? [] : [[node, cid, pinset, op, status, source].join(' ')]
    )
  }
  let told = await held()
  for (const end = Date.now() + DEADLINE_MS; Date.now() < end && told.toSorted().join() !== wanted.toSorted().join();) told = await held()
  same(told, wanted, 'what all five hold')
  const settled = performance.now() - healedAt
  const lag = only((await ask('nodes')).events, 'node').map(({ node, state, behind }) => [node, state, behind].join(' '))
  same(
    lag,
    ids(MACHINES).map((node) => `${node} online 0`),
    'what "pinsub nodes" tells'
  )
  return { equal, settled, split: healedAt - cutAt }

  function ids(of: readonly number[]): string[] {
    return of.map((machine) => nodes.get(machine) as string)
  }

  /** The different states that machines are in, each asked from its own side; a machine that does not answer is in one of its own. */
  async function states(): Promise<Set<string>> {
    const stateOf = (operator: RemoteOperator, target: string): Promise<string> =>
      operator.sets(target).then(
        (sets) => sets.join('\n'),
        () => target
      )
    const all = [
      ...MAJORITY.map((machine) => stateOf(left, address(machine))),
      ...MINORITY.map((machine) => stateOf(right, address(machine, 78)))
    ]
    return new Set(await Promise.all(all))
  }

  /** Other machines to whose agents the agent of one has a link. */
  function linkedFrom(machine: number): Set<number> {
    const agents = machines.connections(machine).filter(({ own, other }) => [own, other].some((end) => end.endsWith(':4101')))
    const numbers = agents.map(({ other }) => Number(/^10\.7[78]\.0\.(\d+):/.exec(other)?.[1]))
    return new Set(numbers.filter((other) => other !== machine && MACHINES.includes(other)))
  }

  /** Links that are taken for open between the sides. */
  function crossing(): number {
    const across = (from: readonly number[], to: readonly number[]): number[] =>
      from.flatMap((machine) => [...linkedFrom(machine)].filter((other) => to.includes(other)))
    return [...across(MAJORITY, MINORITY), ...across(MINORITY, MAJORITY)].length
  }
}

function operationOf(text: string, cids: Readonly<Record<string, string>>): TextOperation {
  const [op, first = '', second = ''] = text.split(' ')
  const [cid, to] = [cids[first] as string, cids[second] as string]
  return op === 'update' ? { op, from: cid, to } : { op: op === 'pin' ? 'pin' : 'unpin', cid }
}
