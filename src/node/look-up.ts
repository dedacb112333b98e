import { CID } from 'multiformats/cid'
import { BackendError, type Log, type PinBackend, type PinStat } from './ports.ts'

/** Pins asked for singly at a time: a few beside those that the queue makes. */
const LOOKS = 8

/** A pin that was asked for, and what is held of it. */
export interface Found<T> {
  readonly pin: T
  readonly stat: PinStat | undefined
}

/**
 * Asks the backend for pins one by one, some at a time. What cannot be told of a single one leaves it out; rejects where the backend
 * does not answer, or with the signal's reason, when nothing is under way any more.
 */
export async function lookUp<T extends { readonly cid: string; readonly spelled: string }>(
  pins: readonly T[],
  { backend, log, signal }: { readonly backend: Pick<PinBackend, 'stat'>; readonly log: Log; readonly signal: AbortSignal }
): Promise<Found<T>[]> {
  const found: Found<T>[] = []
  const todo = pins.values()
  let failure: { readonly reason: unknown } | undefined

  const work = async (): Promise<void> => {
    for (const pin of todo) {
      if (failure !== undefined || signal.aborted) return
      try {
        found.push({ pin, stat: await backend.stat(CID.parse(pin.spelled), { signal }) })
      } catch (err) {
        if (err instanceof BackendError && err.code !== 'unavailable') log.debug(`cannot tell whether ${pin.cid} is pinned: ${err.message}`)
        else failure ??= { reason: err }
      }
    }
  }

  await Promise.all(Array.from({ length: LOOKS }, work))
  signal.throwIfAborted()
  if (failure !== undefined) throw failure.reason
  return found
}
