/** Honest nodes with different files, clocks and versions forward for each other for an hour, and none is held to blame for anything. */
import * as dagCbor from '@ipld/dag-cbor'
import { PeerScore } from '@libp2p/gossipsub/score'
import { afterEach, expect, test, vi } from 'vitest'
import { gossipScore } from '../../src/network/gossip-score.ts'
import { createLinkGuard, type LinkGuard } from '../../src/network/link-guard.ts'
import { createPresenceTable, type PresenceTable } from '../../src/network/presence-table.ts'
import { createReplyJudge, verdictOf } from '../../src/node/gossip.ts'
import { createKnownNodes } from '../../src/node/known-nodes.ts'
import { createStrangerWords } from '../../src/node/stranger-words.ts'
import { encodeAck, type OperationState } from '../../src/protocol/ack.ts'
import { sealEnvelope, type CommandId } from '../../src/protocol/envelope.ts'
import type { Grant } from '../../src/protocol/grants.ts'
import { encodePresence } from '../../src/protocol/presence.ts'
import type { Signer } from '../../src/protocol/signature.ts'
import { nodeIdOf } from '../../src/protocol/ssh-key.ts'
import type { Heard, Verdict } from '../../src/network/bus.ts'
import { createAgentCore, type AgentCore } from '../support/agent-core.ts'
import { author, cidOf, command, grantOf } from '../support/author.ts'

const [alice, bob, carol] = [author('alice'), author('bob'), author('carol')]
const MINUTE = 60_000
/** One command in two seconds; what a node acks, it acks at once. */
const STEP_MS = 2_000
const STEPS = 3_600_000 / STEP_MS
const TOPICS = ['commands', 'acks']

interface Honest {
  readonly id: string
  readonly signer: Signer
  readonly core: AgentCore
  readonly guard: LinkGuard
  readonly presence: PresenceTable
  /** What it makes of its peers. */
  readonly score: PeerScore
  readonly verdicts: Record<string, number>
  judge(topic: string, message: Heard): Verdict
}

const stack = new DisposableStack()
afterEach(() => {
  stack.dispose()
  vi.useRealTimers()
})

/** A field that a later version may add. */
const withMore = (payload: Uint8Array): Uint8Array => dagCbor.encode({ ...dagCbor.decode<object>(payload), later: [1, { deep: true }] })

async function createHonest(
  name: string,
  grants: readonly Grant[],
  aheadMs: number,
  cut: string[],
  known: readonly Signer[]
): Promise<Honest> {
  const core = stack.use(createAgentCore())
  core.clock.advance(aheadMs)
  await core.authorise(grants)
  const signer = author(name)
  const knownNodes = createKnownNodes(known.map(({ blob }) => nodeIdOf(blob)))
  const { clock } = core
  const presence = createPresenceTable({ network: 'net', isKnown: knownNodes.has }, { clock })
  const judgeReply = createReplyJudge('net', {
    presence,
    intake: core.intake,
    strangers: createStrangerWords({ known: knownNodes, clock })
  })
  const { scoreParams } = gossipScore(TOPICS)
  const logger = { forComponent: () => Object.assign(() => {}, { error() {}, trace() {} }) }
  const score = new PeerScore({ ...PARAMS, ...scoreParams } as never, null, logger as never, { scoreCacheValidityMs: 0 })
  const verdicts: Record<string, number> = {}
  return {
    id: nodeIdOf(signer.blob),
    signer,
    core,
    presence,
    score,
    verdicts,
    // Nobody is known to the guard: it would cut off anybody.
    guard: createLinkGuard({ clock, isKnown: () => false, shun: (peer) => cut.push(`${peer} by ${name}`) }),
    judge(topic, message) {
      const verdict = topic === 'commands' ? verdictOf(core.intake.judge(message.bytes, message.from)) : judgeReply(message)
      verdicts[verdict] = (verdicts[verdict] ?? 0) + 1
      return verdict
    }
  }
}

/** gossipsub's own, where we say nothing. */
const PARAMS = {
  topicScoreCap: 10,
  appSpecificScore: () => 0,
  appSpecificWeight: 0,
  IPColocationFactorThreshold: 5,
  IPColocationFactorWhitelist: new Set(),
  decayInterval: 1_000,
  decayToZero: 0.1
}

test('an hour of traffic', async () => {
  vi.useFakeTimers({ toFake: ['Date'], now: 1_700_000_000_000 })
  const cut: string[] = []
  const signers = ['one', 'two', 'three', 'four', 'five', 'six'].map(author)
  const nodes = [
    await createHonest('one', [grantOf(alice), grantOf(bob), grantOf(carol)], 10 * MINUTE, cut, signers),
    await createHonest('two', [grantOf(alice)], 20 * MINUTE, cut, []),
    await createHonest('three', [grantOf(bob)], 0, cut, signers.slice(0, 2)),
    await createHonest('four', [grantOf(alice, { pinsets: ['blog-*'] }), grantOf(bob)], 13 * MINUTE, cut, signers),
    await createHonest('five', [grantOf(carol, { expiryTime: 1_700_000_000_000 + 40 * MINUTE }), grantOf(alice)], 8 * MINUTE, cut, []),
    await createHonest('six', [], 10 * MINUTE, cut, signers)
  ]
  for (const node of nodes) {
    for (const other of nodes) if (other !== node) node.score.addPeer(other.id)
  }

  /** From a peer to all, each of which passes on what it accepts; a node hears it first from one and again from the others. */
  const spread = (topic: string, bytes: Uint8Array, from: string, first: readonly Honest[]): void => {
    const name = `${Math.random()}`
    const seen = new Set<Honest>()
    const queue = first.map((to) => ({ to, via: from }))
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const { to, via } = next
      if (to.id === from) continue
      if (seen.has(to)) {
        to.score.duplicateMessage(via, name, topic)
        continue
      }
      seen.add(to)
      to.score.validateMessage(name)
      expect(to.guard.reads(via)).toBe(true)
      const verdict = to.judge(topic, { bytes, from, via })
      if (verdict === 'reject') to.score.rejectMessage(via, name, topic, 'reject' as never)
      if (verdict === 'ignore') to.guard.useless(via, via === from)
      if (verdict !== 'accept') continue
      to.score.deliverMessage(via, name, topic)
      for (const other of nodes) if (other !== to) queue.push({ to: other, via: to.id })
    }
  }

  const sequences = new Map<string, number>()
  const next = (node: Honest): number => {
    const sequence = (sequences.get(node.id) ?? 0) + 1
    sequences.set(node.id, sequence)
    return sequence
  }
  const ackOf = async (node: Honest, id: CommandId, states: readonly OperationState[], isLater: boolean): Promise<Uint8Array> => {
    const payload = encodeAck('net', { command: id, sequence: next(node), time: node.core.clock.now(), states })
    return (await sealEnvelope('ack', isLater ? withMore(payload) : payload, node.signer)).bytes
  }
  const presenceOf = async (node: Honest, isLater: boolean): Promise<Uint8Array> => {
    const backend = { kind: 'helia', up: true, addresses: [] } as const
    const presence = { addresses: [], tags: {}, queue: 0, version: 'pinsub/9', backend, sequence: next(node), time: node.core.clock.now() }
    const payload = encodePresence('net', presence)
    return (await sealEnvelope('presence', isLater ? withMore(payload) : payload, node.signer)).bytes
  }

  const old: { id: CommandId; bytes: Uint8Array }[] = []
  for (let step = 0; step < STEPS; step++) {
    vi.setSystemTime(Date.now() + STEP_MS)
    for (const { core } of nodes) core.clock.advance(STEP_MS)
    const signer = [alice, bob, carol][step % 3] as Signer
    const cid = cidOf(`${step % 200}`)
    const later =
      step % 5 === 0
        ? [
            { op: 'bless', cid: cidOf('more'), by: ['whom'] },
            { op: 'unpin', cid: cidOf('other'), softly: true }
          ]
        : []
    const operations = [{ op: 'unpin', cid } as const, ...later] as never
    // Clocks of senders differ as those of nodes do.
    const time = { ms: Date.now() + ((step % 5) - 2) * 5 * MINUTE, counter: step }
    const said = await command(signer, { operations, time, pinset: step % 2 === 0 ? 'blog-a' : 'site' })
    old.push(said)
    // A sender is linked to some of the nodes, and is another peer each time.
    spread('commands', said.bytes, `sender ${step}`, nodes.slice(step % 3, (step % 3) + 3))
    if (step % 10 === 0) spread('commands', (old[Math.floor(step / 2)] as { bytes: Uint8Array }).bytes, `sender ${step} again`, nodes)
    for (const node of nodes) {
      node.core.clock.advance(0)
      if (node.core.intake.knows(said.id)) {
        spread('acks', await ackOf(node, said.id, node.core.states(said.id), step % 7 === 0), node.id, nodes)
      }
      for (const { id, states } of node.core.answers.splice(0)) spread('acks', await ackOf(node, id, states, false), node.id, nodes)
      if (step % 15 === 0) spread('acks', await presenceOf(node, step % 2 === 0), node.id, nodes)
      if (step % 15 === 0) node.score.refreshScores()
    }
  }

  expect(cut).toEqual([])
  for (const node of nodes) {
    expect(node.verdicts['reject'], JSON.stringify(node.core.intake.counts())).toBeUndefined()
    expect(node.verdicts['ignore']).toBeGreaterThan(0)
    for (const other of nodes) expect(node.score.score(other.id)).toBeGreaterThanOrEqual(0)
  }
  const reasons = nodes.flatMap(({ core }) => Object.keys(core.intake.counts()))
  expect(new Set(reasons)).toEqual(
    new Set(['accept', 'ignore: duplicate', 'ignore: unauthorised', 'ignore: skew', 'ignore: pinset', 'ignore: expired'])
  )

  // What nobody can accept does cost something.
  const [one, two] = nodes as [Honest, Honest]
  spread('commands', new Uint8Array([1]), two.id, [one])
  expect(one.score.score(two.id)).toBeLessThan(0)
}, 60_000)
