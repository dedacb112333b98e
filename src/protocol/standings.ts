/** What a file makes of the authors that are known: the one rule that agents go by and that `keys check` foretells. Pure. */
import type { AuthorizedKeys } from './authorized-keys.ts'
import type { Author } from './ssh-key.ts'
import type { Standing } from './wish.ts'

/**
 * The standings that change when `keys` come into force at `now`: a line that is there opens its key, one that is gone closes it,
 * `@revoked` voids it. A key that the file revokes and that never counted gets none.
 */
export function changedStandings(
  known: ReadonlyMap<Author, Standing>,
  keys: Pick<AuthorizedKeys, 'grants' | 'revoked'>,
  now: number
): ReadonlyMap<Author, Standing> {
  const changed = new Map<Author, Standing>()
  const put = (author: Author, standing: Standing): void => {
    if (JSON.stringify(known.get(author)) !== JSON.stringify(standing)) changed.set(author, standing)
  }
  for (const [author, grant] of keys.grants) put(author, { grant, voided: keys.revoked.has(author) })
  for (const [author, standing] of known) {
    if (keys.grants.has(author)) continue
    // A void outlasts its `@revoked` line: only a line that grants again takes it back.
    put(author, { grant: standing.grant, closedAt: standing.closedAt ?? now, voided: standing.voided || keys.revoked.has(author) })
  }
  return changed
}
