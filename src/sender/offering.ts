/** Sees to it that a command comes to every node: offers again what was not answered, and elsewhere what was refused. */
import type { Bus } from '../network/bus.ts'
import type { Clock } from '../protocol/clock.ts'
import type { CommandId } from '../protocol/envelope.ts'
import type { SentCommand } from '../protocol/records.ts'
import type { SenderCensus } from './census.ts'
import type { Tracker, TrackerEvent } from './tracker.ts'

/** What offering works with. */
export interface OfferPorts {
  readonly bus: Bus
  readonly clock: Clock
  readonly census: Pick<SenderCensus, 'all'>
  /** Calls `listener` with everything nodes say; the returned function ends that. */
  onWord(listener: (event: TrackerEvent) => void): () => void
  /** Asks the nodes we are linked to for their acks: an ack that gossip lost is heard all the same. */
  askAgain(commands: readonly string[]): void
}

/** The first wait before a command that is not answered is offered again; doubles up to the most. Milliseconds. */
const FIRST_MS = 1_000
const MOST_MS = 10_000

/** Offers again, ever more rarely, each command for which a node that it should reach has not spoken; the returned function ends that. */
export function offerAgain(
  commands: readonly SentCommand[],
  current: () => Tracker,
  hear: (event: TrackerEvent) => void,
  { bus, clock, census, askAgain }: OfferPorts
): () => void {
  const ended = new AbortController()
  let wait = FIRST_MS
  let cancel = (): void => {}
  const again = (): void => {
    const silent = commands.filter(({ id }) => (current().commands.get(id)?.heard.size ?? 0) < census.all())
    askAgain(commands.map(({ id }) => id))
    for (const { id, envelope } of silent) {
      bus.publish('commands', envelope, { signal: ended.signal }).then(
        (nodes) => hear({ type: 'delivered', command: id, nodes }),
        () => {} // Nobody there now: the next round tries again.
      )
    }
    wait = Math.min(wait * 2, MOST_MS)
    cancel = clock.after(wait, again)
  }
  cancel = clock.after(wait, again)
  return () => {
    cancel()
    ended.abort()
  }
}

/** Hands what all who spoke refused to whoever is linked since, as nobody relays what he refuses; the returned function ends that. */
export function offerElsewhere(
  commands: readonly SentCommand[],
  current: () => Tracker,
  hear: (event: TrackerEvent) => void,
  { bus, onWord }: OfferPorts
): () => void {
  const ended = new AbortController()
  const leaving = new Set<CommandId>()
  const offer = (): void => {
    const here = bus.subscribers('commands')
    for (const { id, envelope } of commands) {
      const view = current().commands.get(id)
      if (view === undefined || leaving.has(id) || here.every((node) => view.delivered.has(node))) continue
      const words = [...view.heard.values()]
      if (words.length === 0 || words.some(({ states }) => states.some(({ status }) => status !== 'refused'))) continue
      leaving.add(id)
      bus
        .publish('commands', envelope, { signal: ended.signal })
        .then(
          (nodes) => hear({ type: 'delivered', command: id, nodes }),
          () => {} // The round that is due next tries again.
        )
        .finally(() => leaving.delete(id))
    }
  }
  const unwatch = bus.onSubscribe((_, topic) => {
    if (topic === 'commands') offer()
  })
  const unhear = onWord(({ type }) => {
    if (type === 'refusal') offer()
  })
  return () => {
    ended.abort()
    unwatch()
    unhear()
  }
}
