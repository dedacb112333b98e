/** What is known of every author that ever counted: its line as it stands, or stood last. */
import type { AuthorizedKeys } from '../protocol/authorized-keys.ts'
import { closedAt, type Grant } from '../protocol/grants.ts'
import type { Author } from '../protocol/ssh-key.ts'
import { changedStandings } from '../protocol/standings.ts'
import type { Standing } from '../protocol/wish.ts'
import { noChanges, type Changes, type Settler } from './settle.ts'
import type { Store } from './store.ts'

/** CIDs settled in one transaction when keys change: keeps the event loop free between them. */
const BATCH = 500

/** The book of authors. */
export interface Standings {
  get(author: Author): Standing | undefined
  /** The line of a key that may say something new at `now`, or why it may not. */
  grant(author: Author, now: number): Grant | 'unauthorised' | 'expired'
  /** How many keys may command. */
  count(): number
  /**
   * Takes over a file as read: a line that is gone closes its key, `@revoked` voids it, a line that is back opens it.
   * Resolves when every CID those keys spoke of is settled anew; `onChanges` is called after each durable step.
   */
  apply(keys: AuthorizedKeys, settler: Settler, now: number, onChanges: (changes: Changes) => void): Promise<void>
}

/** Opens the book kept in `store`. Until {@link Standings.apply} is called nobody may command. */
export function openStandings(store: Store): Standings {
  const known = new Map(store.standings())
  let current: AuthorizedKeys | undefined

  const settleAll = async (author: Author, settler: Settler, now: number, onChanges: (changes: Changes) => void): Promise<void> => {
    let after = ''
    for (;;) {
      const cids = store.cidsOfAuthor(author, after, BATCH)
      if (cids.length === 0) {
        store.markSettled(author)
        return
      }
      const changes = noChanges()
      store.transaction(() => cids.forEach((cid) => settler.settle(cid, now, changes)))
      onChanges(changes)
      after = cids.at(-1) as string
      await new Promise(setImmediate)
    }
  }

  return {
    get: (author) => known.get(author),
    grant(author, now) {
      const grant = current?.revoked.has(author) === true ? undefined : current?.grants.get(author)
      return closedAt(grant, now) ?? (grant as Grant)
    },
    count: () => current?.grants.size ?? 0,
    async apply(keys, settler, now, onChanges) {
      current = keys
      store.transaction(() => {
        for (const [author, standing] of changedStandings(known, keys, now)) {
          known.set(author, standing)
          store.putStanding(author, standing)
          store.markUnsettled(author)
        }
      })
      // Also those of a run that ended before it was through.
      for (const author of store.unsettled()) await settleAll(author, settler, now, onChanges)
    }
  }
}
