/** Entry of the program: parses the command line, runs one command, and ends with its exit code. */
import { readFileSync } from 'node:fs'
import { CommanderError } from 'commander'
import type { Context } from './context.ts'
import { EXIT, report } from './exit.ts'
import { createOutput } from './output.ts'
import { createProgram } from './program.ts'
import { boundYoungGeneration } from './young-generation.ts'

/** A clean end that takes longer is none, milliseconds. */
const GRACE_MS = 20_000

declare const PINSUB_VERSION: string | undefined

/** Set by the build; read from the manifest where the sources run. */
function version(): string {
  if (typeof PINSUB_VERSION === 'string') return PINSUB_VERSION
  return (JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }).version
}

/** Runs a command line (without node and script) and returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const { stdin, stdout, stderr, env } = process
  const stop = new AbortController()
  const onSignal = (): void => {
    // The first asks for a clean end, the second takes it.
    if (stop.signal.aborted) process.exit(EXIT.interrupted)
    stop.abort(new DOMException('interrupted', 'AbortError'))
    setTimeout(() => process.exit(EXIT.interrupted), GRACE_MS).unref()
  }
  process.on('SIGINT', onSignal)
  process.on('SIGTERM', onSignal)
  stdout.on('error', (err: NodeJS.ErrnoException) => {
    // A reader that closed the pipe early (head) is no error of ours; a full disk is, and what was to be written is not there.
    if (err.code === 'EPIPE') process.exit(EXIT.ok)
    stderr.write(`pinsub: cannot write to stdout: ${err.message}\n`)
    process.exit(EXIT.local)
  })
  // Words that nobody reads any more end nothing.
  stderr.on('error', () => {})
  // Timers of the network room do not keep a program alive; the command that runs does.
  const alive = setInterval(() => {}, 1 << 30)

  let code: number = EXIT.ok
  let isVerbose = argv.includes('--verbose')
  let output = createOutput(argv.includes('--json'), process, env)
  const run = async (flags: Readonly<Record<string, unknown>>, handler: (context: Context) => Promise<number>): Promise<void> => {
    const { createContext } = await import('./context.ts')
    const context = await createContext(flags, { stdin, stdout, stderr, env, signal: stop.signal, version: version() })
    output = context.output
    isVerbose = context.config.verbose
    code = await handler(context)
  }
  try {
    const program = createProgram(run, version())
    const quiet = (text: string): void => void (output.json || stderr.write(text))
    for (const each of [program, ...program.commands.flatMap((child) => [child, ...child.commands])]) {
      each
        .exitOverride()
        .configureOutput({ writeErr: quiet, outputError: (text, write) => write(`pinsub: ${harmless(text.replace(/^error: /, ''))}`) })
    }
    await program.parseAsync(argv, { from: 'user' })
  } catch (err) {
    if (err instanceof CommanderError) {
      if (err.exitCode !== 0) output.event({ event: 'error', code: 'usage', message: usageMessage(err), hint: 'pinsub --help' })
      code = err.exitCode === 0 ? EXIT.ok : EXIT.usage
    } else if (stop.signal.aborted) {
      code = EXIT.interrupted
    } else {
      code = report(err, output, stderr, isVerbose)
    }
  } finally {
    clearInterval(alive)
  }
  return code
}

/** Where the help is shown because a command is missing, commander has no words. */
function usageMessage({ code, message }: CommanderError): string {
  return code === 'commander.help' ? 'no command was given' : harmless(message.replace(/^error: /, ''))
}

/** A usage error quotes what was given; a private key that was given by mistake must not end in a log. */
function harmless(text: string): string {
  return text.includes('-----BEGIN') ? 'that is a private key, and none belongs on a command line: give its public line (FILE.pub)\n' : text
}

/** Runs the command line of this process and ends it. */
export async function run(): Promise<never> {
  // An agent runs for months, everything else for seconds.
  if (process.argv.includes('node')) boundYoungGeneration()
  const code = await main(process.argv.slice(2))
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise<void>((resolve) => stream.write('', () => resolve()))))
  process.exit(code)
}

if (import.meta.main) await run()
