/**
 * An agent that is killed at random moments while commands come, started again in the same home, and killed again; then what it holds is
 * compared with what was said. Each fault is an error; what was counted is returned.
 */
import assert from 'node:assert/strict'
import { setTimeout as pause } from 'node:timers/promises'
import { cidKey } from '../../../src/protocol/cid.ts'
import { MAX_OFFERED_AGAIN } from '../../../src/protocol/limits.ts'
import { createSandbox, type Sandbox } from '../../support/cli.ts'
import { createOperator } from '../../support/operator.ts'
import { createRandom } from '../../support/random.ts'
import { createHearing, type Expected } from '../expected.ts'
import { startAgent, type Agent } from '../network.ts'
import { same } from '../same.ts'
import { checkState, jobs, rows, until } from '../state.ts'
import { makeCrowd, type Crowd } from './crowd.ts'
import { makeGround, type GroundName } from './grounds.ts'

/** What to do. */
export interface CrashOptions {
  readonly ground: GroundName
  /** Times that the agent is killed while commands come. */
  readonly rounds: number
  /** The same seed makes the same choices; when a kill comes within the agent's work no seed can say. */
  readonly seed: number
  /** Told how far it is. */
  log?(line: string): void
}

/** What was counted. */
export interface CrashSummary {
  readonly rounds: number
  /** Kills, and of these such before the agent was ready. */
  readonly kills: number
  readonly early: number
  readonly commands: number
  readonly acks: number
  readonly pins: number
  /** CIDs that were done again: in all, and after one kill at most. */
  readonly repeated: number
  readonly repeatedMost: number
  /** The longest start, milliseconds. */
  readonly slowestStart: number
}

const NETWORK = 'crashes'
/** How often the agent is killed before it is ready. */
const EARLY = 0.25
/** A kill comes within this time after the first command, milliseconds. */
const LATEST_KILL_MS = 700

/** Does the rounds; rejects with the first fault. */
export async function crash(options: CrashOptions): Promise<CrashSummary> {
  const { rounds, seed, log = () => {} } = options
  const random = createRandom(seed)
  await using stack = new AsyncDisposableStack()
  const sandbox = stack.use(createSandbox())
  const operator = stack.use(await createOperator({ network: NETWORK }))
  const owners = new Map<string, string>()
  const faults: string[] = []
  const ground = stack.use(await makeGround(options.ground, { sandbox, operator, network: NETWORK, owner: (block) => owners.get(block) }))
  const crowd = await makeCrowd(
    { network: NETWORK, dir: sandbox.dir, named: ground.operators },
    { operator, random, fault: (message) => void faults.push(message), own: (block, cid) => void owners.set(block, cid) }
  )
  const hearing = createHearing(NETWORK)
  const home = sandbox.path('node')
  const listen = ['--listen', '/ip4/127.0.0.1/tcp/0']
  const authorize = crowd.lines.flatMap((line) => ['--authorize', line])
  const args = ['node', '--json', '--home', home, '--network', NETWORK, ...listen, ...ground.args, ...authorize]
  const counts = { kills: 0, early: 0, repeated: 0, repeatedMost: 0, slowestStart: 0 }

  const start = async (): Promise<Agent> => {
    const began = performance.now()
    const agent = await startAgent(sandbox, home, args)
    counts.slowestStart = Math.max(counts.slowestStart, performance.now() - began)
    return agent
  }
  /** After a kill: what was done since the one before. */
  const count = (): void => {
    const { size } = ground.repeated()
    counts.kills++
    counts.repeated += size
    counts.repeatedMost = Math.max(counts.repeatedMost, size)
    // Those that run, and as many that ended and are about to be written.
    const inHand = 2 * ground.concurrency
    assert.ok(size <= inHand, `${size} CIDs were done twice after one kill, ${inHand} can be in hand`)
  }

  for (let round = 1; round <= rounds; round++) {
    if (random.chance(EARLY)) {
      counts.early++
      await killEarly(sandbox, args, random.next() * Math.max(200, counts.slowestStart))
      count()
    }
    const agent = await start()
    await crowd.meet(agent)
    const spoken = crowd.speak(random.between(4, 16))
    const byTime = random.chance(0.5)
    await Promise.race([byTime ? pause(random.next() * LATEST_KILL_MS) : acksHeard(crowd, random.between(1, 40)), spoken])
    await agent.process.end('SIGKILL')
    await Promise.all([crowd.leave(), spoken])
    count()
    assert.deepEqual(faults, [])
    hearing.add(crowd.envelopes())
    checkKilled(home, crowd, hearing.outcome())
    const open = crowd.unaccepted()
    log(
      `round ${round} of ${rounds}: ${crowd.heard} acks heard, ${open} commands open, ${crowd.contents.length} CIDs, ${counts.repeated} done twice`
    )
  }

  const agent = await start()
  await acceptAll(crowd, agent)
  // Behind a backlog the sender would give up.
  await untilDone(home)
  await crowd.takeAndLetGo(ground.operators)
  await untilDone(home)
  const envelopes = crowd.envelopes()
  hearing.add(envelopes)
  const expected = hearing.outcome()
  await checkTold(crowd, expected)
  await crowd.leave()
  assert.equal((await agent.process.end()).code, 0)
  count()
  assert.deepEqual(faults, [])
  checkKilled(home, crowd, expected)
  checkState(home, expected)
  await ground.check(home, expected.pins)
  return { rounds, ...counts, kills: counts.kills - 1, commands: envelopes.length, acks: crowd.heard, pins: expected.pins.length }
}

async function killEarly(sandbox: Sandbox, args: readonly string[], ms: number): Promise<void> {
  const process = sandbox.start(args)
  await pause(ms)
  await process.end('SIGKILL')
}

/** Meets the agent until it has taken everything: each time that a sender runs it offers only so many of what nobody took. */
async function acceptAll(crowd: Crowd, agent: Agent): Promise<void> {
  for (;;) {
    await crowd.meet(agent)
    const open = crowd.unaccepted()
    await until(`some of ${open} commands are accepted`, () => crowd.unaccepted() <= Math.max(0, open - MAX_OFFERED_AGAIN))
    if (crowd.unaccepted() === 0) return
    await crowd.leave()
  }
}

/** Waits for as long as there are ever fewer jobs. */
async function untilDone(home: string): Promise<void> {
  for (let left = jobs(home); left > 0; left = jobs(home)) {
    const rest = rows(home, 'SELECT action, code, attempt, count(*) FROM jobs GROUP BY action, code, attempt').join(', ')
    await until(`fewer jobs than ${left} (action, code, tries, how many: ${rest})`, () => jobs(home) < left)
  }
}

function acksHeard(crowd: Crowd, more: number): Promise<void> {
  const enough = crowd.heard + more
  return new Promise((resolve) => {
    const stop = crowd.onAck(() => {
      if (crowd.heard < enough) return
      stop()
      resolve()
    })
  })
}

/** What an ack spoke of is there, whatever moment the agent died at. */
function checkKilled(home: string, crowd: Crowd, said: Expected): void {
  const stored = new Set(rows(home, 'SELECT id FROM commands'))
  const lost = [...crowd.acknowledged()].filter((id) => !stored.has(id))
  same(lost, [], 'acknowledged commands that are lost')
  const pins = new Set(rows(home, 'SELECT cid FROM pins'))
  for (const { command, states } of crowd.newest.values()) {
    if (!states.every(({ status }) => status === 'pinned')) continue
    // Whatever was said later may have begun to undo it.
    for (const { cid } of said.lastPins(command)) assert.ok(pins.has(cid), `${cid} was acknowledged as pinned, and is not`)
  }
}

/** What the agent tells when asked. */
async function checkTold(crowd: Crowd, expected: Expected): Promise<void> {
  const held: string[] = []
  for await (const { cid, pinset, status, op } of crowd.sender().status(crowd.contents.map((content) => cidKey(content.cid)))) {
    if (op === 'pin') assert.equal(status, 'pinned', `${cid} in ${pinset}`)
    if (op === 'unpin') assert.equal(status, 'unpinned', `${cid} in ${pinset}`)
    if (op === 'pin') held.push(`${cid} ${pinset}`)
  }
  same(held, expected.holds, 'what the agent tells')
}
