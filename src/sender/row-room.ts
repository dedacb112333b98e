/** How many rows of answers a sender keeps, of each node and of all that are no better vouched for: rows are free to make up. */
import { NetworkError } from '../network/errors.ts'
import { MAX_CID_ROWS, MAX_ROWS, MAX_STRANGER_ROWS, MAX_STRANGERS_ROWS, MAX_UNVOUCHED_ROWS } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { SenderCensus } from './census.ts'

/** The room for the answers to one question. */
export interface RowRoom {
  /** Takes room for some more rows of a node. Throws {@link NetworkError} `size` where there is none. */
  take(node: NodeId, rows: number): void
}

const ROOM = {
  known: { each: MAX_ROWS, all: Infinity },
  unvouched: { each: MAX_UNVOUCHED_ROWS, all: MAX_ROWS },
  stranger: { each: MAX_STRANGER_ROWS, all: MAX_STRANGERS_ROWS }
}

/** Makes it for a question about so many CIDs, about all where undefined. */
export function createRowRoom(cids: number | undefined, census: Pick<SenderCensus, 'trusted' | 'counts'>): RowRoom {
  const asked = cids === undefined ? Infinity : cids * MAX_CID_ROWS
  const taken = new Map<string, number>()
  const take = (name: string, rows: number, most: number): boolean => {
    const sum = (taken.get(name) ?? 0) + rows
    taken.set(name, sum)
    return sum <= most
  }
  return {
    take(node, rows) {
      const kind = census.trusted(node) ? 'known' : census.counts(node) ? 'unvouched' : 'stranger'
      const each = Math.min(asked, ROOM[kind].each)
      if (!take(node, rows, each)) throw new NetworkError('size', `more than ${each} rows: ask for less at a time`)
      if (!take(kind, rows, ROOM[kind].all)) throw new NetworkError('size', `nodes that nobody named say more than ${ROOM[kind].all} rows`)
    }
  }
}
