/** Runs a schedule on real agents and on the model side by side, and compares them after every step. */
import { join } from 'node:path'
import { expect } from 'vitest'
import type { OperationState } from '../../src/protocol/ack.ts'
import type { AuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import { commandId, sealEnvelope } from '../../src/protocol/envelope.ts'
import { PASSED_MS } from '../../src/protocol/limits.ts'
import { compareHlc, type Hlc } from '../../src/protocol/order.ts'
import { keyHash } from '../../src/protocol/ssh-key.ts'
import * as wire from '../../src/protocol/wire.ts'
import { author, grantOf } from '../support/author.ts'
import { pullSet, setsToPull, startSimulatedAgent, type SimulatedAgent } from '../support/simulated-agent.ts'
import { AGENTS, CIDS, PINSETS, type LineDraft, type OperationDraft, type Schedule, type Step } from './model-steps.ts'
import { createModelNode, rootOf, setsOf, type KeyFile, type Line, type ModelNode, type Said, type SaidOperation } from './model.ts'

/** What the clocks show first. */
export const START = 1_700_000_000_000

const AUTHORS = ['ann', 'ben', 'cat'].map(author)
const KEYS = CIDS.map((cid) => cid.toString())
const hlc = (ms: number, counter = 0): Hlc => ({ ms: START + ms, counter })

/** A command on its way. */
interface Message {
  readonly said: Said
  readonly bytes: Uint8Array
}

/** An agent and its model. */
export interface Pair {
  readonly agent: SimulatedAgent
  readonly model: ModelNode
  /** On its way to it. */
  readonly inbox: Message[]
  /** Heard and not stored. */
  pending: { readonly said: Said; readonly at: number }[]
  readonly files: readonly KeyFile[]
  /** The version in force. */
  version: number
}

/** A world of agents. */
export interface World extends Disposable {
  readonly pairs: readonly Pair[]
  now(): number
  step(step: Step): Promise<void>
  /** All that is not lost arrives, every file is the last, everybody has caught up from everybody, and all jobs are done. */
  calm(): Promise<void>
  /** One who starts now with the last file. */
  newcomer(): Promise<Pair>
}

/** Makes a world in an empty folder. */
export async function createWorld(schedule: Pick<Schedule, 'versions' | 'isOther'>, dir: string): Promise<World> {
  let now = START
  const all = new Map<string, Message>()
  const pairs: Pair[] = []

  const start = async (files: readonly KeyFile[]): Promise<Pair> => {
    const first = files[0] as KeyFile
    const agent = await startSimulatedAgent(join(dir, `${pairs.length}.db`), () => now, keysOf(first))
    const model = createModelNode()
    model.read(first, now)
    const pair: Pair = { agent, model, inbox: [], pending: [], files, version: 0 }
    pairs.push(pair)
    return pair
  }

  const say = async (step: Extract<Step, { do: 'say' }>): Promise<void> => {
    const signer = AUTHORS[step.author] as (typeof AUTHORS)[number]
    const time = hlc(step.ms, step.counter)
    const pinset = PINSETS[step.pinset] as string
    const drafts = withoutRepeats(step.operations, pinset === '')
    if (drafts.length === 0) return
    const ops = drafts.map((draft) => toWire(draft, time))
    const payload = { v: 1, network: 'net', signer: keyHash(signer.blob), time: [time.ms, time.counter], ops }
    const envelope = await sealEnvelope('command', wire.encode(pinset === '' ? payload : { ...payload, pinset }), signer)
    const id = commandId(envelope.payload)
    const said: Said = { id, author: signer.author, pinset, time, operations: drafts.map((draft) => toSaid(draft, time)) }
    const message = all.get(id) ?? { said, bytes: envelope.bytes }
    all.set(id, message)
    pairs.forEach(({ inbox }, i) => {
      for (let n = 0; n < (step.copies[i] ?? 0); n++) inbox.push(message)
    })
  }

  const hear = ({ agent, model, inbox, pending }: Pair, picks: readonly number[]): void => {
    for (const pick of picks) {
      const [message] = inbox.splice(pick % inbox.length, 1)
      if (message === undefined) return
      const { said, bytes } = message
      const isPending = pending.some((one) => one.said === said)
      const expected = isPending ? 'duplicate' : model.hear(said, now)
      const judgement = agent.run.intake.judge(bytes, 'peer')
      const verdict = judgement.verdict === 'accept' ? 'accept' : judgement.reason
      expect(verdict, `${said.id} heard`).toBe(expected)
      if (verdict === 'accept') pending.push({ said, at: now })
    }
  }

  const turn = (pair: Pair): void => {
    const { agent, model, pending } = pair
    agent.run.clock.run()
    const stored = pending.filter(({ said }) => agent.run.store.command(said.id) !== undefined)
    // A batch is stored whole, or, by one that dies of it, not at all.
    expect(stored.length).toBe(agent.isDead && stored.length === 0 ? 0 : pending.length)
    for (const { said, at } of stored) model.take(said, at, now)
    pair.pending = []
    model.settle(now)
    forget(pair)
  }

  const forget = ({ agent, model }: Pair): void => {
    for (const [said, at] of model.taken) {
      if (agent.run.store.command(said.id) !== undefined) continue
      expect(model.isPlaced(said) || now - at < PASSED_MS, `${said.id} is gone`).toBe(false)
      model.forget(said)
    }
  }

  const wait = (ms: number): void => {
    const isOver = (pair: Pair): boolean =>
      [...pair.model.places().values()].some(({ expires = Infinity }) => expires > now && expires <= now + ms)
    // Timers may be late, but not so late that something else happens between an expiry and the look at it.
    const looking = pairs.filter((pair) => ms > 1_000 || isOver(pair))
    looking.forEach(turn)
    now += ms
    looking.forEach(turn)
  }

  const read = async (pair: Pair): Promise<void> => {
    const { agent, model, files } = pair
    if (pair.version + 1 >= files.length) return
    pair.version++
    const file = files[pair.version] as KeyFile
    const before = agent.commits()
    await agent.read(keysOf(file))
    if (!agent.isDead || agent.commits() > before) model.read(file, now)
  }

  const pull = async (to: Pair, from: Pair, isVouched: boolean, most: number): Promise<number> => {
    let taken = 0
    for (const name of setsToPull(to.agent, from.agent)) {
      const theirs = setsOf(from.model.taken.keys()).get(keyOf(name)) ?? []
      const pulled = await pullSet(to.agent, from.agent, name, { isVouched, most })
      const saidOf = (id: string): Said => (all.get(id) as Message).said
      for (const id of pulled.passedOver) {
        const isKnown = to.model.taken.has(saidOf(id)) || to.pending.some(({ said }) => said.id === id)
        expect(isKnown || !to.model.mayHold(saidOf(id)), `${id} passed over`).toBe(true)
      }
      const lacking = theirs.filter((said) => !to.model.taken.has(said) || !to.model.isPlaced(said)).map(({ id }) => id)
      expect(lacking).toEqual(expect.arrayContaining([...pulled.passedOver, ...pulled.offered.map(({ id }) => id)]))
      if (most > lacking.length) expect(pulled.passedOver.length + pulled.offered.length).toBe(lacking.length)
      const isStored = pulled.admitted !== undefined
      const became = pulled.offered.map(({ id }) => {
        const said = saidOf(id)
        const at = isVouched ? Math.min(from.model.taken.get(said) as number, now) : now
        const expected = to.model.judge(said, at, now)
        if (expected === 'held' && isStored) to.model.take(said, at, now)
        return expected
      })
      if (!isStored) break
      expect(pulled.admitted).toEqual(became)
      taken += became.filter((one) => one === 'held').length
    }
    return taken
  }

  const work = ({ agent, model }: Pair, pick: number, outcome: Extract<Step, { do: 'work' }>['outcome']): boolean => {
    const cids = KEYS.filter((cid) => agent.run.store.job(cid) !== undefined)
    const cid = cids[pick % cids.length]
    if (cid === undefined) return false
    agent.work(cid, outcome)
    if (outcome === 'done' && !agent.isDead) model.done(cid, now)
    return true
  }

  const restart = async (pair: Pair): Promise<void> => {
    const file = pair.files[pair.version] as KeyFile
    await pair.agent.restart(keysOf(file))
    pair.model.read(file, now)
    pair.pending = []
  }

  const at = (index: number): Pair => pairs[index] as Pair

  const run = async (step: Step): Promise<readonly Pair[]> => {
    switch (step.do) {
      case 'say':
        await say(step)
        return []
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
        return pairs
      case 'file':
        await read(at(step.agent))
        return [at(step.agent)]
      case 'pull':
        if (step.to !== step.from) await pull(at(step.to), at(step.from), step.isVouched, step.most)
        return [at(step.to)]
      case 'work':
        work(at(step.agent), step.pick, step.outcome)
        return [at(step.agent)]
      case 'kill':
        if (step.after === 0) await restart(at(step.agent))
        else at(step.agent).agent.killAfter(step.after)
        return [at(step.agent)]
    }
  }

  const step = async (one: Step): Promise<void> => {
    const touched = await run(one)
    for (const pair of pairs) if (pair.agent.isDead) await restart(pair)
    for (const pair of touched) compare(pair, now)
  }

  for (let i = 0; i < AGENTS; i++) {
    const isOther = schedule.isOther && i === AGENTS - 1
    await start(schedule.versions.map((version) => fileOf(version, isOther ? AUTHORS.length - 1 : AUTHORS.length)))
  }

  return {
    pairs,
    now: () => now,
    step,
    async calm() {
      for (const pair of pairs) {
        pair.agent.killAfter(Infinity)
        while (pair.version + 1 < pair.files.length) await read(pair)
        hear(
          pair,
          pair.inbox.map(() => 0)
        )
        turn(pair)
        compare(pair, now)
      }
      for (let taken = 1; taken > 0;) {
        taken = 0
        for (const to of pairs) {
          for (const from of pairs) if (from !== to) taken += await pull(to, from, true, 1_000)
          compare(to, now)
        }
      }
      for (const pair of pairs) {
        while (work(pair, 0, 'done')) compare(pair, now)
      }
    },
    async newcomer() {
      const pair = await start([(pairs[0] as Pair).files.at(-1) as KeyFile])
      for (const from of pairs) if (from !== pair) await pull(pair, from, true, 1_000)
      while (work(pair, 0, 'done')) compare(pair, now)
      return pair
    },
    [Symbol.dispose]: () => pairs.forEach(({ agent }) => agent[Symbol.dispose]())
  }
}

/** Whether an agent is as its model says. */
export function compare({ agent, model, pending }: Pair, now: number): void {
  const { store, settler, sets, clock } = agent.run
  if (clock.isDue() && pending.length === 0) return
  for (const cid of KEYS) {
    const view = settler.view(cid, now).map(({ pinset, want, by }) => `${pinset} ${want} ${by.rank.command}`)
    const wanted = PINSETS.flatMap((pinset) => {
      const { want, by } = model.wish(cid, pinset, now)
      return want === 'none' ? [] : [`${pinset} ${want} ${by?.said.id}`]
    })
    const name = `CID ${KEYS.indexOf(cid)}`
    expect(view.toSorted(), `${name} wish`).toEqual(wanted.toSorted())
    expect(store.holds(cid).toSorted(), `${name} holds`).toEqual(model.heldBy(cid).toSorted())
    expect(store.pin(cid) !== undefined, `${name} pinned`).toBe(model.pinned.has(cid))
    expect(store.job(cid)?.action, `${name} job`).toBe(model.jobs.get(cid))
    if (store.pin(cid) !== undefined && store.job(cid) === undefined) expect(agent.backend.has(cid), `${name} in the backend`).toBe(true)
  }
  const shown = sets.digests().map(({ author: who, pinset = '', count, root }) => [`${who} ${pinset}`, count, Buffer.from(root).toString('hex')])
  const expected = [...setsOf(model.taken.keys())].map(([name, set]) => [name, set.length, rootOf(set)])
  expect(shown.toSorted(), 'sets').toEqual(expected.toSorted())
  for (const [said, acceptedAt] of model.taken) {
    const command = store.command(said.id)
    expect(command?.acceptedAt, `${said.id} accepted at`).toBe(acceptedAt)
    const states = store.operations(command?.seq ?? -1).map(({ state }) => shortState(state))
    expect(states.length).toBe(said.operations.length)
    states.forEach((state, i) => expect(model.state(said, i, now), `${said.id} operation ${i}`).toContain(state))
  }
}

function shortState(state: OperationState): string {
  switch (state.status) {
    case 'superseded':
      return `superseded by ${state.by}`
    case 'refused':
      return `refused ${state.code}`
    case 'unpinned':
      return `unpinned ${state.heldBy.toSorted().join()}`
    default:
      return state.status
  }
}

function keyOf({ author: who, pinset = '' }: { readonly author: string; readonly pinset: string | undefined }): string {
  return `${who} ${pinset}`
}

function fileOf(version: readonly LineDraft[], authors: number): KeyFile {
  const lines = version.slice(0, authors).map((line, i) => [AUTHORS[i]?.author as string, shifted(line)] as const)
  return new Map(lines.filter(([, line]) => line !== 'absent')) as KeyFile
}

function shifted(line: LineDraft): LineDraft {
  if (typeof line === 'string') return line
  const { validAfter, expiryTime } = line
  return {
    ...line,
    ...(validAfter === undefined ? {} : { validAfter: START + validAfter }),
    ...(expiryTime === undefined ? {} : { expiryTime: START + expiryTime })
  }
}

function keysOf(file: KeyFile): AuthorizedKeys {
  const lines = AUTHORS.flatMap((signer) => {
    const line = file.get(signer.author)
    return line === undefined ? [] : [{ signer, line }]
  })
  const granted = lines.filter((one): one is { signer: (typeof AUTHORS)[number]; line: Line } => one.line !== 'revoked')
  return {
    grants: new Map(granted.map(({ signer, line }) => [signer.author, grantOf(signer, line)])),
    revoked: new Set(lines.flatMap(({ signer, line }) => (line === 'revoked' ? [signer.author] : []))),
    problems: [],
    skipped: 0,
    lines: new Map()
  }
}

function withoutRepeats(drafts: readonly OperationDraft[], isAdmin: boolean): readonly OperationDraft[] {
  const named = new Set<number>()
  return drafts.filter((draft) => {
    if (isAdmin && !draft.op.endsWith('to come')) return false
    const cids = draft.op === 'update' ? [draft.cid, draft.to] : draft.op === 'sweep to come' ? [] : [draft.cid]
    if (new Set(cids).size < cids.length || cids.some((cid) => named.has(cid))) return false
    cids.forEach((cid) => named.add(cid))
    return true
  })
}

function atOf({ at }: OperationDraft, time: Hlc): { readonly at?: Hlc } {
  return at === undefined || compareHlc(hlc(at), time) > 0 ? {} : { at: hlc(at) }
}

function toWire(draft: OperationDraft, time: Hlc): Record<string, unknown> {
  const { at } = atOf(draft, time)
  const cid = CIDS[draft.cid]
  const rank = at === undefined ? {} : { at: [at.ms, at.counter] }
  const kind = draft.op.split(' ')[0] as string
  switch (draft.op) {
    case 'update':
      return { op: kind, from: cid, to: CIDS[draft.to], ...rank }
    case 'pin':
      return { op: kind, cid, ...(draft.expires === undefined ? {} : { expires: START + draft.expires }), ...rank }
    case 'unpin':
      return { op: kind, cid, ...rank }
    case 'sweep to come':
      return { op: kind, ...rank }
    default:
      return { op: kind, cid, colour: 'red', ...rank }
  }
}

function toSaid(draft: OperationDraft, time: Hlc): SaidOperation {
  const at = atOf(draft, time)
  const cid = KEYS[draft.cid] as string
  switch (draft.op) {
    case 'update':
      return { op: 'update', from: cid, to: KEYS[draft.to] as string, ...at }
    case 'pin':
      return { op: 'pin', cid, ...(draft.expires === undefined ? {} : { expires: START + draft.expires }), ...at }
    case 'unpin':
      return { op: 'unpin', cid, ...at }
    case 'sweep to come':
      return { op: 'unknown', kind: 'sweep', ...at }
    default:
      return { op: 'unknown', kind: draft.op.split(' ')[0] as string, cid, ...at }
  }
}
