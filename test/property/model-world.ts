/** Runs a schedule on real agents and on the model side by side, and compares them after every step. */
import { join } from 'node:path'
import { expect } from 'vitest'
import { PASSED_MS } from '../../src/protocol/limits.ts'
import { pullSet, setsToPull, startSimulatedAgent } from '../support/simulated-agent.ts'
import { compare, type Pair } from './model-checks.ts'
import { fileOf, KEYS, keysOf, messageOf, otherFileOf, START, type Message } from './model-drafts.ts'
import { AGENTS, type Outcome, type Schedule, type Step } from './model-steps.ts'
import { createModelNode, setsOf, type KeyFile, type Said } from './model.ts'

/** A node, and what is on its way to it. */
export interface Node extends Pair {
  readonly inbox: Message[]
  /** Heard and not stored. */
  pending: { readonly said: Said; readonly at: number }[]
  /** The versions of its file, and the one in force. */
  readonly files: readonly KeyFile[]
  version: number
}

/** A world of nodes. */
export interface World extends Disposable {
  readonly nodes: readonly Node[]
  now(): number
  step(step: Step): Promise<void>
  /** All that is not lost arrives, and every file is the last. */
  deliver(): Promise<void>
  /** Everybody catches up from everybody until nothing more comes, and does all jobs. */
  catchUp(): Promise<void>
  /** Starts another node, which knows the last file only. */
  join(): Promise<Node>
}

/** Makes a world; its files are in an empty folder. */
export async function createWorld({ versions, isOther, isOnDisk }: Omit<Schedule, 'steps'>, dir: string): Promise<World> {
  let now = START
  const all = new Map<string, Message>()
  const nodes: Node[] = []

  const start = async (files: readonly KeyFile[]): Promise<Node> => {
    const first = files[0] as KeyFile
    const agent = await startSimulatedAgent(isOnDisk ? join(dir, `${nodes.length}.db`) : ':memory:', () => now, keysOf(first))
    const model = createModelNode()
    model.read(first, now)
    const node: Node = { agent, model, inbox: [], pending: [], files, version: 0 }
    nodes.push(node)
    return node
  }

  const hear = ({ agent, model, inbox, pending }: Node, picks: readonly number[]): void => {
    for (const pick of picks) {
      const [message] = inbox.splice(pick % inbox.length, 1)
      if (message === undefined) return
      const { said, bytes } = message
      const expected = isPending(said, pending) ? 'duplicate' : model.hear(said, now)
      const judgement = agent.run.intake.judge(bytes, 'peer')
      expect(judgement.verdict === 'accept' ? 'accept' : judgement.reason, `${said.id}: heard`).toBe(expected)
      if (expected === 'accept') pending.push({ said, at: now })
    }
  }

  const turn = (node: Node): void => {
    const { agent, model, pending } = node
    agent.run.clock.run()
    const stored = pending.filter(({ said }) => agent.run.store.command(said.id) !== undefined)
    // A batch is stored whole; by a process that dies of it, whole or not at all.
    if (!agent.isDead || stored.length > 0) expect(stored).toEqual(pending)
    for (const { said, at } of stored) model.take(said, at, now)
    node.pending = []
    model.settle(now)
    for (const [said, at] of model.taken) {
      if (agent.run.store.command(said.id) !== undefined) continue
      expect(model.isHolding(said) || now - at < PASSED_MS, `${said.id}: gone`).toBe(false)
      model.forget(said)
    }
  }

  const wait = (ms: number, isOff?: Node): void => {
    // Timers may be late, but not so late that something else happens between an expiry and the look at it.
    const isBusy = ({ model }: Node): boolean => ms > 1_000 || model.expiries().some((at) => at > now && at <= now + ms)
    const busy = nodes.filter((node) => node !== isOff && isBusy(node))
    busy.forEach(turn)
    now += ms
    busy.forEach(turn)
  }

  const read = async (node: Node): Promise<void> => {
    const { agent, model, files } = node
    const next = files[node.version + 1]
    if (next === undefined) return
    node.version++
    const before = agent.commits()
    await agent.read(keysOf(next))
    if (!agent.isDead || agent.commits() > before) model.read(next, now)
  }

  const pull = async (to: Node, from: Node, options: Omit<Extract<Step, { do: 'pull' }>, 'do' | 'to' | 'from'>): Promise<number> => {
    let held = 0
    for (const name of setsToPull(to.agent, from.agent, options.isGreedy)) {
      const theirs = setsOf(from.model.taken.keys()).get(`${name.author} ${name.pinset ?? ''}`) ?? []
      const lacking = theirs.filter((said) => !to.model.isHolding(said))
      const { offered, admitted, passedOver } = await pullSet(to.agent, from.agent, name, options)
      const found = [...offered.map(({ id }) => id), ...passedOver]
      if (options.most > lacking.length) expect(found.toSorted(), 'differences').toEqual(lacking.map(({ id }) => id).toSorted())
      const became = offered.map(({ id }) => {
        const { said } = all.get(id) as Message
        const at = options.isVouched ? Math.min(from.model.taken.get(said) as number, now) : now
        const expected = isPending(said, to.pending) ? 'known' : to.model.judge(said, at, now)
        if (expected === 'held' && admitted !== undefined) to.model.take(said, at, now)
        return expected
      })
      if (admitted === undefined) break
      expect(admitted, 'admitted').toEqual(became)
      held += admitted.filter((one) => one === 'held').length
      for (const id of passedOver) {
        const { said } = all.get(id) as Message
        expect(isPending(said, to.pending) || !to.model.wouldHold(said), `${id}: passed over`).toBe(true)
      }
      for (const { id } of offered) {
        const { said } = all.get(id) as Message
        expect(to.agent.run.store.command(id) !== undefined, `${id}: stored`).toBe(to.model.taken.has(said))
      }
    }
    return held
  }

  const work = ({ agent, model }: Node, pick: number, outcome: Outcome): boolean => {
    const cids = KEYS.filter((cid) => model.jobs.has(cid))
    const cid = cids[pick % cids.length]
    if (cid === undefined) return false
    agent.work(cid, outcome)
    if (outcome === 'done' && !agent.isDead) model.done(cid, now)
    return true
  }

  const restart = async (node: Node): Promise<void> => {
    const file = node.files[node.version] as KeyFile
    await node.agent.restart(keysOf(file))
    node.model.read(file, now)
    node.pending = []
  }

  const at = (index: number): Node => nodes[index] as Node

  /** Does it; returns whom it touched. */
  const run = async (step: Step): Promise<readonly Node[]> => {
    switch (step.do) {
      case 'say': {
        const made = await messageOf(step)
        if (made === undefined) return []
        const message = all.get(made.said.id) ?? made
        all.set(message.said.id, message)
        nodes.forEach(({ inbox }, i) => inbox.push(...Array.from({ length: step.copies[i] ?? 0 }, () => message)))
        return []
      }
      case 'repeat': {
        const message = [...all.values()][step.said % all.size]
        if (message !== undefined) at(step.agent).inbox.push(message)
        return []
      }
      case 'hear':
        hear(at(step.agent), step.picks)
        return [at(step.agent)]
      case 'turn':
        turn(at(step.agent))
        return [at(step.agent)]
      case 'wait':
        wait(step.ms)
        return nodes
      case 'file':
        await read(at(step.agent))
        return [at(step.agent)]
      case 'pull':
        if (step.to !== step.from) await pull(at(step.to), at(step.from), step)
        return [at(step.to)]
      case 'work':
        work(at(step.agent), step.pick, step.outcome)
        return [at(step.agent)]
      case 'kill':
        at(step.agent).agent.killAfter(step.after)
        return [at(step.agent)]
      case 'off':
        wait(step.ms, at(step.agent))
        await restart(at(step.agent))
        return nodes
    }
  }

  const files = versions.map((version) => fileOf(version))
  const other = versions.map((version) => otherFileOf(version))
  for (let i = 0; i < AGENTS; i++) await start(isOther && i === AGENTS - 1 ? other : files)

  return {
    nodes,
    now: () => now,
    async step(step) {
      const touched = await run(step)
      for (const node of nodes) if (node.agent.isDead) await restart(node)
      for (const node of touched) compare(node, now)
    },
    async deliver() {
      for (const node of nodes) {
        node.agent.killAfter(Infinity)
        while (node.version + 1 < node.files.length) await read(node)
        hear(
          node,
          Array.from(node.inbox, () => 0)
        )
        turn(node)
        compare(node, now)
      }
    },
    async catchUp() {
      for (let held = 1; held > 0;) {
        held = 0
        for (const to of nodes) {
          for (const from of nodes) if (from !== to) held += await pull(to, from, { isVouched: true, isGreedy: true, most: Infinity })
          compare(to, now)
        }
      }
      for (const node of nodes) {
        while (work(node, 0, 'done')) compare(node, now)
        const held = KEYS.filter((cid) => node.model.heldBy(cid).length > 0)
        expect(node.agent.contents().toSorted(), 'the backend').toEqual(held.toSorted())
      }
    },
    join: () => start([(nodes[0] as Node).files.at(-1) as KeyFile]),
    [Symbol.dispose]: () => nodes.forEach(({ agent }) => agent[Symbol.dispose]())
  }
}

function isPending(said: Said, pending: Node['pending']): boolean {
  return pending.some((one) => one.said === said)
}
