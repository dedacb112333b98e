/** Who may command: the watched file, put in force. */
import { watchAuthorizedKeys } from '../identity/authorized-keys-watch.ts'
import { keepMessageNote } from '../identity/message-note-file.ts'
import type { AdminCommand } from '../protocol/admin.ts'
import type { AuthorizedKeys } from '../protocol/authorized-keys.ts'
import type { Clock } from '../protocol/clock.ts'
import { messageNote } from '../protocol/message-note.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { Log } from './ports.ts'
import type { Changes, Settler } from './settle.ts'
import type { Standings, StandingsPorts } from './standings.ts'

/** The keys in force. */
export interface Keys {
  /** Puts in force what the file says now, and from then on what it comes to say. */
  start(): Promise<void>
  stop(): Promise<void>
  /** Reads the file now. */
  reload(): Promise<void>
  /** Takes over what admins said, once it is stored; who may command has changed when this returns. */
  hear(commands: readonly AdminCommand[]): void
}

function count(keys: number): string {
  return `${keys} ${keys === 1 ? 'key' : 'keys'}`
}

/** All that lines of a file come to. */
function whatItSays({ grants, revoked, problems, skipped }: AuthorizedKeys): string {
  return JSON.stringify([[...grants.values()], [...revoked], problems.map(({ message }) => message), skipped])
}

/** A disk that is full now may have room later, milliseconds. */
const RETRY_MS = 5_000

/** How often a note is put back at once where it was taken out while it was written, and how often in a minute in all. */
const MAX_NOTE_TRIES = 5
const MAX_NOTES = 10
const NOTE_WINDOW_MS = 60_000

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
    /** Nodes of which admins spoke, and whether they are trusted; called often. */
    onNodes(nodes: ReadonlyMap<NodeId, boolean>): void
    /** A change of the file is in force: there may be more to fetch. */
    onApplied(): void
  }
): Keys {
  const { file } = options
  const { standings, settler, clock, log } = ports
  let current: AuthorizedKeys = { grants: new Map(), revoked: new Set(), problems: [], skipped: 0, lines: new Map() }
  let cancelRetry = (): void => {}
  let noting: Promise<void> = Promise.resolve()
  let isStopped = false
  /** Whether this agent has put a note there, and when it did lately. */
  let hasNoted = false
  let noted: number[] = []
  /** The note that the file does not take, as it was said last. */
  let obeyed = ''

  const settlePorts = (): StandingsPorts => ({ settler, now: clock.now(), onChanges: ports.onChanges })

  const apply = async (next: AuthorizedKeys): Promise<void> => {
    current = next
    for (const { line, message } of next.problems) log.warn(`${file}:${line}: ${message}`)
    const settled = standings.apply(next, settlePorts())
    tellMessages()
    await settled
  }

  /** What messages come to goes to whom it concerns besides: the list of known nodes, and whoever reads the file. */
  const tellMessages = (): void => {
    const { keys, nodes } = standings.outcome()
    ports.onNodes(nodes)
    noting = noting
      .then(() => note(messageNote({ keys })))
      .catch((err: unknown) => log.warn(`cannot note messages in ${file}: ${String(err)}`))
  }

  const note = async (lines: readonly string[]): Promise<void> => {
    // Where no message is in force, a note that is there is another agent's.
    if (isStopped || (lines.length === 0 && !hasNoted)) return
    let kept = await keepNote(lines)
    // An old text that is saved back at once is a change only to a watch that has seen this one.
    for (let tries = 1; kept === 'written' && tries < MAX_NOTE_TRIES; tries++) {
      await watch.reload()
      kept = await keepNote(lines)
    }
    const text = lines.join('\n')
    if (isStopped || kept !== 'refused' || lines.length === 0 || text === obeyed) return
    obeyed = text
    log.info(`${file} is not pinsub's own, or not to be written: what admins said by message is obeyed from the store (pinsub keys list)`)
  }

  const keepNote = async (lines: readonly string[]): Promise<Awaited<ReturnType<typeof keepMessageNote>>> => {
    const now = clock.now()
    noted = noted.filter((at) => at > now - NOTE_WINDOW_MS)
    // Somebody else takes it out again and again: another agent, or a tool that owns the file.
    if (noted.length >= MAX_NOTES) return 'there'
    const kept = await keepMessageNote(file, lines)
    if (kept === 'written') {
      hasNoted = true
      noted.push(now)
      if (noted.length === MAX_NOTES)
        log.warn(`${file} is written by somebody else over and over: what came by message is not noted there for now`)
    }
    return kept
  }

  const watch = watchAuthorizedKeys(options, {
    clock,
    onChange: (next) => {
      // A note of ours changes the text alone.
      if (whatItSays(next) !== whatItSays(current)) log.info(`${file} changed: ${count(next.grants.size)} may command`)
      apply(next).then(ports.onApplied, tryAgain)
    },
    onProblem: (problem) => {
      if (problem !== undefined) log.warn(problem.message)
    }
  })

  const hear = (commands: readonly AdminCommand[]): void => {
    const before = standings.count()
    try {
      const { isChanged, settled } = standings.hear(commands, settlePorts())
      settled.catch(tryAgain)
      if (!isChanged) return
      tellMessages()
      settled.then(ports.onApplied, () => {}) // Told above.
      log.info(`admins spoke of keys: ${count(standings.count())} may command, ${before} before`)
    } catch (err) {
      tryAgain(err)
    }
  }

  /** What is in force may not be durable, or not acted on yet. */
  const tryAgain = (err: unknown): void => {
    log.warn(`cannot store a change of keys, tried again in ${RETRY_MS / 1_000} s: ${err instanceof Error ? err.message : String(err)}`)
    cancelRetry()
    cancelRetry = clock.after(RETRY_MS, () => hear([]))
  }

  return {
    start: async () => apply(await watch.start()),
    async stop() {
      isStopped = true
      watch.stop()
      cancelRetry()
      await noting
    },
    reload: () => watch.reload(),
    hear
  }
}
