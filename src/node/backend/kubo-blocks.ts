/** Whether the blocks of a DAG are in Kubo's repository, and getting them there. */
import type { CID } from 'multiformats/cid'
import { BackendError, type PinCheck, type PinOptions } from '../ports.ts'
import type { KuboHttp } from './kubo-http.ts'

/** A look at the blocks behind a pin. */
export interface KuboBlocks {
  /**
   * Has Kubo read every block of a DAG and check its hash; fetches nothing. `onBytes` hears of what came, often.
   * Rejects with `failed` where Kubo does not let us look.
   */
  examine(cid: CID, options: { readonly signal: AbortSignal; readonly onBytes?: (bytes: number) => void }): Promise<PinCheck>
  /** Has Kubo fetch what is gone, with the pin in its place. What is damaged it takes for good. */
  complete(cid: CID, options: Pick<PinOptions, 'signal' | 'onProgress'>): Promise<void>
}

/** What Kubo and its codecs say of bytes that are not those of the CID, or that the disk does not give back. */
const DAMAGED = /hash mismatch|invalid|proto|cbor|unexpected EOF|input\/output error/i

/** A fetch that waits for a provider says nothing, for as long as the caller likes: the longest time of a timer. Milliseconds. */
const PATIENT_MS = 2 ** 31 - 1

/** Makes it; `silenceMs` is how long the daemon may say nothing while it reads. */
export function createKuboBlocks(http: KuboHttp, silenceMs: number): KuboBlocks {
  return {
    async examine(cid, { signal, onBytes }) {
      const query = { arg: cid.toString(), offline: 'true' }
      try {
        // `dag/stat` and `refs` are ten times faster, and see a block that is gone, but not one that is damaged.
        await http.drain('dag/export', { lane: 'pins', query, signal, withinMs: silenceMs }, onBytes)
        return 'held'
      } catch (error) {
        if (!(error instanceof BackendError) || !error.message.includes(': dag/export: ')) throw error
        if (error.code === 'not-found') return 'missing'
        if ((error.code === 'failed' || error.code === 'invalid') && DAMAGED.test(error.message)) return 'damaged'
        throw error
      }
    },

    async complete(cid, { signal, onProgress }) {
      // Pinning again would drop the pin if it failed.
      const query = { arg: cid.toString(), progress: 'true' }
      let [blocks, bytes] = [0, 0]
      await http.lines('dag/stat', { lane: 'pins', query, signal, withinMs: PATIENT_MS }, ({ DagStats: stats }) => {
        const [stat] = Array.isArray(stats) ? (stats as readonly ({ Size?: unknown; NumBlocks?: unknown } | null)[]) : []
        if (typeof stat?.NumBlocks === 'number') blocks = Math.max(blocks, stat.NumBlocks)
        if (typeof stat?.Size === 'number') bytes = Math.max(bytes, stat.Size)
        onProgress?.({ blocks, bytes })
      })
    }
  }
}
