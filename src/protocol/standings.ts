/** What a file and messages make of the authors that are known: the rules that agents go by and that `keys check` foretells. Pure. */
import type { AdminOutcome } from './admin.ts'
import type { AuthorizedKeys } from './authorized-keys.ts'
import type { Author } from './ssh-key.ts'
import type { Standing } from './wish.ts'

/**
 * The standings by the file alone that change when `keys` come into force at `now`: a line that is there opens its key, one that is gone
 * closes it, `@revoked` voids it. A key that the file revokes and that never counted gets none.
 */
export function refiled(
  filed: ReadonlyMap<Author, Standing>,
  keys: Pick<AuthorizedKeys, 'grants' | 'revoked'>,
  now: number
): ReadonlyMap<Author, Standing> {
  const changed = new Map<Author, Standing>()
  for (const [author, grant] of keys.grants) changed.set(author, { grant, voided: keys.revoked.has(author) })
  for (const [author, { grant, closedAt = now, voided }] of filed) {
    // A void outlasts its `@revoked` line: only a line that grants again takes it back.
    if (!keys.grants.has(author)) changed.set(author, { grant, closedAt, voided: voided || keys.revoked.has(author) })
  }
  return different(filed, changed)
}

/** The standings that change when file and messages come to `outcome`. A key that was let in by somebody whose word has fallen is void. */
export function changedStandings(known: ReadonlyMap<Author, Standing>, { keys }: AdminOutcome): ReadonlyMap<Author, Standing> {
  const changed = new Map([...keys].map(([author, { standing }]) => [author, standing]))
  for (const [author, { grant }] of known) if (!keys.has(author)) changed.set(author, { grant, voided: true })
  return different(known, changed)
}

function different(before: ReadonlyMap<Author, Standing>, after: ReadonlyMap<Author, Standing>): ReadonlyMap<Author, Standing> {
  return new Map([...after].filter(([author, standing]) => JSON.stringify(before.get(author)) !== JSON.stringify(standing)))
}
