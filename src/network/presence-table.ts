/** What is known of each node from its own signed words: the newest by sequence, bounded, with when we heard it. */
import type { Clock } from '../protocol/clock.ts'
import type { Envelope, Verified } from '../protocol/envelope.ts'
import { InvalidMessageError } from '../protocol/errors.ts'
import { MAX_PRESENCES, MAX_PRESENCE_AGE_MS, MAX_PRESENCE_BYTES } from '../protocol/limits.ts'
import { decodePresence, type Presence } from '../protocol/presence.ts'
import type { NodeId } from '../protocol/ssh-key.ts'

/** A node's newest presence. */
export interface PresenceEntry {
  readonly presence: Presence
  /** As signed, to be handed on. */
  readonly envelope: Verified<Envelope>
  /** Our clock when it was heard, milliseconds since the epoch; its own `time` is by the node's clock and judges nothing here. */
  readonly heardAt: number
  /** Whether it was heard within three intervals. */
  readonly online: boolean
}

/** The newest presence of each node. */
export interface PresenceTable {
  /**
   * Whether it was newer than what is known and was taken. `age` is how long ago it was heard by who tells of it, milliseconds, at most
   * {@link MAX_PRESENCE_AGE_MS} counts; a node never counts as heard earlier than before. Throws {@link InvalidMessageError} for one
   * that no node could accept.
   */
  offer(envelope: Verified<Envelope>, heard?: { readonly age: number }): boolean
  get(node: NodeId): PresenceEntry | undefined
  /** In the order in which the nodes were last heard of. */
  all(): readonly PresenceEntry[]
  /** Called with each node that was taken, went offline or was dropped; the returned function ends that. */
  onChange(listener: (node: NodeId) => void): () => void
}

/** What {@link createPresenceTable} may be told. */
export interface PresenceTableOptions {
  readonly network: string
  /** Never listed. */
  readonly self?: NodeId
  /** Nodes that are dropped last when the table is full; nobody unless said. */
  readonly isKnown?: (node: NodeId) => boolean
  /** How often nodes announce themselves, milliseconds; 30,000 unless said. */
  readonly intervalMs?: number
  /** Entries kept; {@link MAX_PRESENCES} unless said. */
  readonly capacity?: number
}

/** Makes an empty table. */
export function createPresenceTable(options: PresenceTableOptions, ports: { readonly clock: Clock }): PresenceTable {
  const { network, self, isKnown = () => false, intervalMs = 30_000, capacity = MAX_PRESENCES } = options
  const { clock } = ports
  /** In the order of hearing, the oldest first. */
  const entries = new Map<NodeId, Omit<PresenceEntry, 'online'>>()
  const listeners = new Set<(node: NodeId) => void>()
  const gone = new Set<NodeId>()
  let timer: (() => void) | undefined

  const expires = (heardAt: number): number => heardAt + 3 * intervalMs
  const view = (entry: Omit<PresenceEntry, 'online'>): PresenceEntry => ({ ...entry, online: clock.now() < expires(entry.heardAt) })
  const tell = (node: NodeId): void => {
    for (const listener of listeners) listener(node)
  }

  /** One timer for the node that falls silent next: entries are in the order of hearing. */
  const watch = (): void => {
    if (timer !== undefined || listeners.size === 0) return
    for (const [node, { heardAt }] of entries) {
      if (gone.has(node)) continue
      timer = clock.after(Math.max(1, expires(heardAt) - clock.now()), sweep)
      return
    }
  }

  const sweep = (): void => {
    timer = undefined
    for (const [node, { heardAt }] of entries) {
      if (clock.now() < expires(heardAt)) break
      if (gone.has(node)) continue
      gone.add(node)
      tell(node)
    }
    watch()
  }

  /** Keeps the order of hearing for what another heard earlier; true where something was heard later. */
  const insert = (node: NodeId, entry: Omit<PresenceEntry, 'online'>): boolean => {
    entries.delete(node)
    const later = [...entries].filter(([, { heardAt }]) => heardAt > entry.heardAt)
    for (const [other] of later) entries.delete(other)
    entries.set(node, entry)
    for (const [other, kept] of later) entries.set(other, kept)
    return later.length > 0
  }

  /** The longest silent stranger; a known node only where there is no stranger. Undefined when `newcomer` is what must stay out. */
  const victim = (newcomer: NodeId, heardAt: number): NodeId | undefined => {
    const strangers = [...entries].filter(([node]) => !isKnown(node))
    const [first] = strangers.length > 0 ? strangers : isKnown(newcomer) ? entries : []
    if (first === undefined) return undefined
    const isWorthMore = strangers.length > 0 && isKnown(newcomer)
    return isWorthMore || first[1].heardAt <= heardAt ? first[0] : undefined
  }

  const drop = (node: NodeId): void => {
    entries.delete(node)
    gone.delete(node)
    tell(node)
  }

  return {
    offer: (envelope, { age } = { age: 0 }) => {
      if (envelope.bytes.byteLength > MAX_PRESENCE_BYTES) {
        throw new InvalidMessageError('size', `a presence of ${envelope.bytes.byteLength} bytes, at most ${MAX_PRESENCE_BYTES}`)
      }
      const presence = decodePresence(envelope, network)
      const { node } = presence
      const known = entries.get(node)
      if (node === self || (known !== undefined && known.presence.sequence >= presence.sequence)) return false
      const now = clock.now()
      // Never later than now: our clock may have been ahead when the node was heard before.
      const heardAt = Math.min(now, Math.max(known?.heardAt ?? 0, now - Math.min(Math.max(0, age), MAX_PRESENCE_AGE_MS)))
      if (known === undefined && entries.size >= capacity) {
        const out = victim(node, heardAt)
        if (out === undefined) return false
        drop(out)
      }
      const isOutOfOrder = insert(node, { presence, envelope, heardAt })
      if (now < expires(heardAt)) gone.delete(node)
      else gone.add(node)
      tell(node)
      if (isOutOfOrder) {
        timer?.()
        timer = undefined
      }
      watch()
      return true
    },
    get: (node) => {
      const entry = entries.get(node)
      return entry === undefined ? undefined : view(entry)
    },
    all: () => [...entries.values()].map(view),
    onChange: (listener) => {
      listeners.add(listener)
      watch()
      return () => {
        listeners.delete(listener)
        if (listeners.size > 0) return
        timer?.()
        timer = undefined
      }
    }
  }
}
