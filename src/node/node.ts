/** Composition root of the agent: what a machine runs that shall store. */
import { hostSigner, loadHostKey } from '../identity/host-key.ts'
import { createAnnouncer } from '../network/announcer.ts'
import { parseMultiaddr, peerIn } from '../network/addresses.ts'
import { createBus } from '../network/bus.ts'
import { systemClock } from '../network/clock.ts'
import { createHost } from '../network/host.ts'
import { createLinkGuard } from '../network/link-guard.ts'
import { createLinks } from '../network/links.ts'
import { createPresenceTable } from '../network/presence-table.ts'
import { createQueryServer } from '../network/query.ts'
import { createRefusalSender } from '../network/refusals.ts'
import type { Clock } from '../protocol/clock.ts'
import type { Grant } from '../protocol/grants.ts'
import { MAX_ADDRESSES, MAX_DIGESTS } from '../protocol/limits.ts'
import type { Presence } from '../protocol/presence.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { lockHome } from '../storage/lock.ts'
import { openNodeStore } from '../storage/node-store.ts'
import { createAckBook, type AckBook } from './ack-book.ts'
import { createAdmission } from './admission.ts'
import { createAnswers } from './answers.ts'
import { openBackend, type BackendChoice } from './backend/choose.ts'
import { createBackendPresence } from './backend-presence.ts'
import { createBackendWatch } from './backend-watch.ts'
import { createCaps } from './caps.ts'
import { createCatchUp } from './catch-up.ts'
import { createChecker } from './check.ts'
import { createClockCheck } from './clock-check.ts'
import { linkContent } from './content-links.ts'
import { createDaemonStarter } from './daemon-starter.ts'
import { createExpiry } from './expiry.ts'
import { createFirstContact } from './first-contact.ts'
import { createReplyJudge, verdictOf } from './gossip.ts'
import { createIntake } from './intake.ts'
import { createKeys } from './keys.ts'
import { createKnownNodes } from './known-nodes.ts'
import { watchKnownNodes } from './known-nodes-watch.ts'
import { createPinQueue } from './pin-queue.ts'
import type { BackendHealth, Log } from './ports.ts'
import { createReconciler } from './reconcile.ts'
import { createRecorder } from './record.ts'
import { createRefusalBook } from './refusal-book.ts'
import { createRetention } from './retention.ts'
import { openCommandSets } from './sets.ts'
import { createSettler, type Changes } from './settle.ts'
import { createShell } from './shell.ts'
import { openStandings } from './standings.ts'
import { createStartHold } from './start-hold.ts'
import type { Store } from './store.ts'
import { createStrangerWords } from './stranger-words.ts'
import { createSync } from './sync.ts'
import { toldPresences } from './told-presences.ts'

/** What an agent is made of; all paths are absolute and their folders exist. */
export interface NodeOptions {
  readonly network: string
  /** `pinsub/1.0.0`. */
  readonly version: string
  readonly files: {
    readonly hostKey: string
    readonly stateDb: string
    readonly lock: string
    readonly authorizedKeys: string
    readonly knownNodes: string
  }
  /** Multiaddrs. */
  readonly listen: readonly string[]
  readonly announce: readonly string[]
  readonly bootstrap: readonly string[]
  readonly mdns: boolean
  /** Key lines that count besides the file. */
  readonly authorize: readonly string[]
  /** Whether admins among the keys may change keys and known nodes by message. */
  readonly remoteKeys: boolean
  readonly backend: BackendChoice
  /** A shell command that starts the daemon of the backend; run while it does not answer. */
  readonly startDaemon?: string
  /** 32 bytes that all of a private network share. */
  readonly swarmKey?: Uint8Array
  readonly tags: Readonly<Record<string, string>>
}

/** What the agent takes from the machine. */
export interface NodePorts {
  readonly log: Log
  readonly clock?: Clock
  /** A number in [0, 1). */
  readonly random?: () => number
}

/** A running agent, or one about to run. */
export interface PinsubNode {
  readonly id: NodeId
  /** Opens the store, listens and subscribes; waits for no peer and no daemon. Rejects with an error that names the way out. */
  start(): Promise<void>
  /** Ends cleanly: running jobs are given up and stay rows. */
  stop(): Promise<void>
  /** Reads authorized_keys and known_nodes now. */
  reload(): Promise<void>
  /** Multiaddrs with /p2p. */
  addresses(): readonly string[]
  /** What lets keys in that may command now, by the file or by message. */
  mayCommand(): readonly Grant[]
  health(): Promise<BackendHealth>
  /** Nodes that were heard of and are there. */
  peers(): readonly NodeId[]
  [Symbol.asyncDispose](): Promise<void>
}

/** News of running pins are told at most this often, milliseconds. */
const PROGRESS_MS = 1_000

/** Makes an agent. Takes the home's lock at once and keeps it until `stop`. */
export async function createNode(options: NodeOptions, ports: NodePorts): Promise<PinsubNode> {
  const { network, files } = options
  const { log, clock = systemClock, random = Math.random } = ports
  const lock = await lockHome(files.lock)
  const undo = new AsyncDisposableStack()
  undo.defer(() => lock.release())
  try {
    return await assemble()
  } catch (err) {
    await undo.disposeAsync()
    throw err
  }

  async function assemble(): Promise<PinsubNode> {
    const store: Store = openNodeStore(files.stateDb)
    undo.defer(() => store.close())
    const privateKey = await loadHostKey(files.hostKey)
    const signer = hostSigner(privateKey)
    const { listen, announce, mdns, version: userAgent } = options
    const knownNodes = createKnownNodes(options.bootstrap.flatMap((address) => peerIn(parseMultiaddr(address)) ?? []))
    const knownFile = watchKnownNodes({ file: files.knownNodes }, { known: knownNodes, clock, log })
    const isKnown = (node: NodeId): boolean => knownNodes.has(node)
    const listening = {
      privateKey,
      listen,
      mdns,
      userAgent,
      ...(announce.length === 0 ? {} : { announce }),
      ...(options.swarmKey === undefined ? {} : { swarmKey: options.swarmKey })
    }
    const host = await createHost(listening, { clock, isKnown })
    const shun = (peer: NodeId): void => {
      log.debug(`cut off ${peer}, which sends too much that is of no use here`)
      host.shun(peer)
    }
    const bus = createBus({ network }, { host, clock, guard: createLinkGuard({ clock, isKnown, shun }) })
    const presence = createPresenceTable({ network, self: host.id, isKnown }, { clock })
    const meet = createFirstContact({ file: files.knownNodes }, { clock, log })
    const onAnswer = (address: string, peer: NodeId): void => void meet(address, peer)
    const onWrongKey = ({ message }: Error): void => log.warn(message)
    const links = createLinks({ bootstrap: options.bootstrap }, { host, bus, clock, presence, isKnown, onAnswer, onWrongKey })
    const backend = await openBackend(options.backend, network, { libp2p: host.libp2p, clock })
    const backendWatch = createBackendWatch({}, { backend, clock, log, random })
    const describeBackend = createBackendPresence({ backend, watch: backendWatch })

    const standings = openStandings(store, { network, obeysMessages: options.remoteKeys })
    const clockCheck = createClockCheck({ knownNodes }, { presence, clock, log, newest: () => store.newest() })
    const caps = createCaps(store, standings.get)
    const settler = createSettler({ store, standing: standings.get, caps, expiryNow: clockCheck.expiryNow })
    const sets = openCommandSets(store)
    const retention = createRetention({ store, clock, log })
    const record = createRecorder(store, settler)
    const progressed = new Set<string>()
    let stopTelling: (() => void) | undefined

    const onChanges = ({ cids, commands, admin, sets: members }: Changes): void => {
      sets.apply(members)
      retention.apply(members)
      queue.changed(cids)
      acks.changed(commands)
      expiry.changed()
      if (admin.length > 0) keys.hear(admin)
    }
    const tellProgress = (): void => {
      stopTelling = undefined
      for (const cid of progressed) acks.changed(store.registers(cid).map(({ command }) => command))
      progressed.clear()
    }
    const onProgress = (cid: string): void => {
      progressed.add(cid)
      stopTelling ??= clock.after(PROGRESS_MS, tellProgress)
    }
    const queue = createPinQueue({}, { store, settler, caps, backend, watch: backendWatch, clock, log, random, onChanges, onProgress })
    const acks: AckBook = createAckBook(
      { network },
      {
        store,
        signer,
        clock,
        progress: queue.progress,
        // Strangers only say that they share the topic: they do not make a node speak rarely.
        speakers: () => 1 + knownNodes.size,
        publish: async (bytes) => {
          if (bus.subscribers('acks').length === 0) return
          await bus.publish('acks', bytes, { signal: AbortSignal.timeout(PROGRESS_MS) }).catch(() => {}) // The next state replaces it.
        }
      }
    )
    const expiry = createExpiry({ store, settler, clock, log, mayExpire: clockCheck.mayExpire, onChanges })
    const refusals = createRefusalSender({ network }, { host, clock })
    const refusalBook = createRefusalBook({ store, clock, log })
    const intake = createIntake(
      { network },
      {
        store,
        record,
        standings,
        sets,
        clock,
        log,
        refuse: refusals.refuse,
        isHeld: () => hold.isHeld,
        answer: acks.answer,
        refusals: refusalBook,
        onChanges
      }
    )
    const hold = createStartHold({
      clock,
      // A node that is new, and was told of nobody, missed nothing.
      isNeeded: () =>
        options.remoteKeys && standings.hasAdmin() && (store.newest() !== undefined || options.bootstrap.length + knownNodes.size > 0),
      isAsking: () => catchUp.isAsking(),
      onRelease: intake.release
    })
    // A stranger may keep back what would take a key away from him; where nobody is known, nobody else can be asked.
    const mayBeAsked = (peer: NodeId): boolean => knownNodes.size === 0 || isKnown(peer)
    const afterStart = {
      mayTake: (peer: NodeId) => !hold.isHeld || mayBeAsked(peer),
      onAdmin(peer: NodeId) {
        if (mayBeAsked(peer)) hold.release()
      }
    }
    const admission = createAdmission({ network }, { store, record, standings, sets, clock, knows: intake.knows, onChanges })
    const sync = createSync({ network }, { host, store, sets, standings, admission, clock, isKnown, ...afterStart })

    const describe = async (): Promise<Omit<Presence, 'node' | 'sequence' | 'time'>> => {
      const newest = store.newest()
      return {
        addresses: plain(host.addresses()),
        tags: options.tags,
        queue: store.jobCount(),
        version: options.version,
        ...(await describeBackend()),
        ...(newest === undefined ? {} : { newest }),
        ...(clockCheck.isOff() ? { clockOff: true } : {}),
        sets: sync.digests().slice(0, MAX_DIGESTS)
      }
    }
    const announcer = createAnnouncer({ network }, { bus, signer, clock, describe, random, nextSequence: () => store.next('presence') })
    const catchUp = createCatchUp(
      {},
      {
        bus,
        presence,
        clock,
        log,
        random,
        digests: sync.digests,
        isKnown,
        wants: sync.wants,
        pull: sync.pull,
        onTaken: () => announcer.announceSoon()
      }
    )
    const inBackend = { store, settler, backend, watch: backendWatch, clock, log, onChanges }
    const checker = createChecker(inBackend)
    const reconciler = createReconciler({}, { ...inBackend, random })
    const answers = createAnswers(
      { network, version: options.version },
      {
        store,
        settler,
        standings,
        acks,
        clock,
        isKnown,
        checker,
        progress: queue.progress,
        ownPresence: () => announcer.current(),
        otherPresences: () =>
          toldPresences(presence.all(), knownNodes).map(({ envelope, heardAt }) => ({
            bytes: envelope.bytes,
            age: Math.max(0, clock.now() - heardAt)
          }))
      }
    )
    const queries = createQueryServer({ network }, { host, handler: answers, clock, isKnown })

    const keys = createKeys(
      { file: files.authorizedKeys, extraLines: options.authorize },
      {
        standings,
        settler,
        clock,
        log,
        onChanges,
        onNodes(nodes) {
          const named = (isTrusted: boolean): ReadonlySet<NodeId> =>
            new Set([...nodes].flatMap(([node, trusted]) => (trusted === isTrusted ? [node] : [])))
          knownNodes.setMessages(named(true), named(false))
        },
        onApplied: catchUp.askAll
      }
    )

    linkContent(knownNodes, { presence, backend, watch: backendWatch, clock })
    backendWatch.onChange((change) => {
      if (change !== 'sound' && change !== 'room') announcer.announceSoon()
    })

    bus.handle('commands', ({ bytes, from }) => verdictOf(intake.judge(bytes, from)))
    const strangers = createStrangerWords({ known: knownNodes, clock })
    bus.handle('acks', createReplyJudge(network, { presence, intake, strangers }))

    const start = async (): Promise<void> => {
      undo.defer(() => stopTelling?.())
      await knownFile.start()
      undo.defer(() => knownFile.stop())
      await keys.start()
      undo.defer(() => keys.stop())
      await host.start()
      undo.defer(() => host.stop())
      await backend.start()
      undo.defer(() => backend.stop())
      backendWatch.start()
      undo.defer(() => backendWatch.stop())
      if (options.startDaemon !== undefined) {
        const run = createShell({ clock })
        const starter = createDaemonStarter({ command: options.startDaemon }, { watch: backendWatch, clock, log, run })
        starter.start()
        undo.defer(() => starter.stop())
      }
      undo.defer(() => queue.stop())
      undo.defer(() => checker.stop())
      await queries.start()
      undo.defer(() => queries.stop())
      await sync.server.start()
      undo.defer(() => sync.server.stop())
      await bus.start()
      undo.defer(() => bus.stop())
      undo.defer(() => refusals.stop())
      undo.defer(() => acks.stop())
      undo.defer(() => refusalBook.stop())
      undo.defer(() => {
        intake.stop()
        const counts = Object.entries(intake.counts()).map(([judgement, n]) => `${judgement} ${n}`)
        log.info(`commands heard: ${counts.join(', ') || 'none'}`)
      })
      await links.start()
      undo.defer(() => links.stop())
      await announcer.start()
      undo.defer(() => announcer.stop())
      retention.start()
      undo.defer(() => retention.stop())
      catchUp.start()
      undo.defer(() => catchUp.stop())
      hold.start()
      undo.defer(() => hold.stop())
      // Whoever is believed now may tell more than before.
      undo.defer(knownNodes.onChange(catchUp.askAll))
      clockCheck.start(() => {
        expiry.changed()
        announcer.announceSoon()
      })
      undo.defer(() => clockCheck.stop())
      expiry.start()
      undo.defer(() => expiry.stop())
      queue.start()
      reconciler.start()
      undo.defer(() => reconciler.stop())
    }

    return {
      id: host.id,
      start: async () => {
        try {
          await start()
        } catch (err) {
          await undo.disposeAsync()
          throw err
        }
      },
      stop: () => undo.disposeAsync(),
      reload: async () => {
        await Promise.all([keys.reload(), knownFile.reload()])
      },
      addresses: () => host.addresses(),
      mayCommand: () => standings.open(),
      health: () => backendWatch.health(),
      peers: () => presence.all().flatMap((entry) => (entry.online ? [entry.presence.node] : [])),
      [Symbol.asyncDispose]: () => undo.disposeAsync()
    }
  }
}

/** Multiaddrs without their /p2p, as many as presence may list. */
function plain(addresses: readonly string[]): string[] {
  return addresses.slice(0, MAX_ADDRESSES).map((address) => address.replace(/\/p2p\/[^/]+$/, ''))
}
