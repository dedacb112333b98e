/** The logs that a home has, and what it calls the authors in them. */
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { IdentityError } from '../../identity/errors.ts'
import { readAuthorizedKeys } from '../../identity/authorized-keys-file.ts'
import { parseKeyLine } from '../../protocol/authorized-keys.ts'
import type { LogSource } from '../../protocol/log-entry.ts'
import { openLedgerLog } from '../../storage/ledger-log.ts'
import { openLogReader, type LogReader } from '../../storage/log-reader.ts'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'

/** The logs of a home. */
export interface HomeLogs extends Disposable {
  readonly readers: ReadonlyMap<LogSource, LogReader>
  /** The comment of an author's key, where one is known, by now. */
  commentOf(author: string): string | undefined
}

/** Opens the log of the agent, of what was sent, or both: what is there of them. Throws a local error where there is neither. */
export async function openHomeLogs({ home, config }: Context, source: LogSource | undefined): Promise<HomeLogs> {
  const undo = new DisposableStack()
  try {
    const readers = new Map<LogSource, LogReader>()
    const comments = new Map<string, string>()
    let learn = (): void => {}
    if (source !== 'sender' && existsSync(home.stateDb)) {
      const reader = undo.use(openLogReader(home.stateDb))
      readers.set('node', reader)
      // Closed and revoked keys, too.
      learn = () => reader.standings().forEach(({ grant }, author) => comments.set(author, grant.comment))
      learn()
    }
    if (source !== 'node' && existsSync(home.ledger)) readers.set('sender', undo.use(openLedgerLog(home.ledger)))
    if (readers.size === 0) {
      const what = { node: 'no agent has run in it', sender: 'nothing was sent from it' }
      const why = source === undefined ? 'no agent has run in it, and nothing was sent from it' : what[source]
      throw new CliError(EXIT.local, 'no-log', `there is no log in ${home.dir}: ${why}`, 'name another home: --home DIR')
    }
    for (const [author, comment] of await commentsInFiles(home.key, config.authorizedKeys ?? home.authorizedKeys)) {
      if (comment !== '') comments.set(author, comment)
    }
    const done = undo.move()
    const commentOf = (author: string): string | undefined => {
      if (!comments.has(author)) learn()
      return comments.get(author) || undefined
    }
    return { readers, commentOf, [Symbol.dispose]: () => done.dispose() }
  } catch (err) {
    undo.dispose()
    throw err
  }
}

/** A name is a courtesy: files that cannot be read give none. */
async function commentsInFiles(key: string, authorizedKeys: string): Promise<[string, string][]> {
  const own = await readFile(`${key}.pub`, 'utf8')
    .then(parseKeyLine)
    .catch(() => undefined)
  const grants = await readAuthorizedKeys(authorizedKeys).then(
    (keys) => [...keys.grants.values()],
    (err: unknown) => {
      if (err instanceof IdentityError) return []
      throw err
    }
  )
  return [...(own === undefined ? [] : [own]), ...grants].map(({ author, comment }) => [author, comment])
}
