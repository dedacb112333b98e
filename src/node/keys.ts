/** Who may command: the watched file, put in force. */
import { watchAuthorizedKeys } from '../identity/authorized-keys-watch.ts'
import type { AdminCommand } from '../protocol/admin.ts'
import type { AuthorizedKeys } from '../protocol/authorized-keys.ts'
import type { Clock } from '../protocol/clock.ts'
import type { Log } from './ports.ts'
import type { Changes, Settler } from './settle.ts'
import type { Standings, StandingsPorts } from './standings.ts'

/** The keys in force. */
export interface Keys {
  /** Puts in force what the file says now, and from then on what it comes to say. */
  start(): Promise<void>
  stop(): void
  /** Reads the file now. */
  reload(): Promise<void>
  /** Takes over what admins said, once it is stored; who may command has changed when this returns. */
  hear(commands: readonly AdminCommand[]): void
  /** As last read. */
  current(): AuthorizedKeys
}

/** A disk that is full now may have room later, milliseconds. */
const RETRY_MS = 5_000

/** Makes it; `extraLines` count besides the file. */
export function createKeys(
  options: { readonly file: string; readonly extraLines: readonly string[] },
  ports: {
    readonly standings: Standings
    readonly settler: Settler
    readonly clock: Clock
    readonly log: Log
    /** Called after each durable step. */
    onChanges(changes: Changes): void
    /** A change of the file is in force: there may be more to fetch. */
    onApplied(): void
  }
): Keys {
  const { file } = options
  const { standings, settler, clock, log } = ports
  let current: AuthorizedKeys = { grants: new Map(), revoked: new Set(), problems: [], skipped: 0, lines: new Map() }
  let cancelRetry = (): void => {}

  const settlePorts = (): StandingsPorts => ({ settler, now: clock.now(), onChanges: ports.onChanges })

  const apply = (next: AuthorizedKeys): Promise<void> => {
    current = next
    for (const { line, message } of next.problems) log.warn(`${file}:${line}: ${message}`)
    return standings.apply(next, settlePorts())
  }

  const watch = watchAuthorizedKeys(options, {
    clock,
    onChange: (next) => {
      log.info(`${file} changed: ${next.grants.size} keys may command`)
      apply(next).then(ports.onApplied, (err: unknown) => log.warn(`cannot apply ${file}: ${String(err)}`))
    },
    onProblem: (problem) => {
      if (problem !== undefined) log.warn(problem.message)
    }
  })

  const hear = (commands: readonly AdminCommand[]): void => {
    cancelRetry()
    const before = standings.count()
    standings.hear(commands, settlePorts()).then(ports.onApplied, (err: unknown) => {
      log.warn(
        `cannot store what admins said of keys, tried again in ${RETRY_MS / 1_000} s: ${err instanceof Error ? err.message : String(err)}`
      )
      cancelRetry = clock.after(RETRY_MS, () => hear([]))
    })
    log.info(`admins spoke of keys: ${standings.count()} may command, ${before} before`)
  }

  return {
    start: async () => apply(await watch.start()),
    stop() {
      watch.stop()
      cancelRetry()
    },
    reload: () => watch.reload(),
    hear,
    current: () => current
  }
}
