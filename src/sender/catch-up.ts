/** Learns what nodes did while this sender was away: asks each, once a run, for its acks of our commands that were not done there. */
import type { Bus } from '../network/bus.ts'
import type { Host } from '../network/host.ts'
import { query } from '../network/query.ts'
import { MAX_QUERY_COMMANDS } from '../protocol/limits.ts'
import type { Author, NodeId } from '../protocol/ssh-key.ts'
import type { SenderCensus } from './census.ts'
import type { Ledger } from './ledger.ts'
import type { Words } from './words.ts'

/** Asks in the background whoever is linked. */
export interface CatchUp {
  start(): void
  /** Asks a linked node, unless that was done; resolves when it has answered, or did not in time. Never rejects. */
  ask(node: NodeId): Promise<void>
  /** Ends what is under way. */
  stop(): Promise<void>
}

/** What it works with. */
export interface CatchUpPorts {
  readonly host: Host
  readonly bus: Pick<Bus, 'subscribers' | 'onSubscribe'>
  readonly ledger: Pick<Ledger, 'unsettled'>
  readonly words: Pick<Words, 'expect' | 'judge'>
  readonly census: Pick<SenderCensus, 'counts'>
}

/** How long one node may take for all of its acks, milliseconds. */
const ANSWER_MS = 10_000

/** Makes it for the commands of one author. */
export function createCatchUp(options: { readonly network: string; readonly author: Author }, ports: CatchUpPorts): CatchUp {
  const { network, author } = options
  const { host, bus, ledger, words, census } = ports
  const ended = new AbortController()
  const asked = new Map<NodeId, Promise<void>>()
  let unhear = (): void => {}

  const run = async (node: NodeId): Promise<void> => {
    const commands = ledger.unsettled(network, author, node, MAX_QUERY_COMMANDS)
    if (commands.length === 0) return
    words.expect(commands)
    const signal = AbortSignal.any([ended.signal, AbortSignal.timeout(ANSWER_MS)])
    for await (const page of query(host, node, { want: 'acks', network, commands }, { signal })) {
      if (page.page === 'acks') page.acks.forEach((bytes) => words.judge(bytes))
    }
  }

  const ask = (node: NodeId): Promise<void> => {
    // What a stranger says of our commands counts for nothing.
    if (ended.signal.aborted || !census.counts(node)) return Promise.resolve()
    let answer = asked.get(node)
    if (answer === undefined) {
      answer = run(node).catch(() => void asked.delete(node)) // Who asks the next time may be luckier.
      asked.set(node, answer)
    }
    return answer
  }

  return {
    start() {
      unhear = bus.onSubscribe((node, topic) => {
        if (topic === 'commands') void ask(node)
      })
      for (const node of bus.subscribers('commands')) void ask(node)
    },
    ask,
    async stop() {
      ended.abort()
      unhear()
      await Promise.all(asked.values())
    }
  }
}
