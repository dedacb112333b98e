/** `/pinsub/sync/1`: asks a node which commands of a set it holds, without fetching any. */
import type { Clock } from '../protocol/clock.ts'
import { commandIdFrom, type CommandId } from '../protocol/envelope.ts'
import { MAX_PAGE_BYTES } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { SetName } from '../protocol/sync/digest.ts'
import type { SyncItem } from '../protocol/sync/messages.ts'
import type { Host } from './host.ts'
import { IDLE_MS, openFrames } from './streams.ts'
import { createAsker } from './sync-asker.ts'
import { SYNC_PROTOCOL } from './sync-server.ts'

/**
 * Ids of the commands of a set that `target` (its id where connected, else a multiaddr) holds, oldest first; at most `limit`, and one
 * more where there are others. It may leave some out, and name some that are not there. Rejects as a pull does.
 */
export async function listIds(
  target: NodeId | string,
  options: { readonly network: string; readonly set: SetName; readonly limit: number },
  ports: { readonly host: Host; readonly clock: Clock; readonly signal: AbortSignal }
): Promise<readonly CommandId[]> {
  const { network, set, limit } = options
  const { host, clock, signal } = ports
  const opened = await openFrames(host, target, { protocol: SYNC_PROTOCOL, maxFrame: MAX_PAGE_BYTES, idleMs: IDLE_MS, clock, signal })
  let whole = false
  try {
    const asker = createAsker({ target, network }, { frames: opened.frames, clock })
    const found: CommandId[] = []
    let after: SyncItem | undefined
    for (let hasMore = true; hasMore && found.length <= limit;) {
      const { ids, more } = await asker.ids(set, after)
      found.push(...ids.map(({ id }) => commandIdFrom(id)))
      after = ids.at(-1)
      hasMore = more
    }
    await asker.end()
    whole = true
    return found.slice(0, limit + 1)
  } finally {
    opened.finish(whole)
  }
}
