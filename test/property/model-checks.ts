/** What must be true: an agent is as its model says, and agents agree with one another. */
import { expect } from 'vitest'
import type { OperationState } from '../../src/protocol/ack.ts'
import type { Author } from '../../src/protocol/ssh-key.ts'
import type { SimulatedAgent } from '../support/simulated-agent.ts'
import { KEYS, WHO } from './model-drafts.ts'
import { PINSETS } from './model-steps.ts'
import { isTimely, rootOf, setsOf, standing, type ModelNode, type Said } from './model.ts'

/** An agent and its model. */
export interface Pair {
  readonly agent: SimulatedAgent
  readonly model: ModelNode
}

/** Whether an agent is as its model says: what it wants, holds, does and answers, and its sets. */
export function compare({ agent, model }: Pair, now: number): void {
  const { store, settler, sets } = agent.run
  for (const [i, cid] of KEYS.entries()) {
    const views = settler.view(cid, now).map(({ pinset, want, by }) => `${pinset} ${want} ${by.rank.command}`)
    const wishes = PINSETS.map((pinset) => ({ pinset, ...model.wish(cid, pinset, now) })).filter(({ want }) => want !== 'none')
    expect(views.toSorted(), `CID ${i}: wish`).toEqual(wishes.map(({ pinset, want, by }) => `${pinset} ${want} ${by?.said.id}`).toSorted())
    expect(store.pin(cid) !== undefined, `CID ${i}: pinned`).toBe(model.pinned.has(cid))
    const job = store.job(cid)?.action
    expect(job, `CID ${i}: job`).toBe(model.jobs.get(cid))
    // Who held it last, while it is being let go, is seen when that is called back.
    if (job !== 'unpin') expect(store.holds(cid).toSorted(), `CID ${i}: holds`).toEqual(model.heldBy(cid).toSorted())
    if (model.pinned.has(cid) && job === undefined) expect(agent.contents(), `CID ${i}: in the backend`).toContain(cid)
  }
  const shown = sets.digests().map(({ author, pinset = '', count, root }) => `${author} ${pinset} ${count} ${hex(root)}`)
  const expected = [...setsOf(model.taken.keys())].map(([name, set]) => `${name} ${set.length} ${rootOf(set)}`)
  expect(shown.toSorted(), 'sets').toEqual(expected.toSorted())
  for (const [said, acceptedAt] of model.taken) {
    const command = store.command(said.id)
    expect(command?.acceptedAt, `${said.id}: accepted at`).toBe(acceptedAt)
    const states = store.operations(command?.seq ?? 0).map(({ state }) => inShort(state))
    expect(states, said.id).toEqual(said.operations.map((_, index) => expect.toBeOneOf([...model.states(said, index, now)])))
  }
}

/**
 * Authors of whom nodes that have caught up may still think differently, though their files are the same now; all others they must
 * agree about. A command counts by when it was first accepted, and that is the word of the node that heard it: where one heard it
 * before the key was closed and another after, or not at all and nobody can vouch for a time that would do, they may differ. The same
 * goes for `valid-after` and `expiry-time`, and for nodes that knew another line of a key before it was closed, or none.
 */
export function disputed(nodes: readonly Pair[], all: readonly Pair[]): ReadonlySet<string> {
  const said = [...setsOf(saidTo(all)).values()].flat()
  const isAgreed = (author: Author): boolean => {
    const known = nodes.map(({ model }) => model.authors.get(author))
    if (known.every((one) => one === undefined || one.isRevoked)) return true
    if (new Set(known.map((one) => JSON.stringify(one?.line))).size > 1) return false
    return nodes.every(({ model }, i) =>
      said.every((one) => {
        const own = model.taken.get(one)
        const times = own === undefined ? all.flatMap((other) => other.model.taken.get(one) ?? []) : [own]
        return one.author !== author || times.some((at) => isTimely(known[i] as NonNullable<(typeof known)[number]>, at))
      })
    )
  }
  return new Set(WHO.filter((author) => !isAgreed(author)))
}

/** Whether nodes hold the same sets and want the same, but for what hangs on some authors; returns how much there was to compare. */
export function agree(nodes: readonly Pair[], all: readonly Pair[], without: ReadonlySet<string>, now: number): number {
  const said = saidTo(all)
  const [first] = nodes as [Pair]
  const sets = [...setsOf(said).values()].filter(([one]) => {
    const { author, pinset } = one as Said
    return !without.has(author) && first.model.wants(author, pinset)
  })
  for (const set of sets) {
    const { author, pinset } = set[0] as Said
    const name = { author, pinset: pinset === '' ? undefined : pinset }
    for (const { agent } of nodes) {
      const root = agent.run.sets.get(name)?.root()
      expect(root && hex(root), `${author} in ${pinset}`).toBe(rootOf(set))
    }
  }
  const registers = [...standing(said).values()]
  let wishes = 0
  for (const [i, cid] of KEYS.entries()) {
    for (const pinset of PINSETS) {
      const spoken = registers.filter((one) => one.cid === cid && one.said.pinset === pinset)
      if (spoken.length === 0 || spoken.some((one) => without.has(one.said.author))) continue
      wishes++
      const views = nodes.map(({ agent }) => agent.run.settler.view(cid, now).find((one) => one.pinset === pinset))
      const answers = views.map((view) => (view === undefined ? 'none' : `${view.want} ${view.by.rank.command} ${view.state.status}`))
      expect(new Set(answers).size, `CID ${i} in ${pinset}: ${answers.join(', ')}`).toBe(1)
      for (const { agent } of nodes) if (views[0]?.want === 'pin') expect(agent.contents(), `CID ${i}: held`).toContain(cid)
    }
  }
  return sets.length + wishes
}

function saidTo(all: readonly Pair[]): ReadonlySet<Said> {
  return new Set(all.flatMap(({ model }) => [...model.taken.keys()]))
}

function inShort(state: OperationState): string {
  switch (state.status) {
    case 'superseded':
      return `superseded ${state.by}`
    case 'refused':
      return `refused ${state.code}`
    case 'unpinned':
      return `unpinned ${state.heldBy.toSorted().join()}`
    default:
      return state.status
  }
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}
