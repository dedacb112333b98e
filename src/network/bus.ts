/** Our two gossip topics: what is heard is judged before it is relayed, what is said is known to have left. */
import { TopicValidatorResult, type Message } from '@libp2p/gossipsub'
import type { PeerId } from '@libp2p/interface'
import type { Clock } from '../protocol/clock.ts'
import { MAX_ENVELOPE_BYTES } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { NetworkError } from './errors.ts'
import { hasLostItsScore } from './gossip-score.ts'
import { createRoom } from './gossip-room.ts'
import { createGossipStreams } from './gossip-streams.ts'
import { createGossip } from './gossipsub.ts'
import type { Host } from './host.ts'
import type { LinkGuard } from './link-guard.ts'

/** Commands, or acks and presence. */
export type Topic = 'commands' | 'acks'

/**
 * `accept` relays; `ignore` drops what is of no use here, and only very much of it costs the relaying peer its link; `busy` drops what might
 * have been, at no cost; `reject` drops and costs the relaying peer its score.
 */
export type Verdict = 'accept' | 'ignore' | 'busy' | 'reject'

/** A message as it came in. */
export interface Heard {
  readonly bytes: Uint8Array
  /** The peer that published it (its gossip signature was checked). Not the author of the envelope. */
  readonly from: NodeId
  /** The peer that relayed it to us. */
  readonly via: NodeId
}

/** The gossip bus of one network. */
export interface Bus {
  /** Subscribes to the topics that have a handler. */
  start(): Promise<void>
  /** Leaves the topics; what still waits in {@link Bus.publish} is rejected with `stopped`. */
  stop(): Promise<void>
  /**
   * Subscribes to the topic. `validate` is called before anything is relayed and must answer within 100 ms; a throw counts as `busy`.
   */
  handle(topic: Topic, validate: (message: Heard) => Verdict | Promise<Verdict>): void
  /**
   * Resolves with those it was handed to, at least one; waits for a first subscriber until the signal ends.
   * The same bytes may be published again: each time is a message of its own.
   * Rejects with {@link NetworkError} `no-peers`, `size` or `stopped`.
   */
  publish(topic: Topic, bytes: Uint8Array, options: { readonly signal: AbortSignal }): Promise<readonly NodeId[]>
  /** Peers whose subscription was seen and to which our stream is open. */
  subscribers(topic: Topic): readonly NodeId[]
  /** Tells of each peer that enters {@link Bus.subscribers}; the returned function ends that. */
  onSubscribe(listener: (peer: NodeId, topic: Topic) => void): () => void
}

const TOPICS: readonly Topic[] = ['commands', 'acks']

/** How often it is looked who lost all score; gossipsub works it out once a second. */
const SCORES_MS = 1_000

/** How soon a publish that nobody could take is tried again when nothing changed meanwhile. */
const RETRY_MS = 50

/** The gossipsub topic of a network. */
function topicName(network: string, topic: Topic): string {
  return `/pinsub/1/${network}/${topic}`
}

/** Makes the bus of a network on a host; without a guard no peer is ever cut off, and who lost its score is only not listened to. */
export function createBus(
  options: { readonly network: string },
  ports: { readonly host: Host; readonly clock: Clock; readonly guard?: LinkGuard }
): Bus {
  const { host, clock, guard } = ports
  const name = (topic: Topic): string => topicName(options.network, topic)
  const listeners = new Set<(peer: NodeId, topic: Topic) => void>()
  const waiting = new Set<() => void>()
  const handled = new Set<Topic>()
  const usable = new Set<string>()
  let started = false
  let cancelScores = (): void => {}
  let last: Promise<unknown> = Promise.resolve()

  const refresh = (peer: NodeId): void => {
    for (const topic of TOPICS) {
      const key = `${topic} ${peer}`
      if (!subscribers(topic).includes(peer)) usable.delete(key)
      else if (!usable.has(key)) {
        usable.add(key)
        for (const listener of listeners) listener(peer, topic)
        for (const wake of waiting) wake()
      }
    }
  }

  const streams = createGossipStreams({ libp2p: host.libp2p, clock, changed: refresh })
  const room = createRoom({ clock, streamTo: streams.to })
  const gossip = createGossip(TOPICS.map(name), { host, streams, guard })

  const subscribers = (topic: Topic): readonly NodeId[] =>
    gossip.getSubscribers(name(topic)).flatMap((peer) => (gossip.streamsOutbound.has(peer.toString()) ? [peer.toString()] : []))

  /** One message after the other, so that each sees what room those before it left. */
  const hand = (topic: Topic, bytes: Uint8Array, signal: AbortSignal): Promise<readonly NodeId[]> => {
    const turn = last.then(async () => {
      await room(() => subscribers(topic), bytes.byteLength, signal)
      if (signal.aborted || !started) return []
      const { recipients } = await gossip.publish(name(topic), bytes)
      return recipients.map(String)
    })
    last = turn.catch(() => undefined)
    return turn
  }

  /** Resolves on the next change or after a short while; rejects with the signal. */
  const change = (topic: Topic, signal: AbortSignal): Promise<void> =>
    new Promise((resolve, reject) => {
      const done = (): void => {
        cancel()
        waiting.delete(done)
        signal.removeEventListener('abort', done)
        if (!started) reject(new NetworkError('stopped', 'the bus was stopped before the message left'))
        else if (signal.aborted)
          reject(
            new NetworkError('no-peers', `nobody to take it: no node of network "${options.network}" is reached on its ${topic} topic`)
          )
        else resolve()
      }
      const cancel = clock.after(subscribers(topic).length > 0 ? RETRY_MS : 60_000, done)
      waiting.add(done)
      signal.addEventListener('abort', done)
      if (signal.aborted) done()
    })

  const watchScores = (): void => {
    for (const peer of gossip.streamsInbound.keys()) if (hasLostItsScore(gossip.score.score(peer))) guard?.cut(peer)
    cancelScores = clock.after(SCORES_MS, watchScores)
  }

  for (const topic of TOPICS) gossip.topicValidators.set(name(topic), () => TopicValidatorResult.Ignore)
  gossip.addEventListener('subscription-change', ({ detail }) => refresh(detail.peerId.toString()))

  const stop = async (): Promise<void> => {
    if (!started) return
    started = false
    host.libp2p.removeEventListener('stop', onHostStop)
    cancelScores()
    await gossip.stop()
    streams.stop()
    usable.clear()
    for (const wake of waiting) wake()
  }
  const onHostStop = (): void => void stop()

  return {
    start: async () => {
      if (started) return
      started = true
      host.libp2p.addEventListener('stop', onHostStop)
      await gossip.start()
      for (const topic of handled) gossip.subscribe(name(topic))
      streams.start()
      if (guard !== undefined) watchScores()
    },
    stop,
    handle: (topic, validate) => {
      gossip.topicValidators.set(name(topic), validator(validate, guard))
      handled.add(topic)
      if (started) gossip.subscribe(name(topic))
    },
    publish: async (topic, bytes, { signal }) => {
      if (bytes.byteLength > MAX_ENVELOPE_BYTES) {
        throw new NetworkError('size', `a message of ${bytes.byteLength} bytes does not travel: at most ${MAX_ENVELOPE_BYTES}`)
      }
      for (;;) {
        if (!started) throw new NetworkError('stopped', 'the bus is not running')
        if (subscribers(topic).length > 0) {
          const recipients = await hand(topic, bytes, signal)
          if (recipients.length > 0) return recipients
        }
        await change(topic, signal)
      }
    },
    subscribers,
    onSubscribe: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    }
  }
}

const RESULTS: Readonly<Record<Verdict, TopicValidatorResult>> = {
  accept: TopicValidatorResult.Accept,
  ignore: TopicValidatorResult.Ignore,
  busy: TopicValidatorResult.Ignore,
  reject: TopicValidatorResult.Reject
}

function validator(validate: (message: Heard) => Verdict | Promise<Verdict>, guard: LinkGuard | undefined) {
  return async (peer: PeerId, message: Message): Promise<TopicValidatorResult> => {
    if (message.type !== 'signed' || message.data.byteLength > MAX_ENVELOPE_BYTES) return TopicValidatorResult.Reject
    const [from, via] = [message.from.toString(), peer.toString()]
    const verdict = await judged({ bytes: message.data, from, via }, validate)
    if (verdict === 'ignore') guard?.useless(via, from === via)
    return RESULTS[verdict]
  }
}

async function judged({ bytes, from, via }: Heard, validate: (message: Heard) => Verdict | Promise<Verdict>): Promise<Verdict> {
  try {
    // A copy: what came in is a view into a network buffer, which would stay as long as the message is kept.
    return await validate({ bytes: new Uint8Array(bytes), from, via })
  } catch {
    return 'busy'
  }
}
