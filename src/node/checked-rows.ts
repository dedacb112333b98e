/** An answer that takes its time: rows come as they are known, and an empty page now and then says that more is on its way. */
import type { Clock } from '../protocol/clock.ts'

/** How rows are gathered. */
export interface Gathering<T, Row> {
  /** Items at a time. */
  readonly width: number
  /** Rows of a page. */
  readonly most: number
  /** A page goes out after so long whatever is in it; milliseconds. */
  readonly everyMs: number
  readonly clock: Clock
  rowsOf(item: T, signal: AbortSignal): Promise<readonly Row[]>
}

/** Pages of the rows of all items, in their order. Leaving the loop early ends the signal that `rowsOf` was given. */
export async function* gatherRows<T, Row>(items: Iterable<T>, how: Gathering<T, Row>): AsyncGenerator<readonly Row[]> {
  const { clock, everyMs, most } = how
  const ended = new AbortController()
  let rows: Row[] = []
  let due = clock.now() + everyMs
  const page = (): readonly Row[] => {
    const full = rows
    rows = []
    due = clock.now() + everyMs
    return full
  }
  try {
    for (const slice of slices(items, how.width)) {
      const work = Promise.all(slice.map((item) => how.rowsOf(item, ended.signal)))
      while (!(await endsBefore(work, due, clock))) yield page()
      rows.push(...(await work).flat())
      if (rows.length >= most || clock.now() >= due) yield page()
    }
    if (rows.length > 0) yield page()
  } finally {
    ended.abort(new DOMException('the answer is not wanted any more', 'AbortError'))
  }
}

/** Whether the work has ended, well or not, by a time on the clock. */
async function endsBefore(work: Promise<unknown>, time: number, clock: Clock): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const cancel = clock.after(Math.max(0, time - clock.now()), () => resolve(false))
  work.then(
    () => resolve(true),
    () => resolve(true)
  )
  try {
    return await promise
  } finally {
    cancel()
  }
}

function* slices<T>(items: Iterable<T>, size: number): Generator<T[]> {
  let slice: T[] = []
  for (const item of items) {
    if (slice.push(item) < size) continue
    yield slice
    slice = []
  }
  if (slice.length > 0) yield slice
}
