/** Tells the backend where other nodes keep their content: what is pinned here comes from there. */
import { createDialBudget } from '../network/dial-budget.ts'
import type { PresenceTable } from '../network/presence-table.ts'
import type { Clock } from '../protocol/clock.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { BackendWatch } from './backend-watch.ts'
import type { KnownNodes } from './known-nodes.ts'
import type { PinBackend } from './ports.ts'

/** Begins to; strangers are believed only until somebody names nodes. An embedded backend is dialled by the node's own links already. */
export function linkContent(
  known: Pick<KnownNodes, 'has' | 'isChosen' | 'onChange'>,
  ports: { readonly presence: PresenceTable; readonly backend: PinBackend; readonly watch: BackendWatch; readonly clock: Clock }
): void {
  const { presence, backend, watch } = ports
  const budget = createDialBudget({ names: false }, ports)
  const reach = (node: NodeId): void => {
    const { backend: content } = presence.get(node)?.presence ?? {}
    if (known.isChosen() && !known.has(node)) return
    if (content?.peer === undefined || (content.kind === 'helia' && backend.kind === 'helia')) return
    const addresses = known.has(node) ? content.addresses : content.addresses.filter(budget.take)
    backend.reach(addresses.map((address) => `${address}/p2p/${content.peer}`))
  }
  const reachAll = (): void => presence.all().forEach((entry) => reach(entry.presence.node))
  presence.onChange(reach)
  known.onChange(reachAll)
  watch.onChange((change) => {
    // A daemon that was started again has no connections.
    if (change === 'back') reachAll()
  })
}
