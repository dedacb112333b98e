/** `/pinsub/refusal/1`: tells the peer that published a command why it was refused; on a stream, so nothing is amplified. */
import type { Stream } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { RefusalCode } from '../protocol/ack.ts'
import type { Clock } from '../protocol/clock.ts'
import type { CommandId } from '../protocol/envelope.ts'
import { MAX_REFUSAL_BYTES } from '../protocol/limits.ts'
import { decodeRefusal, encodeRefusal } from '../protocol/query.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { systemClock } from './clock.ts'
import { createFrameStream } from './frames.ts'
import type { Host } from './host.ts'

/** Protocol id of the refusal stream. */
export const REFUSAL_PROTOCOL = '/pinsub/refusal/1'

/** Why a command was refused as a whole. */
export interface Refusal {
  readonly command: CommandId
  readonly code: RefusalCode
}

/** Tells peers of refusals. */
export interface RefusalSender {
  /** At most 10 at once and then one a second to a peer; what is above waits in a queue of 10, the rest is dropped. Never throws. */
  refuse(peer: NodeId, refusal: Refusal): void
  /** Drops what waits. */
  stop(): Promise<void>
}

const BURST = 10
const EVERY_MS = 1_000
const QUEUE = 10
/** Peers whose budget is remembered; the one least recently refused goes first, and would have had it back by then. */
const PEERS = 1_024
const STREAM_MS = 5_000

interface Budget {
  tokens: number
  /** When `tokens` was true. */
  at: number
  readonly queue: Refusal[]
  cancel: (() => void) | undefined
}

/** Makes the sender of refusals of one network. */
export function createRefusalSender(
  options: { readonly network: string },
  ports: { readonly host: Host; readonly clock: Clock }
): RefusalSender {
  const { host, clock } = ports
  const budgets = new Map<NodeId, Budget>()
  let stopped = false

  const budgetOf = (peer: NodeId): Budget => {
    const budget = budgets.get(peer) ?? { tokens: BURST, at: clock.now(), queue: [], cancel: undefined }
    budgets.delete(peer)
    budgets.set(peer, budget)
    const [oldest] = budgets.keys()
    if (budgets.size > PEERS && oldest !== undefined) {
      budgets.get(oldest)?.cancel?.()
      budgets.delete(oldest)
    }
    return budget
  }

  const pump = (peer: NodeId, budget: Budget): void => {
    budget.cancel = undefined
    const gained = Math.max(0, Math.floor((clock.now() - budget.at) / EVERY_MS))
    budget.at = budget.tokens + gained >= BURST ? clock.now() : budget.at + gained * EVERY_MS
    budget.tokens = Math.min(BURST, budget.tokens + gained)
    while (budget.tokens > 0 && budget.queue.length > 0) {
      const refusal = budget.queue.shift()
      budget.tokens--
      if (refusal !== undefined) void send(peer, refusal)
    }
    if (budget.queue.length > 0) budget.cancel = clock.after(EVERY_MS, () => pump(peer, budget))
  }

  /** Whoever does not take it learns of it from nobody: its sender times out and says that no node answered. */
  const send = async (peer: NodeId, refusal: Refusal): Promise<void> => {
    let stream: Stream | undefined
    try {
      const connection = host.libp2p.getConnections(peerIdFromString(peer)).find(({ status }) => status === 'open')
      stream = await connection?.newStream(REFUSAL_PROTOCOL, { signal: AbortSignal.timeout(STREAM_MS) })
      if (stream === undefined) return
      const frames = createFrameStream(stream, { maxFrame: 0, idleMs: STREAM_MS }, { clock })
      await frames.write(encodeRefusal({ network: options.network, ...refusal }))
      await frames.close()
    } catch (err) {
      stream?.abort(err instanceof Error ? err : new Error(String(err)))
    }
  }

  return {
    refuse: (peer, refusal) => {
      if (stopped) return
      const budget = budgetOf(peer)
      if (budget.queue.length >= QUEUE) return
      budget.queue.push(refusal)
      if (budget.cancel === undefined) pump(peer, budget)
    },
    stop: async () => {
      stopped = true
      for (const budget of budgets.values()) budget.cancel?.()
      budgets.clear()
    }
  }
}

/**
 * Hears refusals; the returned function ends that. A peer can claim to refuse any command, so the listener must weigh who says it.
 * Malformed ones end their stream and are told to nobody.
 */
export async function onRefusal(host: Host, listener: (from: NodeId, refusal: Refusal) => void): Promise<() => Promise<void>> {
  const receive = async (stream: Stream, from: NodeId): Promise<void> => {
    const frames = createFrameStream(stream, { maxFrame: MAX_REFUSAL_BYTES, idleMs: STREAM_MS }, { clock: systemClock })
    try {
      const bytes = await frames.read()
      if (bytes !== undefined) {
        const { command, code } = decodeRefusal(bytes)
        listener(from, { command, code })
      }
      await frames.close()
    } catch (err) {
      frames.abort(err instanceof Error ? err : new Error(String(err)))
    }
  }
  await host.libp2p.handle(REFUSAL_PROTOCOL, (stream, connection) => void receive(stream, connection.remotePeer.toString()), {
    maxInboundStreams: BURST
  })
  return () => host.libp2p.unhandle(REFUSAL_PROTOCOL)
}
