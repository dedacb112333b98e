import type { CID } from 'multiformats/cid'
import { MAX_DAG_DEPTH, MAX_WAITING_LINKS } from '../protocol/limits.ts'
import { ContentError } from './errors.ts'

/** How a DAG is walked. */
export interface WalkOptions {
  /** Visits at a time. */
  readonly width: number
  readonly signal: AbortSignal
  /** Called for every link, so several times for a block with several links to it; gives the links below, or none to stop there. */
  readonly visit: (cid: CID, signal: AbortSignal) => Promise<readonly CID[]>
}

/**
 * Visits what can be reached from `root`, several at a time and the deepest first, so that what waits grows with the
 * depth of the DAG and not with its width. Ends with the first error or the signal's reason, after all visits have ended.
 * Throws {@link ContentError} `invalid` beyond {@link MAX_DAG_DEPTH} and {@link MAX_WAITING_LINKS}.
 */
export async function walk(root: CID, options: WalkOptions): Promise<void> {
  const failure = new AbortController()
  const signal = AbortSignal.any([options.signal, failure.signal])
  const todo: { readonly cid: CID; readonly depth: number }[] = [{ cid: root, depth: 0 }]
  let running = 0
  let ended = Promise.withResolvers<void>()

  async function step({ cid, depth }: { cid: CID; depth: number }): Promise<void> {
    try {
      const links = await options.visit(cid, signal)
      if (links.length > 0 && depth >= MAX_DAG_DEPTH) {
        throw new ContentError('invalid', `${root} is deeper than ${MAX_DAG_DEPTH} links`)
      }
      if (todo.length + links.length > MAX_WAITING_LINKS) {
        throw new ContentError('invalid', `${root} has more than ${MAX_WAITING_LINKS} links to follow at a time`)
      }
      for (let i = links.length - 1; i >= 0; i--) todo.push({ cid: links[i] as CID, depth: depth + 1 })
    } catch (err) {
      failure.abort(err)
    }
    running -= 1
    ended.resolve()
  }

  for (;;) {
    while (todo.length > 0 && running < options.width && !signal.aborted) {
      running += 1
      void step(todo.pop() as { cid: CID; depth: number })
    }
    if (running === 0) break
    await ended.promise
    ended = Promise.withResolvers()
  }
  signal.throwIfAborted()
}
