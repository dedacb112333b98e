/** Rows of several sources as one sequence. */
import type { LogRow } from '../../protocol/log-entry.ts'

/** Merges sequences that are each in the order of time; of two at one time that of the earlier sequence comes first. Ends all of them. */
export function* mergeRows(sources: readonly Generator<LogRow>[], newestFirst: boolean): Generator<LogRow> {
  try {
    const heads = sources.map((source) => ({ source, next: source.next() }))
    for (;;) {
      let first: (typeof heads)[number] | undefined
      for (const head of heads) {
        if (head.next.done === true) continue
        const isFirst = first === undefined || (newestFirst ? head.next.value.at > at(first) : head.next.value.at < at(first))
        if (isFirst) first = head
      }
      if (first === undefined || first.next.done === true) return
      yield first.next.value
      first.next = first.source.next()
    }
  } finally {
    for (const source of sources) source.return(undefined)
  }
}

function at({ next }: { readonly next: IteratorResult<LogRow> }): number {
  return (next.value as LogRow).at
}
