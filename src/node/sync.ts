/** What this node shows of its command sets to others, and how it fetches what they have and it lacks. */
import type { Host } from '../network/host.ts'
import { createSyncServer, type SyncServer } from '../network/sync-server.ts'
import { pull, type PullResult } from '../network/sync-pull.ts'
import type { Clock } from '../protocol/clock.ts'
import { coversPinset } from '../protocol/grants.ts'
import { FULL_LIST_MS, MAX_REMEMBERED } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { SetDigest, SetName } from '../protocol/sync/digest.ts'
import { createItemSet } from '../protocol/sync/item-set.ts'
import type { Admission } from './admission.ts'
import type { CommandSets } from './sets.ts'
import type { Standings } from './standings.ts'
import type { Store } from './store.ts'

/** What it works with. */
export interface SyncPorts {
  readonly host: Host
  readonly store: Pick<Store, 'command'>
  readonly sets: CommandSets
  readonly standings: Standings
  readonly admission: Admission
  readonly clock: Clock
  isKnown(peer: NodeId): boolean
  /** What a peer has of admin operations is stored. */
  onAdmin(peer: NodeId): void
  /** Whether commands of pinsets may be taken from a peer now. */
  mayTake(peer: NodeId): boolean
}

/** Both sides of catching up. */
export interface Sync {
  readonly server: SyncServer
  /** Of the sets that others may have: all but those of revoked keys. */
  digests(): readonly SetDigest[]
  /** Whether this node stores and reconciles the set: its file covers it, or did before the key was closed. */
  wants(name: SetName): boolean
  /** Fetches what the peer has and this node wants and lacks. Rejects with `NetworkError`, or `InvalidMessageError` for a peer that lies. */
  pull(peer: NodeId, signal: AbortSignal): Promise<PullResult>
}

/** Makes it for one network. */
export function createSync(options: { readonly network: string }, ports: SyncPorts): Sync {
  const { host, store, sets, standings, admission, clock, isKnown } = ports
  const listedAt = new Map<NodeId, number>()

  const isShown = ({ author }: SetName): boolean => standings.get(author)?.voided !== true
  const digests = (): readonly SetDigest[] => sets.digests().filter(isShown)

  const wants = ({ author, pinset }: SetName): boolean => {
    const standing = standings.get(author)
    return standing !== undefined && !standing.voided && (pinset === undefined || coversPinset(standing.grant, pinset))
  }

  const mayListAll = (peer: NodeId): boolean => {
    const now = clock.now()
    if (now - (listedAt.get(peer) ?? -Infinity) < FULL_LIST_MS) return false
    listedAt.delete(peer)
    if (listedAt.size >= MAX_REMEMBERED) listedAt.delete(listedAt.keys().next().value as NodeId)
    listedAt.set(peer, now)
    return true
  }

  const source = {
    digests,
    set: (name: SetName) => (isShown(name) ? sets.get(name) : undefined),
    commands: (ids: readonly string[]) => ids.map((id) => store.command(id))
  }

  return {
    server: createSyncServer({ network: options.network }, { host, source, clock, isKnown }),
    digests,
    wants,
    pull: (peer, signal) =>
      pull(
        peer,
        options.network,
        {
          host,
          clock,
          digests,
          wanted: (name) =>
            wants(name) && (name.pinset === undefined || ports.mayTake(peer)) ? (sets.get(name) ?? createItemSet()) : undefined,
          lacks: admission.lacks,
          take: async (commands, set) => {
            const admitted = await admission.take(commands, { set, isVouched: isKnown(peer) })
            return admitted.filter((one) => one === 'held').length
          },
          mayListAll: () => mayListAll(peer),
          onAdmin: () => ports.onAdmin(peer)
        },
        { signal }
      )
  }
}
