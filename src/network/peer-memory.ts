/** Forgets peers that are gone. libp2p keeps what it learned of a peer for good, and every send and every stranger comes as a new one. */
import type { Clock } from '../protocol/clock.ts'
import { FORGET_PEERS_MS } from '../protocol/limits.ts'
import type { HostLibp2p } from './host.ts'

/** Makes what forgets, now and then: what is learned of a peer often comes after it went. Addresses that are dialled again are kept elsewhere. */
export function createPeerMemory({ libp2p, clock }: { readonly libp2p: HostLibp2p; readonly clock: Clock }): {
  start(): void
  stop(): void
} {
  let cancel = (): void => {}

  const sweep = async (): Promise<void> => {
    for (const { id } of await libp2p.peerStore.all()) {
      if (!id.equals(libp2p.peerId) && libp2p.getConnections(id).length === 0) await libp2p.peerStore.delete(id)
    }
  }

  const start = (): void => {
    cancel = clock.after(FORGET_PEERS_MS, () => {
      // What goes wrong in one is done by the next.
      void sweep().catch(() => {})
      start()
    })
  }

  return { start, stop: () => cancel() }
}
