import { multiaddr } from '@multiformats/multiaddr'
import { expect, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createPresenceTable } from '../../src/network/presence-table.ts'
import { createQueryServer, type QueryHandler } from '../../src/network/query.ts'
import { encodeAck, type OperationState } from '../../src/protocol/ack.ts'
import { sealEnvelope, type CommandId } from '../../src/protocol/envelope.ts'
import type { QueryRequest } from '../../src/protocol/query.ts'
import type { NodeId } from '../../src/protocol/ssh-key.ts'
import { createCatchUp, type CatchUp } from '../../src/sender/catch-up.ts'
import { createWords } from '../../src/sender/words.ts'
import { openLedger } from '../../src/storage/ledger.ts'
import { NETWORK, startPeer, until, within, type Peer } from '../network/helpers.ts'
import { signerOf } from '../network/presences.ts'
import { author } from '../support/author.ts'

const alice = author('alice')
const idOf = (n: number): CommandId => n.toString(16).padStart(64, '0')
const pinned: OperationState = { status: 'pinned', bytes: 1 }

/** A node that answers questions as `handler` does; it keeps what it was asked for. */
async function answering(stack: AsyncDisposableStack, handler: QueryHandler): Promise<Peer & { asked: QueryRequest[] }> {
  const peer = stack.use(await startPeer())
  const asked: QueryRequest[] = []
  const queries = createQueryServer(
    { network: NETWORK },
    {
      host: peer.host,
      clock: systemClock,
      handler: (request, from) => {
        asked.push(request)
        return handler(request, from)
      }
    }
  )
  await queries.start()
  stack.defer(() => queries.stop())
  return Object.assign(peer, { asked })
}

/** One signed word of a node on each of the commands. */
const said = async (node: Peer, states: readonly OperationState[], commands: readonly CommandId[]): Promise<Uint8Array[]> => {
  const signer = signerOf(node.host.privateKey)
  const payloads = commands.map((command, i) => encodeAck(NETWORK, { command, sequence: i + 1, time: 5, states }))
  return Promise.all(payloads.map(async (payload) => (await sealEnvelope('ack', payload, signer)).bytes))
}

interface Bench {
  readonly self: Peer
  readonly catchUp: CatchUp
  /** What the ledger has not settled at the node, once all that was heard is written. */
  unsettled(node: Peer): readonly CommandId[]
}

/** A sender's parts with `count` commands in the ledger, of which no node has said anything. */
async function bench(stack: AsyncDisposableStack, count: number, counts: (node: NodeId) => boolean = () => true): Promise<Bench> {
  const ledger = openLedger(':memory:')
  stack.defer(() => ledger.close())
  for (let n = 1; n <= count; n++) {
    const operations = [{ op: 'pin', cid: `cid${n}` }] as const
    const time = { ms: n, counter: 0 }
    ledger.record({
      id: idOf(n),
      network: NETWORK,
      author: alice.author,
      pinset: 'default',
      time,
      envelope: new Uint8Array([n]),
      operations
    })
  }
  const self = stack.use(await startPeer({ listen: [] }))
  const presence = createPresenceTable({ network: NETWORK }, { clock: systemClock })
  const words = createWords(NETWORK, { presence, ledger, clock: systemClock, announced() {} })
  stack.defer(() => words.stop())
  const catchUp = createCatchUp(
    { network: NETWORK, author: alice.author },
    { host: self.host, bus: self.bus, ledger, words, census: { counts } }
  )
  stack.defer(() => catchUp.stop())
  const unsettled = (node: Peer): readonly CommandId[] => {
    words.stop()
    return ledger.unsettled(NETWORK, alice.author, node.host.id, 1_000)
  }
  return { self, catchUp, unsettled }
}

async function link(self: Peer, node: Peer): Promise<void> {
  await self.host.libp2p.dial(multiaddr(node.address), { signal: within() })
}

test('asks whoever is linked for what is not settled there, the newest first, once a run, and keeps the answers', async () => {
  await using stack = new AsyncDisposableStack()
  const { self, catchUp, unsettled } = await bench(stack, 3)
  const nodes: Peer[] = []
  const handler: QueryHandler = async function* (request) {
    const [node] = nodes as [Peer]
    if (request.want === 'acks') yield { page: 'acks', acks: await said(node, [pinned], request.commands.slice(0, 2)) }
  }
  const node = await answering(stack, handler)
  nodes.push(node)
  catchUp.start()
  await link(self, node)
  await until('the node is asked', () => node.asked.length === 1)
  await catchUp.ask(node.host.id)
  expect(node.asked).toEqual([{ want: 'acks', network: NETWORK, commands: [idOf(3), idOf(2), idOf(1)] }])
  expect(unsettled(node)).toEqual([idOf(1)])
})

test('what is still under way there is asked for again by the next run', async () => {
  await using stack = new AsyncDisposableStack()
  const { self, catchUp, unsettled } = await bench(stack, 1)
  const nodes: Peer[] = []
  const node = await answering(stack, async function* (request) {
    if (request.want === 'acks') yield { page: 'acks', acks: await said(nodes[0] as Peer, [{ status: 'queued' }], request.commands) }
  })
  nodes.push(node)
  await link(self, node)
  await catchUp.ask(node.host.id)
  expect(node.asked).toHaveLength(1)
  expect(unsettled(node)).toEqual([idOf(1)])
})

test('who counts for nothing is not asked, nor is anybody who has settled all', async () => {
  await using stack = new AsyncDisposableStack()
  const stranger = await answering(stack, function* () {})
  const { self, catchUp } = await bench(stack, 2, (node) => node !== stranger.host.id)
  await link(self, stranger)
  await catchUp.ask(stranger.host.id)
  expect(stranger.asked).toEqual([])
  const idle = await bench(stack, 0)
  await link(idle.self, stranger)
  await idle.catchUp.ask(stranger.host.id)
  expect(stranger.asked).toEqual([])
})

test('a node that fails is asked again when somebody wants it; one that stalls ends with the sender', async () => {
  await using stack = new AsyncDisposableStack()
  const { self, catchUp } = await bench(stack, 1)
  const never = Promise.withResolvers<void>()
  stack.defer(() => never.resolve())
  let isStalling = false
  const node = await answering(stack, async function* () {
    if (isStalling) await never.promise
    yield { page: 'error', error: 'busy' } as const
  })
  await link(self, node)
  await catchUp.ask(node.host.id)
  expect(node.asked).toHaveLength(1)
  isStalling = true
  const answer = catchUp.ask(node.host.id)
  await until('it is asked again', () => node.asked.length === 2)
  await catchUp.stop()
  await answer
  await catchUp.ask(node.host.id)
  expect(node.asked).toHaveLength(2)
})
