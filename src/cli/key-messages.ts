/** What messages say of keys, as the node of a home goes by it. */
import { existsSync } from 'node:fs'
import { keyOutcome } from '../node/key-outcome.ts'
import type { AuthorizedKeys } from '../protocol/authorized-keys.ts'
import type { Grant } from '../protocol/grants.ts'
import type { Author } from '../protocol/ssh-key.ts'
import { openStateReader } from '../storage/state-reader.ts'
import type { Context } from './context.ts'

/** What a message says of a key, as `--json` has it. */
export interface MessageWord {
  readonly says: 'authorize' | 'close' | 'revoke'
  readonly by: string
  readonly command: string
  readonly at: string
}

/** Of every key of which a message speaks, what it says; nothing where no node has run in this home. */
export function saidByMessage(
  { config, home }: Context,
  keys: AuthorizedKeys,
  now: number
): ReadonlyMap<Author, MessageWord & { readonly grant?: Grant; readonly line?: string }> {
  if (!existsSync(home.stateDb)) return new Map()
  using state = openStateReader(home.stateDb)
  const outcome = keyOutcome(state, keys, { network: config.network ?? '', obeysMessages: config.remoteKeys, now })
  return new Map(
    [...outcome.keys].flatMap(([author, { standing, word, line }]) =>
      word === undefined
        ? []
        : [
            [
              author,
              { ...word, at: new Date(word.at).toISOString(), grant: standing.grant, ...(line === undefined ? {} : { line }) }
            ] as const
          ]
    )
  )
}
