/** authorized_keys, watched: what it says is in force within a second of a change, and no half-made edit ever is. */
import { parseAuthorizedKeys, parseKeyLine, withExtra, type AuthorizedKeys } from '../protocol/authorized-keys.ts'
import type { Clock } from '../protocol/clock.ts'
import type { Grant } from '../protocol/grants.ts'
import { readAuthorizedKeysText } from './authorized-keys-file.ts'
import { IdentityError } from './errors.ts'
import { watchSettledFile } from './settled-file.ts'

/** Which file, and what counts besides it. */
export interface AuthorizedKeysWatchOptions {
  readonly file: string
  /** Lines of `--authorize`: they count after the file's own (which may revoke them) and stay when the file goes. */
  readonly extraLines?: readonly string[]
}

/** Who hears of changes. */
export interface AuthorizedKeysWatchPorts {
  readonly clock: Clock
  /** The file says something else than before. Not called for what `start` returned. Keys of extra lines have no line number. */
  onChange(keys: AuthorizedKeys): void
  /**
   * Why the file as a whole counts for nothing (no grants; what it revoked last stays revoked); undefined once it counts again.
   * Called on change only, within `start` too; a missing file is no problem where there are extra lines.
   */
  onProblem(problem: IdentityError | undefined): void
}

/** A watched authorized_keys file. */
export interface AuthorizedKeysWatch {
  /** Reads the file and begins to watch. Rejects with `InvalidTextError` for a bad extra line, never because of the file. */
  start(): Promise<AuthorizedKeys>
  /** Reads the file at once (SIGHUP), an empty or missing one too; resolves when what it says is in force. */
  reload(): Promise<void>
  stop(): void
}

const NOTHING: AuthorizedKeys = { grants: new Map(), revoked: new Set(), problems: [], skipped: 0, lines: new Map() }

/** Makes the watcher; when a change counts is said in {@link watchSettledFile}. */
export function watchAuthorizedKeys(options: AuthorizedKeysWatchOptions, ports: AuthorizedKeysWatchPorts): AuthorizedKeysWatch {
  const { file, extraLines = [] } = options
  const { clock, onChange, onProblem } = ports
  let extra: readonly Grant[] = []
  let keys = NOTHING
  let text: string | undefined
  let problem: string | undefined
  let started = false

  function take(found: string | Error): void {
    if (typeof found !== 'string' && !(found instanceof IdentityError)) throw found
    const fault = typeof found === 'string' || (found.code === 'missing' && extra.length > 0) ? undefined : found
    if (fault?.message !== problem) onProblem(fault)
    problem = fault?.message
    const now = typeof found === 'string' ? found : undefined
    if (started && now === text) return
    text = now
    // What a file voided must not come to life because the file went away.
    keys = withExtra(text === undefined ? { ...NOTHING, revoked: keys.revoked } : parseAuthorizedKeys(text), extra)
    if (started) onChange(keys)
  }

  const settled = watchSettledFile({ file, read: () => readAuthorizedKeysText(file) }, { clock, take })
  return {
    async start() {
      extra = extraLines.map((line) => parseKeyLine(line).grant)
      await settled.start()
      started = true
      return keys
    },
    reload: () => settled.reload(),
    stop: () => settled.stop()
  }
}
