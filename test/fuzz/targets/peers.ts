/** Frames that others decode for us: what a peer writes into the streams of gossipsub and bitswap, as our own host takes it. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { RPC as GossipRpc } from '@libp2p/gossipsub/message'
import type { Connection, Stream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import type { CID } from 'multiformats/cid'
import { freshHostKey } from '../../../src/identity/host-key.ts'
import { BITSWAP, MESSAGE } from '../../../src/content/bitswap.ts'
import { createExchange } from '../../../src/content/exchange.ts'
import { RPC } from '../../../src/network/gossip-streams.ts'
import { createHost, type Host } from '../../../src/network/host.ts'
import { InvalidMessageError } from '../../../src/protocol/errors.ts'
import { MAX_BITSWAP_FIELDS, MAX_GOSSIP_FIELDS } from '../../../src/protocol/limits.ts'
import { createFieldCounter, type Shape } from '../../../src/protocol/protobuf-frames.ts'
import { LOOPBACK, NETWORK, startPeer, until, within } from '../../network/helpers.ts'
import { cidOf } from '../../support/author.ts'
import { delimited, message } from '../mutate-protobuf.ts'
import { requireSame, utf8, type Target } from '../target.ts'

const PING = '/ipfs/ping/1.0.0'
/** Inputs between two looks whether others are still served, and those that one peer brings before another takes its place. */
const PER_LOOK = 16
const PER_PEER = 64

/** What is attacked, and how others see that it is still there. */
interface Victim {
  readonly address: string
  /** Something honest goes all the way. */
  serve(): Promise<void>
  stop(): Promise<void>
}

/** A peer with a link to the victim, and a stream on which it hears what it said last. */
interface Attacker {
  readonly host: Host
  readonly link: Connection
  readonly echo: Stream
}

async function startAttacker(address: string, protocol: string): Promise<Attacker> {
  const host = await createHost({ privateKey: await freshHostKey(), listen: [] })
  await host.start()
  await host.libp2p.handle(protocol, (stream) => stream.addEventListener('message', () => undefined))
  const link = await host.libp2p.dial(multiaddr(address))
  return { host, link, echo: await link.newStream(PING) }
}

interface Protocol {
  readonly name: string
  readonly shape: Shape
  readonly mostFields: number
}

/** Writes an input into a stream of its own, each time, and waits until what the same peer said behind it was read. */
function attackOn(
  { name, shape, mostFields }: Protocol,
  start: () => Promise<Victim>
): Pick<Target, 'run'> & Required<Pick<Target, 'stop'>> {
  let running: Promise<Victim> | undefined
  let attacker: Attacker | undefined
  let runs = 0

  /** Resolves when it is read, or the link is cut. */
  const send = async (bytes: Uint8Array, { link, echo }: Attacker): Promise<void> => {
    try {
      const stream = await link.newStream(name, { signal: within() })
      if (!stream.send(bytes)) await stream.onDrain({ signal: within() })
      await stream.close({ signal: within() })
      const answer = once(echo, 'message', { signal: within() })
      echo.send(new Uint8Array(32))
      await answer
    } catch (err) {
      if (link.status === 'open') throw err
    }
  }

  return {
    async run(bytes) {
      running ??= start()
      const victim = await running
      if (attacker?.echo.status !== 'open' || runs % PER_PEER === 0) {
        await attacker?.host.stop()
        attacker = await startAttacker(victim.address, name)
      }
      await send(bytes, attacker)
      if (runs++ % PER_LOOK === 0) await victim.serve()
      return outcomeOf(() => createFieldCounter(shape, mostFields).take(bytes))
    },
    async stop() {
      await attacker?.host.stop()
      await (await running)?.stop()
      attacker = undefined
      running = undefined
    }
  }
}

async function startBus(): Promise<Victim> {
  const [node, honest] = [await startPeer({ verdict: () => 'ignore' }), await startPeer({ listen: [] })]
  await honest.host.libp2p.dial(multiaddr(node.address))
  return {
    address: node.address,
    async serve() {
      node.heard.length = 0
      await honest.bus.publish('commands', utf8('honest'), { signal: within() })
      await until('an honest message is heard', () => node.heard.some(({ from }) => from === honest.host.id))
    },
    async stop() {
      await honest[Symbol.asyncDispose]()
      await node[Symbol.asyncDispose]()
    }
  }
}

async function startExchanges(): Promise<Victim> {
  const [host, honest] = await Promise.all([[LOOPBACK], []].map(async (listen) => createHost({ privateKey: await freshHostKey(), listen })))
  assert.ok(host !== undefined && honest !== undefined)
  await Promise.all([host.start(), honest.start()])
  const here = new Map<string, Uint8Array>()
  const blocks = { size: async (cid: CID) => here.get(cid.toString())?.byteLength, read: async (cid: CID) => here.get(cid.toString()) }
  const served = createExchange({ libp2p: host.libp2p, blocks })
  const asking = createExchange({ libp2p: honest.libp2p, blocks: { size: async () => undefined, read: async () => undefined } })
  await Promise.all([served.start(), asking.start()])
  const [address = ''] = host.addresses()
  await honest.libp2p.dial(multiaddr(address))
  let n = 0
  return {
    address,
    async serve() {
      const text = `block ${n++}`
      here.clear()
      here.set(cidOf(text).toString(), utf8(text))
      requireSame(await asking.fetch(cidOf(text), within(10_000)), utf8(text))
    },
    async stop() {
      await asking.stop()
      await served.stop()
      await honest.stop()
      await host.stop()
    }
  }
}

const topic = `/pinsub/1/${NETWORK}/commands`
const ids = [1, 2, 3].map((id) => [2, new Uint8Array(20).fill(id)] as const)
const wanted = ids.map(([, id]) => [1, id] as const)
const RPCS = [
  message([1, message([1, 1], [2, topic])], [1, message([1, 0], [2, 'elsewhere'])]),
  message([2, message([1, new Uint8Array(38)], [2, utf8('data')], [3, new Uint8Array(8)], [4, topic], [5, new Uint8Array(64)])]),
  message([3, message([1, message([1, topic], ...ids)], [2, message(...wanted)])]),
  message([
    3,
    message([3, message([1, topic])], [4, message([1, topic], [2, message([1, new Uint8Array(38)])], [3, 60])], [5, message(...wanted)])
  ])
].map(delimited)

const cid = cidOf('x').bytes
const PREFIX = Uint8Array.of(1, 0x55, 0x12, 0x20)
const MESSAGES = [
  message([1, message([1, message([1, cid], [2, 1], [4, 1], [5, 1])], [1, message([1, cidOf('y').bytes], [2, 1])], [2, 1])]),
  message([1, message([1, message([1, cid], [3, 1])])], [3, message([1, PREFIX], [2, utf8('x')])], [5, 7]),
  message([4, message([1, cid], [2, 1])], [4, message([1, cidOf('y').bytes])])
].map(delimited)

function outcomeOf<T>(work: () => T): T | Error {
  try {
    return work()
  } catch (err) {
    return err as Error
  }
}

/** Frames within bytes, as the counter takes them. */
function gossipIn(bytes: Uint8Array): readonly Uint8Array[] {
  const frames: Uint8Array[] = []
  for (let at = 0; at < bytes.byteLength;) {
    let length = 0
    for (let shift = 1; at < bytes.byteLength; shift *= 128) {
      const byte = bytes[at++] as number
      length += (byte & 0x7f) * shift
      if (byte < 0x80) break
    }
    if (at + length > bytes.byteLength) break
    frames.push(bytes.subarray(at, (at += length)))
  }
  return frames
}

const MOST_FIELDS = 64

/** A decoder finds no more in what the counter lets through than the counter did, whatever the pieces in which it came. */
function countGossip(bytes: Uint8Array): number {
  const [whole, pieces] = [createFieldCounter(RPC, MOST_FIELDS), createFieldCounter(RPC, MOST_FIELDS)]
  const size = 3 + (bytes.byteLength >> 8)
  const inPieces = outcomeOf(() => {
    for (let at = 0; at < bytes.byteLength; at += size) pieces.take(bytes.subarray(at, at + size))
  })
  const atOnce = outcomeOf(() => whole.take(bytes))
  requireSame(String(inPieces), String(atOnce))
  if (atOnce !== undefined) throw atOnce
  let most = 0
  for (const frame of gossipIn(bytes)) {
    const rpc = outcomeOf(() => GossipRpc.decode(frame))
    if (rpc instanceof Error) continue
    const fields = fieldsOf(rpc)
    assert.ok(fields <= MOST_FIELDS)
    most = Math.max(most, fields)
  }
  return most
}

function fieldsOf({ subscriptions, messages, control }: GossipRpc): number {
  const { ihave = [], iwant = [], graft = [], prune = [], idontwant = [] } = control ?? {}
  const inside =
    [...ihave, ...iwant, ...idontwant].flatMap(({ messageIDs }) => messageIDs).length + prune.flatMap(({ peers }) => peers).length
  return [subscriptions, messages, ihave, iwant, graft, prune, idontwant].reduce((sum, { length }) => sum + length, inside)
}

const gossip = { name: '/meshsub/1.2.0', shape: RPC, mostFields: MAX_GOSSIP_FIELDS }
const bitswap = { name: BITSWAP, shape: MESSAGE, mostFields: MAX_BITSWAP_FIELDS }

/** What peers write to parts that are not ours. */
export const PEERS: readonly Target[] = [
  { name: 'protobuf-fields', form: 'protobuf', errors: [InvalidMessageError], seeds: [...RPCS, ...MESSAGES], cost: 50, run: countGossip },
  { name: 'gossip-frames', form: 'protobuf', errors: [], seeds: RPCS, cost: 100, ...attackOn(gossip, startBus) },
  { name: 'bitswap-messages', form: 'protobuf', errors: [], seeds: MESSAGES, cost: 100, ...attackOn(bitswap, startExchanges) }
]
