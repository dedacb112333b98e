/** What follows when a pin is not in the backend any more. */
import type { Changes, Settler } from './settle.ts'
import type { Store } from './store.ts'

/**
 * Takes the row of a pin back; call it inside a store transaction. Where the CID is wanted a job is put to fetch it, and who was told
 * `pinned` is told `queued`; where nobody wants it, its holds go with it.
 */
export function forgetPin(store: Store, settler: Settler, cid: string, now: number, changes: Changes): 'again' | 'dropped' {
  store.removePin(cid)
  settler.settle(cid, now, changes)
  return store.job(cid)?.action === 'pin' ? 'again' : 'dropped'
}
