/** What a node's presence says of its backend. */
import { MAX_ADDRESSES } from '../protocol/limits.ts'
import type { Presence } from '../protocol/presence.ts'
import type { BackendWatch } from './backend-watch.ts'
import type { PinBackend } from './ports.ts'

/**
 * Makes the describer. A daemon that is down is not asked for its peer id: it keeps the one it had, so that two agents on one daemon stay
 * one replica, and is reached nowhere.
 */
export function createBackendPresence(ports: {
  readonly backend: Pick<PinBackend, 'kind' | 'peer'>
  readonly watch: BackendWatch
}): () => Promise<Pick<Presence, 'free' | 'used' | 'backend'>> {
  const { backend, watch } = ports
  let id: string | undefined
  return async () => {
    const health = await watch.health()
    const { down, full } = watch.state()
    const peer = down === undefined ? await backend.peer() : undefined
    id = peer?.peer ?? id
    return {
      ...(health.ok && health.freeBytes !== undefined ? { free: health.freeBytes } : {}),
      ...(health.ok && health.usedBytes !== undefined ? { used: health.usedBytes } : {}),
      backend: {
        kind: backend.kind,
        up: down === undefined,
        ...(full ? { full } : {}),
        ...(id === undefined ? {} : { peer: id }),
        addresses: peer?.addresses.slice(0, MAX_ADDRESSES) ?? []
      }
    }
  }
}
