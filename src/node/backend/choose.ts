/** Makes the backend that the settings ask for, loading only that one. */
import type { Libp2p } from '@libp2p/interface'
import type { Clock } from '../../protocol/clock.ts'
import type { PinBackend } from '../ports.ts'

/** Which backend, and what it needs. */
export type BackendChoice =
  | { readonly kind: 'helia'; /** Holds `blocks/` and `blocks.db`. */ readonly dir: string; /** Bytes. */ readonly capacity?: number }
  | { readonly kind: 'kubo'; readonly apiUrl: string; readonly authorization?: string }

/** Makes the backend of a network's agent. */
export async function openBackend(
  choice: BackendChoice,
  network: string,
  ports: { readonly libp2p: Libp2p; readonly clock: Clock }
): Promise<PinBackend> {
  if (choice.kind === 'helia') {
    const { createHeliaBackend } = await import('./helia.ts')
    return createHeliaBackend(choice, ports)
  }
  const { createKuboBackend } = await import('./kubo.ts')
  return createKuboBackend({ ...choice, name: `pinsub:${network}` }, ports)
}
