/** What of gossip is verified at all, and how much of it at a time. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import type { RPC } from '@libp2p/gossipsub/message'
import type { PeerId, Stream } from '@libp2p/interface'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { multiaddr } from '@multiformats/multiaddr'
import { describe, expect, onTestFinished, test } from 'vitest'
import { guardIntake } from '../../src/network/gossip-intake.ts'
import { GREYLIST_AFTER_REJECTS } from '../../src/network/gossip-score.ts'
import { MAX_GOSSIP_TURN, MAX_GRAFT_BACKOFF_MS } from '../../src/protocol/limits.ts'
import { bytesOf, NETWORK, startPeer, textOf, until, within, type Peer } from './helpers.ts'
import { startRawPeer, type RawPeer } from './raw-gossip.ts'

const junk = (message: RPC.Message, n: number): RPC.Message => ({ ...message, signature: new Uint8Array(64).fill(n) })
const all = (count: number, make: (i: number) => Promise<RPC.Message>): Promise<RPC.Message[]> =>
  Promise.all(Array.from({ length: count }, (_, i) => make(i)))

/** Another peer says something, and the node has read it, and so all that came before. */
async function passed(node: Peer): Promise<void> {
  await using other = await startPeer({ listen: [], topics: [] })
  await other.host.libp2p.dial(multiaddr(node.address))
  await other.bus.publish('commands', bytesOf('passed'), { signal: within() })
  await until('it is heard', () => node.heard.some(({ bytes }) => textOf(bytes) === 'passed'))
}

const heard = (node: Peer): string[] => node.heard.map(({ bytes }) => textOf(bytes)).filter((text) => text !== 'passed')

test('what is signed with another key than nodes have is not looked at, and counts as of no use', async () => {
  let useless = 0
  await using node = await startPeer({ guard: { reads: () => true, useless: () => void useless++, cut: () => {} } })
  await using raw = await startRawPeer(node.address)
  const ed25519 = await raw.message(bytesOf('Ed25519'))
  const { key: _key, ...bare } = await raw.message(bytesOf('Ed25519 without the key'))
  const other = await generateKeyPair('Ed25519')
  const foreign = [
    await raw.message(bytesOf('RSA'), await generateKeyPair('RSA', 2_048)),
    await raw.message(bytesOf('secp256k1'), await generateKeyPair('secp256k1')),
    await raw.message(bytesOf('ECDSA'), await generateKeyPair('ECDSA')),
    { ...ed25519, signature: new Uint8Array(64), key: (await raw.message(bytesOf('x'), other)).key as Uint8Array },
    { topic: ed25519.topic }
  ]
  await raw.send([...foreign, ed25519, bare, await raw.message(bytesOf('as somebody else'), other)])
  await until('what follows is heard', () => heard(node).length >= 3)
  expect(heard(node)).toEqual(['Ed25519', 'Ed25519 without the key', 'as somebody else'])
  expect(useless).toBe(foreign.length)
})

test('what comes through a link that sends too much is not verified, and is counted', async () => {
  const useless: boolean[] = []
  await using node = await startPeer({ guard: { reads: () => false, useless: (_, isOwn) => void useless.push(isOwn), cut: () => {} } })
  await using raw = await startRawPeer(node.address)
  const other = await generateKeyPair('Ed25519')
  const messages = await all(2 * GREYLIST_AFTER_REJECTS, (i) => raw.message(bytesOf(`${i}`), ...(i % 2 === 0 ? [] : [other])))
  await raw.send(messages.map(junk))
  await until('all are counted', () => useless.length === messages.length)
  expect(useless.filter(Boolean)).toHaveLength(messages.length / 2)
})

test('a frame of wrong signatures ends at those that cost the score', async () => {
  await using node = await startPeer()
  await using raw = await startRawPeer(node.address)
  const wrong = await all(2 * MAX_GOSSIP_TURN, (i) => raw.message(bytesOf(`${i}`)))
  await raw.send([...wrong.map(junk), await raw.message(bytesOf('after'))])
  await until('the frame is there', () => raw.stream.writeBufferLength === 0)
  await passed(node)
  expect(heard(node)).toEqual([])
})

interface Sending {
  readonly node: Peer
  readonly raw: RawPeer
  readonly texts: readonly string[]
  /** The most messages that were judged in one turn of the event loop. */
  readonly most: number
  /** How the node's end of the stream was while messages were judged. */
  readonly states: ReadonlySet<string>
  stream(): Stream
}

/** A peer that sends a node so many frames at once. */
async function sending(frames: number, each: number): Promise<Sending> {
  let [now, most, isOver] = [0, 0, false]
  const turn = (): void => {
    now = 0
    if (!isOver) setImmediate(turn)
  }
  const states = new Set<string>()
  const node = await startPeer({
    verdict: () => {
      most = Math.max(most, ++now)
      states.add(stream().readStatus)
      return 'ignore'
    }
  })
  const raw = await startRawPeer(node.address)
  const stream = (): Stream => {
    const streams = node.host.libp2p.getConnections().flatMap((link) => link.streams)
    return streams.find(({ protocol, direction }) => protocol === raw.stream.protocol && direction === 'inbound') as Stream
  }
  onTestFinished(async () => {
    isOver = true
    await raw[Symbol.asyncDispose]()
    await node[Symbol.asyncDispose]()
  })
  const messages = await all(frames * each, (i) => raw.message(bytesOf(`${i}`)))
  turn()
  for (let i = 0; i < frames; i++) await raw.send(messages.slice(i * each, (i + 1) * each))
  return {
    node,
    raw,
    texts: messages.map(({ data = new Uint8Array() }) => textOf(data)),
    get most() {
      return most
    },
    states,
    stream
  }
}

test.each([
  [2, 500],
  [1_000, 1]
])('%i frames of %i messages are read in order, a few in each turn, and what follows waits at its sender', async (frames, each) => {
  const it = await sending(frames, each)
  await until('all are heard', () => it.node.heard.length === it.texts.length)
  expect(heard(it.node)).toEqual(it.texts)
  expect(it.most).toBe(MAX_GOSSIP_TURN)
  expect(it.states).toContain('paused')
  await until('its stream goes on', () => it.stream().readStatus === 'readable')
})

test('what was sent before the stream was closed is read', async () => {
  const { node, raw, texts } = await sending(4, 250)
  await raw.stream.close()
  await until('all are heard', () => node.heard.length === texts.length)
  expect(heard(node)).toEqual(texts)
})

describe('control messages', () => {
  const topic = `/pinsub/1/${NETWORK}/acks`
  const control = {
    ihave: [{ topicID: topic, messageIDs: [Uint8Array.of(1)] }],
    iwant: [{ messageIDs: [Uint8Array.of(2)] }],
    graft: [{ topicID: topic }],
    prune: [9_000_000_000_000, MAX_GRAFT_BACKOFF_MS / 1_000, 10, undefined].map((backoff) => ({
      topicID: topic,
      peers: [],
      ...(backoff === undefined ? {} : { backoff })
    })),
    idontwant: []
  }

  /** What gossipsub is handed of them, and which promises are left. */
  async function taken(
    reads: boolean
  ): Promise<{ control: RPC.ControlMessage | undefined; promises: ReadonlyMap<string, Map<string, number>> }> {
    const from = peerIdFromPrivateKey(await generateKeyPair('Ed25519'))
    const promises = new Map([['message', new Map(Object.entries({ [from.toString()]: 1, other: 1 }))]])
    const frames: RPC[] = []
    const gossip = {
      handleReceivedRpc: async (_from: PeerId, rpc: RPC): Promise<void> => void frames.push(rpc),
      score: { score: () => 0 },
      fastMsgIdCache: new Map<string, string>(),
      gossipTracer: { promises }
    }
    guardIntake(gossip, [topic], { guard: { reads: () => reads, useless: () => {}, cut: () => {} }, hold: () => {} })
    await gossip.handleReceivedRpc(from, { subscriptions: [], messages: [], control })
    return { control: frames[0]?.control, promises }
  }

  test('a peer asks not to be grafted for a minute at most', async () => {
    const { control: handed } = await taken(true)
    expect(handed?.prune.map(({ backoff }) => backoff)).toEqual([60, 60, 10, undefined])
    expect({ ...handed, prune: [] }).toEqual({ ...control, prune: [] })
  })

  test('nothing is asked of a peer that sends too much, and what was asked is not held against it', async () => {
    const { control: handed, promises } = await taken(false)
    expect([handed?.ihave, handed?.iwant]).toEqual([[], control.iwant])
    expect([...(promises.get('message')?.keys() ?? [])]).toEqual(['other'])
  })
})
