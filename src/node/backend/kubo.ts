import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { createDialBudget } from '../../network/dial-budget.ts'
import type { Clock } from '../../protocol/clock.ts'
import { BackendError } from '../ports.ts'
import type { BackendPeer, PinBackend, PinStat } from '../ports.ts'
import { createKuboBlocks } from './kubo-blocks.ts'
import { createKuboHttp } from './kubo-http.ts'
import { createOriginDialer } from './dialer.ts'
import { notKubo } from './kubo-errors.ts'
import { readHealth, readPeer, requireVersion } from './kubo-daemon-facts.ts'

/** What the Kubo backend may be told. */
export interface KuboOptions {
  /** Where the RPC listens: `http://127.0.0.1:5001`, or a multiaddr as in `$IPFS_PATH/api`. */
  readonly apiUrl: string
  /** The secret, if the daemon's `API.Authorizations` ask for one: `Bearer TOKEN` or `USER:PASSWORD`. Never logged. */
  readonly authorization?: string
  /** The name that our pins carry: `pinsub:<network>`. A pin without it is the operator's. At most 255 bytes. */
  readonly name: string
  /** How long the daemon may take to answer a short command, in ms; 30 s unless given (a pin store waits for garbage collection). */
  readonly answerMs?: number
  /** How long it may say nothing while it pins, in ms; 30 s unless given (Kubo says how far it is twice a second). */
  readonly silenceMs?: number
}

/** Fastest at 32 requests at a time, slower at 64: measured with three daemons side by side. */
const CONCURRENCY = 32
/** An origin that takes longer is not worth a connection. Milliseconds. */
const CONNECT_MS = 3_000
/** Each command of an undo; the caller waits for it. Milliseconds. */
const UNDO_MS = 2_000
/** Kubo sees a closed connection at once, but what it is writing then it writes to the end. Milliseconds. */
const SETTLE_MS = 250
/** The operator's pins of which it is remembered that they are short, about 100 bytes each. */
const MAX_SHORT = 10_000
/** Characters of a CID that Kubo pins: identity CIDs hold 128 bytes at most there. */
const MAX_CID_TEXT = 512
/** CIDs that one listing may hold in memory, about 200 bytes each. */
const MAX_LISTED = 2_000_000

/**
 * Pins in a Kubo daemon over its RPC; needs Kubo 0.38, the first that tells the name of a single pin.
 *
 * Starts and stops without the daemon; while it is away every call rejects with `unavailable`, and works again when it is back.
 * A CID is pinned, unpinned and looked up as spelled: `Qm…` and its `bafy…` twin are two pins in Kubo.
 * `bytes` is known only from the call that pinned. Throws InvalidTextError for an address or authorization that cannot be read.
 */
export function createKuboBackend(options: KuboOptions, { clock }: { readonly clock: Clock }): PinBackend {
  const { name, answerMs = 30_000, silenceMs = 30_000 } = options
  const http = createKuboHttp(options, { clock })
  const connect = (address: string): Promise<unknown> =>
    http.call('swarm/connect', { lane: 'dials', query: { arg: address }, withinMs: CONNECT_MS })
  const reach = createOriginDialer(connect, { clock })
  // What a command names is only its author's word.
  const dial = createOriginDialer(connect, { clock, budget: createDialBudget({ names: true }, { clock }) })
  const forget = (): void => [reach, dial].forEach((each) => each.forget())
  const blocks = createKuboBlocks({ silenceMs }, { http, dial })
  const active = new Map<string, number>()
  /** The operator's pins that a check found short. */
  const short = new Set<string>()
  const undoing = new Map<string, Promise<void>>()
  const isThere = requireVersion(http, answerMs)

  /** The name of the pin on exactly this CID; undefined when there is none. */
  async function look(cid: CID, type: 'recursive' | 'direct', signal: AbortSignal, withinMs = answerMs): Promise<string | undefined> {
    try {
      const query = { arg: cid.toString(), type, names: 'true' }
      const answer = await http.call('pin/ls', { lane: 'pins', query, signal, withinMs })
      return pinName(answer)
    } catch (error) {
      if (error instanceof BackendError && error.message.includes('is not pinned')) return undefined
      throw error
    }
  }

  /** What is held of the whole DAG. A direct pin holds one block: all there is of a raw one, and of any other not enough. */
  async function find(cid: CID, signal: AbortSignal): Promise<PinStat | 'direct' | undefined> {
    const [recursive, direct] = await Promise.all([look(cid, 'recursive', signal), look(cid, 'direct', signal)])
    if (recursive !== undefined) return { foreign: recursive !== name }
    if (direct === undefined) return undefined
    return cid.code === raw.code ? { foreign: true } : 'direct'
  }

  /** Resolves to whether there was a pin of ours. */
  async function remove(cid: CID, signal: AbortSignal, withinMs = answerMs): Promise<boolean> {
    // Kubo cannot remove "only if so named": an operator who claims the pin within these milliseconds loses it.
    if ((await look(cid, 'recursive', signal, withinMs)) !== name) return false
    try {
      await http.call('pin/rm', { lane: 'pins', query: { arg: cid.toString() }, signal, withinMs })
    } catch (error) {
      if (!(error instanceof BackendError && error.message.includes('not pinned'))) throw error
    }
    return true
  }

  /** Takes back a pin that was cut off in the last moment and may be there all the same. Fails in silence: then the daemon is away. */
  async function undo(cid: CID): Promise<void> {
    const { signal } = new AbortController()
    try {
      if (await remove(cid, signal, UNDO_MS)) return
      await new Promise<void>((resolve) => void clock.after(SETTLE_MS, resolve))
      await remove(cid, signal, UNDO_MS)
    } catch {
      return
    }
  }

  async function add(cid: CID, { signal, onProgress }: Parameters<PinBackend['pin']>[1]): Promise<number | undefined> {
    let bytes: number | undefined
    let blocks = 0
    let pinned = false
    const query = { arg: cid.toString(), recursive: 'true', progress: 'true', name }
    await http.lines('pin/add', { lane: 'pins', query, signal, withinMs: silenceMs }, (line) => {
      if (Array.isArray(line['Pins'])) pinned = true
      // Repeated while nothing moves, as `{}` before the first block: that is no progress.
      if (typeof line['Progress'] !== 'number' || line['Progress'] <= blocks) return
      blocks = line['Progress']
      if (typeof line['Bytes'] === 'number') bytes = line['Bytes']
      onProgress?.({ blocks, bytes: bytes ?? 0 })
    })
    // Kubo ends with 200 whatever came of it: only this line says that the pin is there.
    if (!pinned)
      throw new BackendError('failed', `Kubo at ${http.url}: pin/add of ${cid.toString()} ended without saying that it is pinned`)
    return bytes
  }

  return {
    kind: 'kubo',
    reach,
    concurrency: CONCURRENCY,
    start: () => Promise.resolve(),
    stop() {
      http.close()
      return Promise.resolve()
    },
    async pin(cid, call) {
      const key = cid.toString()
      await isThere(call.signal)
      // Else what is pinned again now would be taken back with the call before.
      await undoing.get(key)
      active.set(key, (active.get(key) ?? 0) + 1)
      try {
        // Kubo would rename the pin that is there, and drop it if the call failed: so look, and leave it alone.
        const found = await find(cid, call.signal)
        if (found === 'direct') {
          throw new BackendError(
            'failed',
            `the operator holds a direct pin of ${key} in Kubo at ${http.url}, which a recursive one would replace: ` +
              `"ipfs pin add ${key}" makes it recursive, "ipfs pin rm ${key}" leaves it to pinsub`
          )
        }
        if (found !== undefined) {
          if (!found.foreign || short.has(key)) await blocks.mend(cid, call)
          short.delete(key)
          return found
        }
        dial(call.origins)
        try {
          const bytes = await add(cid, call)
          return bytes === undefined ? { foreign: false } : { foreign: false, bytes }
        } catch (error) {
          const isAway = error instanceof BackendError && error.code === 'unavailable'
          const cutOff = call.signal.aborted || isAway
          // A daemon that starts again has none of the connections that were made for it.
          if (isAway) forget()
          if (cutOff && active.get(key) === 1) {
            undoing.set(key, undo(cid))
            await undoing.get(key)
            undoing.delete(key)
          }
          throw error
        }
      } finally {
        const others = (active.get(key) ?? 1) - 1
        if (others === 0) active.delete(key)
        else active.set(key, others)
      }
    },
    async unpin(cid, { signal }) {
      await isThere(signal)
      await remove(cid, signal)
    },
    async *list({ signal }) {
      await isThere(signal)
      // Read to the end before any is handed out: older daemons lock their pin store until the last line is taken,
      // so that a caller who unpins in the loop would wait for itself.
      const cids: string[] = []
      const query = { type: 'recursive', names: 'true', stream: 'true', name }
      await http.lines('pin/ls', { lane: 'control', query, signal, withinMs: answerMs }, (line) => {
        // Kubo's own filter finds a part of the name.
        if (line['Name'] !== name || typeof line['Cid'] !== 'string') return
        if (cids.push(line['Cid']) > MAX_LISTED)
          throw new BackendError('failed', `Kubo at ${http.url} lists above ${MAX_LISTED} pins of ours`)
      })
      for (const text of cids) yield readCid(http.url, text)
    },
    async stat(cid, { signal }) {
      await isThere(signal)
      const found = await find(cid, signal)
      return found === 'direct' ? undefined : found
    },
    async check(cid, { signal }) {
      await isThere(signal)
      const found = await find(cid, signal)
      const state = found === undefined || found === 'direct' ? 'missing' : await blocks.examine(cid, { signal })
      if (state === 'held') short.delete(cid.toString())
      else if (short.size < MAX_SHORT) short.add(cid.toString())
      return state
    },
    async health() {
      const health = await readHealth(http)
      if (!health.ok) forget()
      return health
    },
    peer: (): Promise<BackendPeer | undefined> => readPeer(http)
  }
}

/** The name of the first pin in an answer of `pin/ls`, '' where it has none; undefined where there is no pin. */
function pinName(answer: unknown): string | undefined {
  const [pin] = Object.values((answer as { Keys?: Readonly<Record<string, unknown>> | null } | null)?.Keys ?? {})
  if (typeof pin !== 'object' || pin === null) return undefined
  return 'Name' in pin && typeof pin.Name === 'string' ? pin.Name : ''
}

function readCid(url: string, text: string): CID {
  try {
    // Before it is decoded: base58 takes time in the square of the length.
    if (text.length > MAX_CID_TEXT) throw new RangeError('too long')
    return CID.parse(text)
  } catch {
    throw notKubo(url, 'pin/ls', text)
  }
}
