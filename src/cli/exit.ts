/** Exit codes, and what is said when a command fails. */
import type { Output } from './output.ts'

/** The contract of README and design: scripts depend on it. */
export const EXIT = { ok: 0, local: 1, usage: 2, short: 3, refused: 4, unreached: 5, interrupted: 130 } as const

/** An error of the command line itself. */
export class CliError extends Error {
  override readonly name = 'CliError'
  readonly exit: number
  readonly code: string
  readonly hint: string | undefined

  constructor(exit: number, code: string, message: string, hint?: string) {
    super(message)
    this.exit = exit
    this.code = code
    this.hint = hint
  }
}

interface Coded {
  readonly name: string
  readonly code?: unknown
  readonly message: string
}

/** By the stable name of an error class, so that no command loads a room only to recognise its errors. */
const BY_NAME: Readonly<Record<string, number>> = {
  ConfigError: EXIT.usage,
  InvalidTextError: EXIT.usage,
  IdentityError: EXIT.local,
  AgentError: EXIT.local,
  StorageError: EXIT.local,
  LockError: EXIT.local,
  ContentError: EXIT.local,
  BackendError: EXIT.local
}

const HINTS: Readonly<Record<string, string>> = {
  'IdentityError encrypted':
    'it is asked for on a terminal; without one name a file with it in PINSUB_KEY_PASSPHRASE_FILE, or ssh-add the key and give --key agent:COMMENT',
  'SenderError no-bootstrap': 'give one with --bootstrap IP, or once and for all: pinsub init --bootstrap IP'
}

function exitOf({ name, code }: Coded): number {
  if (name === 'SenderError') return code === 'usage' ? EXIT.usage : EXIT.unreached
  if (name === 'NetworkError') return code === 'address' ? EXIT.usage : code === 'address-in-use' ? EXIT.local : EXIT.unreached
  return BY_NAME[name] ?? EXIT.local
}

/** Says what went wrong and returns the exit code for it. Stack traces only where `verbose`. */
export function report(err: unknown, output: Output, stderr: NodeJS.WriteStream, verbose: boolean): number {
  const error: Coded = err instanceof Error ? (err as Coded) : { name: 'Error', message: String(err) }
  const code = err instanceof CliError ? err.code : typeof error.code === 'string' ? error.code : 'unexpected'
  const hint = err instanceof CliError ? err.hint : HINTS[`${error.name} ${code}`]
  output.settle()
  output.event({ event: 'error', code, message: error.message, ...(hint === undefined ? {} : { hint }) })
  if (!output.json) {
    stderr.write(`pinsub: ${error.message}\n`)
    if (hint !== undefined) stderr.write(`  ${hint}\n`)
  }
  if (verbose && err instanceof Error) stderr.write(`${err.stack}\n`)
  return err instanceof CliError ? err.exit : exitOf(error)
}
