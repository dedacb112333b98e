/** Whether the blocks of a pin are in Kubo's repository, and getting them there. */
import type { CID } from 'multiformats/cid'
import { BackendError, type PinCheck, type PinOptions, type PinProgress } from '../ports.ts'
import type { KuboHttp } from './kubo-http.ts'

/** A look at the blocks behind a pin. */
export interface KuboBlocks {
  /**
   * Has Kubo read every block of a DAG and check its hash; fetches nothing. `onBytes` hears of what came, often.
   * Rejects with `failed` where Kubo does not let us look.
   */
  examine(cid: CID, options: { readonly signal: AbortSignal; readonly onBytes?: (bytes: number) => void }): Promise<PinCheck>
  /**
   * Has Kubo look at all of a pin, and fetch what is gone. Where it does not let us look, its word that it is pinned counts.
   * Rejects with `failed` where blocks are damaged: these it never fetches again by itself.
   */
  mend(cid: CID, options: PinOptions): Promise<void>
}

/** What Kubo and its codecs say of bytes that are not those of the CID, or that the disk does not give back. */
const DAMAGED = /hash mismatch|invalid|proto|cbor|unexpected EOF|input\/output error/i

/** A fetch that waits for a provider says nothing, for as long as the caller likes: the longest time of a timer. Milliseconds. */
const PATIENT_MS = 2 ** 31 - 1

/** Makes it; `silenceMs` is how long the daemon may say nothing while it reads. */
export function createKuboBlocks(
  { silenceMs }: { readonly silenceMs: number },
  { http, dial }: { readonly http: KuboHttp; dial(origins: readonly string[]): void }
): KuboBlocks {
  const examine: KuboBlocks['examine'] = async (cid, { signal, onBytes }) => {
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
  }

  /** Pinning again would drop the pin if it failed; this leaves it in its place. */
  const fetchGone = async (cid: CID, signal: AbortSignal, onProgress: (progress: PinProgress) => void): Promise<void> => {
    const query = { arg: cid.toString(), progress: 'true' }
    await http.lines('dag/stat', { lane: 'pins', query, signal, withinMs: PATIENT_MS }, ({ DagStats: stats }) => {
      const [stat] = Array.isArray(stats) ? (stats as readonly ({ Size?: unknown; NumBlocks?: unknown } | null)[]) : []
      const { NumBlocks: blocks, Size: bytes } = stat ?? {}
      onProgress({ blocks: typeof blocks === 'number' ? blocks : 0, bytes: typeof bytes === 'number' ? bytes : 0 })
    })
  }

  return {
    examine,
    async mend(cid, { signal, onProgress, origins }) {
      let told = { blocks: 0, bytes: 0 }
      const tell = ({ blocks, bytes }: PinProgress): void => {
        told = { blocks: Math.max(told.blocks, blocks), bytes: Math.max(told.bytes, bytes) }
        onProgress?.(told)
      }
      const look = (): Promise<PinCheck | undefined> => {
        let read = 0
        const onBytes = (bytes: number): void => tell({ blocks: 0, bytes: (read += bytes) })
        return examine(cid, { signal, onBytes }).catch((error: unknown) => {
          if (error instanceof BackendError && error.code === 'failed') return undefined
          throw error
        })
      }
      let found = await look()
      if (found === 'missing') {
        dial(origins)
        await fetchGone(cid, signal, tell)
        found = await look()
      }
      if (found === undefined || found === 'held') return
      throw new BackendError(
        'failed',
        `blocks of ${cid.toString()} in Kubo at ${http.url} are ${found}, which pinning cannot mend: ` +
          '"ipfs repo verify" shows them, with --heal it fetches them again'
      )
    }
  }
}
