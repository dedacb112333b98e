/** Composition root of a sender: a host that listens nowhere, the bus, the ledger, and the sends that share them. */
import { generateKeyPair } from '@libp2p/crypto/keys'
import { multiaddr } from '@multiformats/multiaddr'
import { openKey } from '../identity/open-key.ts'
import { readSwarmKey } from '../identity/swarm-key-file.ts'
import { peerIn } from '../network/addresses.ts'
import { createBus } from '../network/bus.ts'
import { systemClock } from '../network/clock.ts'
import { createHost } from '../network/host.ts'
import { createLinks } from '../network/links.ts'
import { createPresenceTable } from '../network/presence-table.ts'
import { query } from '../network/query.ts'
import { onRefusal } from '../network/refusals.ts'
import { parseCid } from '../protocol/cid.ts'
import type { Clock } from '../protocol/clock.ts'
import { openEnvelope, verifyEnvelope } from '../protocol/envelope.ts'
import { MAX_OFFERED_AGAIN, MAX_QUERY_COMMANDS } from '../protocol/limits.ts'
import { laterHlc } from '../protocol/order.ts'
import type { Signer } from '../protocol/signature.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { openLedger } from '../storage/ledger.ts'
import { addPath } from './add.ts'
import { adminEvents, adminItems, whereMay, type AdminPorts } from './admin.ts'
import { createCatchUp } from './catch-up.ts'
import { createCensus } from './census.ts'
import { readClocks, type Clocks } from './clock-hints.ts'
import { createRollCall } from './roll-call.ts'
import { createSurvey } from './survey.ts'
import { SenderError } from './errors.ts'
import type { Ledger } from './ledger.ts'
import { listNodes } from './node-list.ts'
import { itemsOf, send, type Item, type SendingPorts } from './sending.ts'
import type {
  AddEvent,
  AddOptions,
  AdminEvent,
  AdminRequest,
  NodeEvent,
  Op,
  Outcome,
  PinEvent,
  Reached,
  SendEvent,
  SendOptions,
  StatusEvent,
  StatusOptions
} from './types.ts'
import { createWords } from './words.ts'

/** What a sender is made of. */
export interface SenderOptions {
  readonly network: string
  /**
   * Signs the commands: an OpenSSH Ed25519 key file (0600) without a passphrase, `agent:COMMENT` or `agent:SHA256:…` for a key of
   * ssh-agent, or whoever can sign; `openKey` makes a signer of a file with a passphrase.
   */
  readonly key: string | Signer
  /** Multiaddrs of nodes to begin with. */
  readonly bootstrap: readonly string[]
  /** Peer ids of the nodes that count as replicas, and no others do; unless given all count, and nobody vouches for them. */
  readonly knownNodes?: Iterable<NodeId>
  /** File in which what was sent is remembered; in memory unless given. */
  readonly ledger?: string
  /** Software name told to peers. */
  readonly userAgent?: string
  /** File (0600) with the key of a private network, in Kubo's format; unless given, one that all can join. */
  readonly swarmKey?: string
}

/** Signs and publishes commands and counts who holds what. One libp2p identity of its own, made fresh. */
export interface Sender {
  /** Fingerprint of the key it signs with. */
  readonly author: string
  /** Dials the bootstrap addresses; resolves with the first that answers. Rejects with `SenderError` `no-node` when none does. */
  connect(options?: { readonly signal?: AbortSignal }): Promise<Reached>
  /** Asks the network to hold CIDs (`CID`, `/ipfs/CID`, `ipfs://CID`). Connects first where that was not done. */
  pin(cids: readonly string[], options?: SendOptions): AsyncGenerator<SendEvent, Outcome>
  /** Asks the network to let go of CIDs. */
  unpin(
    cids: readonly string[],
    options?: Pick<SendOptions, 'pinset' | 'wait' | 'timeout' | 'detach' | 'signal'>
  ): AsyncGenerator<SendEvent, Outcome>
  /** Says something of keys or nodes to every node; counts where the key that signs is an admin (docs/PROTOCOL.md, section 10). */
  admin(requests: readonly AdminRequest[], options?: Pick<SendOptions, 'wait' | 'timeout' | 'signal'>): AsyncGenerator<AdminEvent, Outcome>
  /** Of each node that counts and is there, whether the key of a blob may command it. Connects first where that was not done. */
  whereMay(blob: Uint8Array, options?: { readonly signal?: AbortSignal }): Promise<ReadonlyMap<string, boolean>>
  /** Imports a file or folder, asks the network to hold it, and serves it until that is done. */
  add(path: string, options?: AddOptions): AsyncGenerator<AddEvent, Outcome>
  /** How the nodes stand with CIDs, or with all that is wanted; asks each, and falls back on what it said last. */
  status(cids?: readonly string[], options?: StatusOptions): AsyncGenerator<StatusEvent>
  /** What is wanted on the network. */
  pins(options?: Pick<StatusOptions, 'pinset' | 'onLeftOut' | 'signal'>): Promise<readonly PinEvent[]>
  /** The nodes of the network, known ones that are silent too. */
  nodes(): readonly NodeEvent[]
  /**
   * Resolves once all nodes that are there have announced themselves since this sender came, at the latest after a second and a half:
   * what `nodes` tells of how far each is behind is then of one moment.
   */
  rollCall(options?: { readonly signal?: AbortSignal }): Promise<void>
  /**
   * By how much the clocks of the nodes are ahead of this machine's, milliseconds, negative where they are behind: the median of those
   * that count and are there; undefined where none is. Beyond five minutes commands are refused, or outranked by older ones.
   */
  clockOffset(): number | undefined
  /** Whether any node counts as a replica: nobody said which nodes are known. */
  readonly countsAll: boolean
  /** How many replicas "all" means now. */
  all(): number
  /** How many replicas these nodes are: those that count, each backend once. */
  replicas(nodes: Iterable<string>): number
  stop(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** How long a node that answers may take to say that it takes commands, milliseconds. */
const CONNECT_MS = 5_000

/** Makes a sender; nothing is dialled before it is used. Rejects where the ledger cannot be opened, or a key not be used. */
export async function createSender(options: SenderOptions, ports: { readonly clock?: Clock } = {}): Promise<Sender> {
  const clock = ports.clock ?? systemClock
  const { network, key } = options
  const signer = typeof key === 'string' ? (await openKey(key)).signer : key
  const swarmKey = options.swarmKey === undefined ? {} : { swarmKey: await readSwarmKey(options.swarmKey) }
  const ledger: Ledger = openLedger(options.ledger ?? ':memory:')
  const host = await createHost({
    privateKey: await generateKeyPair('Ed25519'),
    listen: [],
    ...swarmKey,
    ...(options.userAgent === undefined ? {} : { userAgent: options.userAgent })
  })
  const knownNodes = options.knownNodes === undefined ? undefined : new Set(options.knownNodes)
  const bus = createBus({ network }, { host, clock })
  const isKnown = (node: NodeId): boolean => knownNodes?.has(node) === true
  const presence = createPresenceTable({ network, isKnown }, { clock })
  const links = createLinks({ bootstrap: options.bootstrap }, { host, bus, clock, presence, isKnown })
  const census = createCensus(knownNodes, presence)
  const everyNode = createCensus(knownNodes, presence, { eachNode: true })
  const rollCall = createRollCall({ presence, clock })
  const words = createWords(network, { presence, ledger, clock, announced: rollCall.answered })
  const catchUp = createCatchUp({ network, author: signer.author }, { host, bus, ledger, words, census })
  const clocks = (): Clocks => readClocks(presence.all(), census.counts)
  const survey = createSurvey(network, { host, presence, ledger, census, catchUp: catchUp.ask })
  bus.handle('acks', ({ bytes }) => words.judge(bytes))

  let connected: Promise<Reached> | undefined
  let hostStarted: Promise<void> | undefined
  let listening: Promise<void> | undefined
  let unhearRefusals = async (): Promise<void> => {}

  const connect = (signal: AbortSignal | undefined): Promise<Reached> => {
    connected ??= begin(signal).catch((err: unknown) => {
      connected = undefined
      throw err
    })
    return connected
  }

  const startHost = (): Promise<void> => (hostStarted ??= host.start())
  const listen = async (): Promise<void> => {
    await startHost()
    await bus.start()
    unhearRefusals = await onRefusal(host, (node, refusal) => words.refused(node, refusal))
  }

  const begin = async (outer: AbortSignal | undefined): Promise<Reached> => {
    if (options.bootstrap.length === 0) {
      throw new SenderError('no-bootstrap', 'no node to talk to: no bootstrap address is known')
    }
    await (listening ??= listen())
    // Dials and queries have time-outs of their own, which name who was silent.
    const signal = outer ?? new AbortController().signal
    const reached = await firstOf(options.bootstrap, async (address) => {
      const { peer, ms } = await links.connect(address, { signal })
      return { node: peer, address, ms, ...(await hello(peer, signal)) }
    })
    await links.start()
    await subscribed(reached.node, AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)]))
    offerAgain()
    catchUp.start()
    return reached
  }

  /** Learns who is there before counting on anybody. */
  const hello = async (peer: NodeId, signal: AbortSignal): Promise<{ authorised: boolean; closed?: string }> => {
    let answer: { authorised: boolean; closed?: string } = { authorised: false }
    for await (const page of query(host, peer, { want: 'hello', network, signer: signer.blob }, { signal })) {
      if (page.page !== 'hello') continue
      answer = { authorised: page.authorised ?? false, ...(page.closed === undefined ? {} : { closed: page.closed }) }
      // Nodes of older versions tell of none but those that are there.
      page.presences.forEach((bytes, i) => presence.offer(verifyEnvelope(openEnvelope(bytes)), { age: page.ages?.[i] ?? 0 }))
    }
    return answer
  }

  const subscribed = async (peer: NodeId, signal: AbortSignal): Promise<void> => {
    if (bus.subscribers('commands').includes(peer)) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const stop = bus.onSubscribe((node, topic) => {
      if (topic === 'commands' && node === peer) resolve()
    })
    const onAbort = (): void => reject(new SenderError('no-node', `${peer} answers, but takes no commands of network ${network}`))
    signal.addEventListener('abort', onAbort)
    try {
      await promise
    } finally {
      stop()
      signal.removeEventListener('abort', onAbort)
    }
  }

  /** Commands of earlier runs that no node has accepted. */
  const offerAgain = (): void => {
    const commands = ledger.unaccepted(network, signer.author, MAX_OFFERED_AGAIN)
    words.expect(commands.map(({ id }) => id))
    for (const { envelope } of commands) {
      bus.publish('commands', envelope, { signal: AbortSignal.timeout(CONNECT_MS) }).catch(() => {}) // The next run tries again.
    }
  }

  const askAgain = (commands: readonly string[]): void => {
    const request = { want: 'acks', network, commands: commands.slice(0, MAX_QUERY_COMMANDS) } as const
    for (const peer of links.peers()) {
      void (async () => {
        for await (const page of query(host, peer, request, { signal: AbortSignal.timeout(CONNECT_MS) })) {
          if (page.page === 'acks') page.acks.forEach((bytes) => words.judge(bytes))
        }
      })().catch(() => {}) // Gossip may still bring it, and the next round asks again.
    }
  }

  const sendingPorts: SendingPorts = {
    bus,
    ledger,
    signer,
    clock,
    census,
    clocks,
    newest: () =>
      presence.all().reduce<ReturnType<SendingPorts['newest']>>((newest, entry) => laterHlc(newest, entry.presence.newest), undefined),
    expect: (command) => words.expect([command]),
    onWord: (listener) => words.listen(listener),
    askAgain
  }

  async function* sendItems(items: readonly Item<Op>[], sendOptions: SendOptions): AsyncGenerator<SendEvent, Outcome> {
    if (items.length === 0) throw new SenderError('usage', 'no CID given')
    await connect(sendOptions.signal)
    return yield* send(network, items, sendOptions, sendingPorts)
  }

  const adminPorts: AdminPorts = { host, presence, census, clock }
  async function* sayAsAdmin(requests: readonly AdminRequest[], sendOptions: SendOptions): AsyncGenerator<AdminEvent, Outcome> {
    await connect(sendOptions.signal)
    const items = await adminItems(requests, network, adminPorts, sendOptions.signal)
    return yield* adminEvents(send(network, items, sendOptions, { ...sendingPorts, census: everyNode }))
  }

  const stop = async (): Promise<void> => {
    await connected?.catch(() => {})
    await catchUp.stop()
    await links.stop()
    await unhearRefusals()
    await bus.stop()
    await host.stop()
    words.stop()
    ledger.close()
  }

  return {
    author: signer.author,
    connect: ({ signal } = {}) => connect(signal),
    pin(cids, sendOptions = {}) {
      const origins = (sendOptions.origins ?? []).map(originBytes)
      return sendItems(itemsOf('pin', cids.map(parseCid), sendOptions, origins), sendOptions)
    },
    unpin: (cids, sendOptions = {}) => sendItems(itemsOf('unpin', cids.map(parseCid), {}, []), sendOptions),
    admin: (requests, sendOptions = {}) => sayAsAdmin(requests, sendOptions),
    async whereMay(blob, { signal } = {}) {
      await connect(signal)
      return whereMay(blob, network, adminPorts, signal)
    },
    add: (path, addOptions = {}) =>
      addPath(path, addOptions, {
        libp2p: host.libp2p,
        presence,
        clock,
        startHost,
        connect: () => connect(addOptions.signal),
        send: (cid) => sendItems(itemsOf('pin', [cid], addOptions, []), addOptions)
      }),
    async *status(cids, statusOptions = {}) {
      await connect(statusOptions.signal)
      yield* survey.status(cids?.map(parseCid), statusOptions)
    },
    async pins(pinsOptions = {}) {
      await connect(pinsOptions.signal)
      return survey.pins(pinsOptions)
    },
    rollCall: ({ signal } = {}) => rollCall.wait(signal),
    nodes: () => listNodes({ presence, census, knownNodes: knownNodes ?? new Set(), clocks }),
    countsAll: knownNodes === undefined,
    clockOffset: () => clocks().offset,
    all: () => census.all(),
    replicas: (nodes) => census.replicas(nodes),
    stop,
    [Symbol.asyncDispose]: stop
  }
}

/** An origin as commands carry it; without its peer id nobody could dial it for content. */
function originBytes(text: string): Uint8Array {
  try {
    const address = multiaddr(text)
    if (peerIn(address) !== undefined) return address.bytes
  } catch {
    // Told below.
  }
  throw new SenderError('usage', `"${text}" is not the address of a peer: write it like /ip4/203.0.113.1/tcp/4001/p2p/12D3KooW…`)
}

/** The first success; where all fail, one error that says why each did. */
async function firstOf<T>(addresses: readonly string[], dial: (address: string) => Promise<T>): Promise<T> {
  try {
    return await Promise.any(addresses.map(dial))
  } catch (err) {
    const reasons =
      err instanceof AggregateError
        ? err.errors.map((reason: unknown) => (reason instanceof Error ? reason.message : String(reason)))
        : [String(err)]
    throw new SenderError('no-node', reasons.join('\n'), { cause: err })
  }
}
