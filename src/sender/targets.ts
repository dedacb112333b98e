/** How a node is reached for a question: over the link there is, else at the addresses it tells. */
import type { Host } from '../network/host.ts'
import type { PresenceEntry } from '../network/presence-table.ts'
import type { NodeId } from '../protocol/ssh-key.ts'

/** Whether there is a link to the node. */
export function isLinked(host: Host, node: NodeId): boolean {
  return host.libp2p.getPeers().some((peer) => peer.toString() === node)
}

/** Asks a node, at one address after the other; rejects with the last failure. */
export async function* askAtEach<T>(
  host: Host,
  { presence: { node, addresses } }: PresenceEntry,
  ask: (target: string) => AsyncIterable<T>
): AsyncGenerator<T> {
  const targets = isLinked(host, node) ? [node] : addresses.map((address) => `${address}/p2p/${node}`)
  let failure: unknown = new Error(`${node} tells no address`)
  for (const target of targets) {
    try {
      yield* ask(target)
      return
    } catch (err) {
      failure = err
    }
  }
  throw failure
}
