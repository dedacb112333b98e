/**
 * Whoever stands outside and works on a network: says any operations as any author, hears every ack, asks nodes for their command
 * sets, and serves blocks. The sender says only pins and unpins and keeps only the newest ack of each node.
 */
import type { Libp2p } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { createExchange } from '../../src/content/exchange.ts'
import { blockKey } from '../../src/content/multihash.ts'
import { freshHostKey } from '../../src/identity/host-key.ts'
import { createBus } from '../../src/network/bus.ts'
import { systemClock } from '../../src/network/clock.ts'
import { createHost } from '../../src/network/host.ts'
import { query } from '../../src/network/query.ts'
import { IDLE_MS, openFrames } from '../../src/network/streams.ts'
import { createAsker } from '../../src/network/sync-asker.ts'
import { SYNC_PROTOCOL } from '../../src/network/sync-server.ts'
import { decodeAck, type Ack } from '../../src/protocol/ack.ts'
import { encodeCommand, type CommandInit } from '../../src/protocol/command.ts'
import { commandId, openEnvelope, sealEnvelope, verifyEnvelope, type CommandId } from '../../src/protocol/envelope.ts'
import { MAX_PAGE_BYTES } from '../../src/protocol/limits.ts'
import { tick, type Hlc } from '../../src/protocol/order.ts'
import { decodePresence, type Presence } from '../../src/protocol/presence.ts'
import type { Signer } from '../../src/protocol/signature.ts'
import type { Author, NodeId } from '../../src/protocol/ssh-key.ts'
import type { SetDigest } from '../../src/protocol/sync/digest.ts'
import type { TestBlock } from './dags.ts'

/** An operation that a command may be made with. */
export type Sayable = CommandInit['operations'][number]

/** A command that was said. */
export interface Said {
  readonly id: CommandId
  readonly author: Author
  readonly pinset: string
  readonly time: Hlc
  readonly operations: readonly Sayable[]
  readonly envelope: Uint8Array
}

/** One operator. */
export interface Operator extends AsyncDisposable {
  /** Where its blocks can be had: a multiaddr with /p2p. */
  readonly origin: string
  /** Dials a node (multiaddr with /p2p) and waits until it takes commands and tells its acks. Gives up within 10 s. */
  link(address: string): Promise<NodeId>
  /** Signs a command that is later than all it signed before, in the pinset `default` unless said. */
  sign(signer: Signer, operations: readonly Sayable[], pinset?: string): Promise<Said>
  /** Hands a command to all that are linked, at least one; again, too. */
  publish(said: Said): Promise<void>
  /** Signs and publishes. */
  say(signer: Signer, operations: readonly Sayable[], pinset?: string): Promise<Said>
  /** Called with each ack that is heard, and its bytes; the returned function ends that. */
  onAck(listener: (ack: Ack, bytes: Uint8Array) => void): () => void
  /** Resolves once each of these nodes has said anything but a refusal of each command; rejects after `ms`, with who did not. */
  accepted(said: readonly Said[], nodes: readonly NodeId[], ms: number): Promise<void>
  /** The command sets that a node holds at this moment, in order: of a linked one by its id, of any by its multiaddr. */
  sets(target: NodeId | string): Promise<readonly SetDigest[]>
  /** What a node says of itself when asked. */
  presence(target: NodeId | string): Promise<Presence>
  /** Serves these blocks from now on. */
  provide(blocks: readonly TestBlock[]): void
  /** Called with the key of each block that was handed to somebody. */
  onServed(listener: (key: string) => void): void
}

const LINK_MS = 10_000

/** Starts one for a network; `listen` is where its blocks are served, a free port of 127.0.0.1 unless said. */
export async function createOperator(options: { readonly network: string; readonly listen?: string }): Promise<Operator> {
  const { network, listen = '/ip4/127.0.0.1/tcp/0' } = options
  const host = await createHost({ privateKey: await freshHostKey(), listen: [listen] })
  const bus = createBus({ network }, { host, clock: systemClock })
  const ackListeners = new Set<(ack: Ack, bytes: Uint8Array) => void>()
  const servedListeners = new Set<(key: string) => void>()
  const blocks = new Map<string, Uint8Array>()
  /** Command → nodes that took it. */
  const takers = new Map<CommandId, Set<NodeId>>()
  let last: Hlc | undefined
  /** Where it linked to last. */
  let linked: string | undefined

  bus.handle('acks', ({ bytes }) => {
    const envelope = openEnvelope(bytes)
    if (envelope.kind !== 'ack') return 'ignore'
    const ack = decodeAck(verifyEnvelope(envelope), network)
    if (ack.states.some(({ status }) => status !== 'refused')) {
      takers.set(ack.command, (takers.get(ack.command) ?? new Set()).add(ack.node))
    }
    ackListeners.forEach((listener) => listener(ack, bytes))
    // An operator is no part of the network: what it hears goes no further.
    return 'ignore'
  })
  await host.start()
  await bus.start()
  const exchange = createExchange({
    libp2p: host.libp2p as Libp2p,
    blocks: {
      size: async ({ multihash }) => blocks.get(blockKey(multihash))?.byteLength,
      async read({ multihash }) {
        const key = blockKey(multihash)
        const bytes = blocks.get(key)
        if (bytes !== undefined) servedListeners.forEach((listener) => listener(key))
        return bytes
      }
    }
  })
  await exchange.start()

  const link = async (address: string): Promise<NodeId> => {
    const signal = AbortSignal.timeout(LINK_MS)
    const peer = (await host.libp2p.dial(multiaddr(address), { signal })).remotePeer.toString()
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (!bus.subscribers('commands').includes(peer) || !bus.subscribers('acks').includes(peer)) return
        stop()
        resolve()
      }
      const stop = bus.onSubscribe(look)
      signal.addEventListener('abort', () => {
        stop()
        reject(new Error(`${address} takes no commands of ${network}`))
      })
      look()
    })
    linked = address
    return peer
  }

  const sign: Operator['sign'] = async (signer, operations, pinset = 'default') => {
    const time = (last = tick(last, Date.now()))
    const { bytes, payload } = await sealEnvelope('command', encodeCommand({ network, pinset, time, operations }, signer.blob), signer)
    return { id: commandId(payload), author: signer.author, pinset, time, operations, envelope: bytes }
  }

  const publish = async ({ envelope }: Said): Promise<void> => {
    // A node that is busy for seconds takes its peers for dead and hangs up.
    if (bus.subscribers('commands').length === 0 && linked !== undefined) await link(linked)
    await bus.publish('commands', envelope, { signal: AbortSignal.timeout(LINK_MS) })
  }

  return {
    origin: host.addresses()[0] as string,
    link,
    sign,
    publish,
    async say(signer, operations, pinset) {
      const said = await sign(signer, operations, pinset)
      await publish(said)
      return said
    },
    onAck(listener) {
      ackListeners.add(listener)
      return () => ackListeners.delete(listener)
    },
    accepted: (said, nodes, ms) =>
      new Promise((resolve, reject) => {
        const missing = (): Said[] => said.filter(({ id }) => nodes.some((node) => takers.get(id)?.has(node) !== true))
        const look = (): void => {
          if (missing().length === 0) end(resolve)
        }
        const end = (settle: () => void): void => {
          clearTimeout(timer)
          ackListeners.delete(look)
          settle()
        }
        const timer = setTimeout(() => {
          end(() => reject(new Error(`${missing().length} of ${said.length} commands were not accepted by all of ${nodes} in ${ms} ms`)))
        }, ms)
        ackListeners.add(look)
        look()
      }),
    async sets(target) {
      const signal = AbortSignal.timeout(LINK_MS)
      const limits = { protocol: SYNC_PROTOCOL, maxFrame: MAX_PAGE_BYTES, idleMs: IDLE_MS }
      const { frames, finish } = await openFrames(host, target, { ...limits, clock: systemClock, signal })
      let isWhole = false
      try {
        const asker = createAsker({ target, network }, { frames, clock: systemClock })
        const { sets } = await asker.sets([])
        await asker.end()
        isWhole = true
        return sets
      } finally {
        finish(isWhole)
      }
    },
    async presence(target) {
      for await (const page of query(host, target, { want: 'hello', network }, { signal: AbortSignal.timeout(LINK_MS) })) {
        const [own] = page.page === 'hello' ? page.presences : []
        if (own !== undefined) return decodePresence(verifyEnvelope(openEnvelope(own)), network)
      }
      throw new Error(`${target} said nothing of itself`)
    },
    provide(added) {
      for (const { cid, bytes } of added) {
        blocks.set(blockKey(cid.multihash), bytes)
        exchange.announce(cid)
      }
    },
    onServed: (listener) => void servedListeners.add(listener),
    async [Symbol.asyncDispose]() {
      await exchange.stop()
      await bus.stop()
      await host.stop()
    }
  }
}
