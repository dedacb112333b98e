/** The command sets of this node in memory: what it compares with other nodes, built from the store at the start and kept in step. */
import type { Command } from '../protocol/command.ts'
import { commandIdBytes } from '../protocol/envelope.ts'
import {
  MAX_ADMIN_BYTES,
  MAX_ADMIN_CLOSING_BYTES,
  MAX_AUTHOR_BYTES,
  MAX_AUTHOR_UNPIN_BYTES,
  MAX_PLAIN_ADMIN_BYTES
} from '../protocol/limits.ts'
import type { SetMember } from '../protocol/records.ts'
import type { Author } from '../protocol/ssh-key.ts'
import type { SetDigest, SetName } from '../protocol/sync/digest.ts'
import { createItemSet, type ItemSet } from '../protocol/sync/item-set.ts'
import type { SetChange } from './settle.ts'
import type { Store } from './store.ts'

/** The sets. */
export interface CommandSets {
  /** Takes over what became durable. */
  apply(changes: readonly SetChange[]): void
  get(name: SetName): ItemSet | undefined
  /** Of all sets that hold a command, those that changed last first. */
  digests(): readonly SetDigest[]
  /** Whether the author's share has room for the command; beyond it there is some for what only takes away, and little for admin operations of who is no admin. */
  hasRoom(command: Pick<Command, 'author' | 'pinset' | 'operations'>, isAdmin: boolean): boolean
}

/** What one author may take, bytes. */
export interface AuthorLimits {
  readonly maxBytes?: number
  readonly maxUnpinBytes?: number
  /** Of these the commands without a pinset. */
  readonly maxAdminBytes?: number
  readonly maxAdminClosingBytes?: number
}

interface Held {
  readonly name: SetName
  readonly items: ItemSet
  /** Of its envelopes. */
  bytes: number
}

/** Kinds of operations that only take away. */
const TAKES_AWAY: ReadonlySet<string> = new Set(['unpin', 'close', 'revoke', 'distrust'])

/** Reads all members from the store: a million take about a second. */
export function openCommandSets(store: Pick<Store, 'setMembers'>, limits: AuthorLimits = {}): CommandSets {
  const { maxBytes = MAX_AUTHOR_BYTES, maxUnpinBytes = MAX_AUTHOR_UNPIN_BYTES } = limits
  const { maxAdminBytes = MAX_ADMIN_BYTES, maxAdminClosingBytes = MAX_ADMIN_CLOSING_BYTES } = limits
  /** In the order of their last change. */
  const sets = new Map<string, Held>()
  const bytes = new Map<Author, number>()

  const key = ({ author, pinset }: SetName): string => `${author} ${pinset ?? ''}`
  const taken = (author: Author): number => bytes.get(author) ?? 0

  const isFull = ({ author, pinset }: SetName, size: number): boolean =>
    pinset === undefined ? size >= maxAdminBytes : taken(author) >= maxBytes

  const heldOf = ({ author, pinset }: SetName): Held => {
    const name = key({ author, pinset })
    const held = sets.get(name) ?? { name: { author, pinset }, items: createItemSet(), bytes: 0 }
    sets.set(name, held)
    return held
  }

  const join = (member: SetMember, held: Held): void => {
    if (!held.items.add(member.ms, commandIdBytes(member.id))) return
    bytes.set(member.author, taken(member.author) + member.bytes)
    held.bytes += member.bytes
  }

  const leave = ({ author, pinset, ms, id, bytes: size }: SetMember): void => {
    const held = sets.get(key({ author, pinset }))
    if (held?.items.remove(ms, commandIdBytes(id)) !== true) return
    bytes.set(author, taken(author) - size)
    held.bytes -= size
    if (held.items.size === 0) sets.delete(key({ author, pinset }))
  }

  const moveLast = (name: SetName): void => {
    const held = sets.get(key(name))
    if (held === undefined) return
    sets.delete(key(name))
    sets.set(key(name), held)
  }

  let last: Held | undefined
  for (const member of store.setMembers()) {
    if (last?.name.author !== member.author || last.name.pinset !== member.pinset) last = heldOf(member)
    join(member, last)
  }

  return {
    apply(changes) {
      for (const change of changes) {
        if (change.kind === 'joined') join(change, heldOf(change))
        else leave(change)
        moveLast(change)
      }
    },
    get: (name) => sets.get(key(name))?.items,
    digests: () =>
      [...sets.values()].toReversed().map(({ name, items, bytes: size }) => ({
        ...name,
        count: items.size,
        root: items.root(),
        newest: items.newest(),
        ...(isFull(name, size) ? { capped: true } : {})
      })),
    hasRoom({ author, pinset, operations }, isAdmin) {
      const onlyTakes = operations.every(({ op }) => TAKES_AWAY.has(op))
      const size = sets.get(key({ author, pinset }))?.bytes ?? 0
      if (pinset === undefined) return size < (isAdmin ? maxAdminBytes + (onlyTakes ? maxAdminClosingBytes : 0) : MAX_PLAIN_ADMIN_BYTES)
      return taken(author) < maxBytes + (onlyTakes ? maxUnpinBytes : 0)
    }
  }
}
