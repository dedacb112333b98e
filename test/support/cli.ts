/** Runs the shipped program as its users do: real processes, in a folder of their own, that never outlive a test. */
import { spawn, type ChildProcess, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { mkdirSync, mkdtempSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const ROOT = resolve(import.meta.dirname, '../..')

/** What users run; `build-once.ts` has built what is behind it. */
export const PINSUB = join(ROOT, 'bin/pinsub.cjs')

/** An object that the program printed with `--json`. */
export type Event = Readonly<Record<string, unknown>> & { readonly event: string }

/** A program that has ended. */
export interface Ended {
  /** Null where a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** The lines of stdout as objects, with `--json`; throws for a line that is none. */
  readonly events: readonly Event[]
}

/** A program that runs. */
export interface Running extends AsyncDisposable {
  readonly child: ChildProcessWithoutNullStreams
  /** How it ended; rejects when it did not within its deadline. */
  readonly ended: Promise<Ended>
  /** The first event, already printed or to come, of which `is` holds; rejects when the program ends, or its time is up, without it. */
  event(is: (event: Event) => boolean): Promise<Event>
  /** The same for a line of stderr; of those after `since` where given, see {@link Running.said}. */
  complaint(pattern: RegExp, since?: number): Promise<string>
  /** How much it has said on stderr by now. */
  said(): number
  /** Sends a signal and waits for the end. */
  end(signal?: NodeJS.Signals): Promise<Ended>
}

/** How to run a program. */
export interface RunOptions {
  /** Added to an environment that has nothing but PATH, HOME and TMPDIR. */
  readonly env?: Readonly<Record<string, string>>
  /** Written to its standard input, which is then closed; null leaves it open with nothing in it. */
  readonly stdin?: string | null
  readonly cwd?: string
  /** Milliseconds after which it is killed and the test fails; 30,000 unless said. */
  readonly deadline?: number
}

/** A folder for the processes of one test or file: their HOME and TMPDIR are in it, and both go with it. */
export interface Sandbox extends AsyncDisposable {
  readonly dir: string
  /** Where the programs put what is temporary; empty unless one forgot something. */
  readonly temp: string
  /** A path in the folder. */
  path(...names: string[]): string
  /** Starts the program. */
  start(args: readonly string[], options?: RunOptions): Running
  /** Runs the program to its end. */
  run(args: readonly string[], options?: RunOptions): Promise<Ended>
  /** Starts any other program in the same way. */
  spawn(command: string, args: readonly string[], options?: RunOptions): Running
}

const alive = new Set<ChildProcess>()
process.on('exit', () => alive.forEach((child) => child.kill('SIGKILL')))

/** Makes a sandbox in the system's temporary folder; disposing of it kills what still runs in it. */
export function createSandbox(): Sandbox {
  const dir = mkdtempSync(join(tmpdir(), 'pinsub-e2e-'))
  const temp = join(dir, 'tmp')
  mkdirSync(temp)
  const running = new Set<Running>()
  const start = (command: string, args: readonly string[], options: RunOptions = {}): Running => {
    const env = { PATH: process.env['PATH'], HOME: dir, TMPDIR: temp, ...options.env }
    const started = follow(spawn(command, args, { cwd: options.cwd ?? dir, env, stdio: 'pipe' }), args.join(' '), options)
    running.add(started)
    return started
  }
  return {
    dir,
    temp,
    path: (...names) => join(dir, ...names),
    start: (args, options) => start(process.execPath, [PINSUB, ...args], options),
    run: (args, options) => start(process.execPath, [PINSUB, ...args], options).ended,
    spawn: start,
    async [Symbol.asyncDispose]() {
      await Promise.all([...running].map((each) => each[Symbol.asyncDispose]()))
      await rm(dir, { recursive: true, force: true })
    }
  }
}

function follow(child: ChildProcessWithoutNullStreams, name: string, { stdin, deadline = 30_000 }: RunOptions): Running {
  const watchers = new Set<() => void>()
  let stdout = ''
  let stderr = ''
  let isLate = false
  alive.add(child)
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    watchers.forEach((look) => look())
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text
    watchers.forEach((look) => look())
  })
  // A program that ends before it has read everything is no fault of the test.
  child.stdin.on('error', () => {})
  if (stdin !== null) child.stdin.end(stdin)
  const timer = setTimeout(() => {
    isLate = true
    child.kill('SIGKILL')
  }, deadline)
  const told = (): string => `pinsub ${name}\n--- stdout\n${stdout.slice(-4_000)}\n--- stderr\n${stderr.slice(-4_000)}`

  const { promise: ended, resolve: finish, reject } = Promise.withResolvers<Ended>()
  ended.catch(() => {}) // Whoever waits for it learns it; an agent that is only killed at the end need not.
  child.once('error', reject)
  child.once('close', (code, signal) => {
    clearTimeout(timer)
    alive.delete(child)
    if (isLate) reject(new Error(`still running after ${deadline} ms: ${told()}`))
    else
      finish({
        code,
        signal,
        stdout,
        stderr,
        get events() {
          return lines(stdout).map(parse)
        }
      })
    watchers.forEach((look) => look())
  })
  const hasEnded = (): boolean => !alive.has(child)

  const waitFor = <T>(find: () => T | undefined, what: string): Promise<T> =>
    new Promise((resolve, reject) => {
      const look = (): void => {
        try {
          const found = find()
          if (found !== undefined) resolve(found)
          else if (hasEnded()) reject(new Error(`ended without ${what}: ${told()}`))
          else return
        } catch (err) {
          reject(err as Error)
        }
        watchers.delete(look)
      }
      watchers.add(look)
      look()
    })

  const end = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<Ended> => {
    child.kill(signal)
    return ended
  }
  return {
    child,
    ended,
    // The last piece of what was printed may be half a line.
    event: (is) => waitFor(() => stdout.split('\n').slice(0, -1).map(parse).find(is), `the event ${is.toString()}`),
    complaint: (pattern, since = 0) =>
      waitFor(() => lines(stderr.slice(since)).find((line) => pattern.test(line)), `a complaint like ${pattern}`),
    said: () => stderr.length,
    end,
    async [Symbol.asyncDispose]() {
      if (hasEnded()) return
      child.kill('SIGKILL')
      await ended.catch(() => {})
    }
  }
}

function lines(text: string): string[] {
  return text.split('\n').filter((line) => line !== '')
}

function parse(line: string): Event {
  return JSON.parse(line) as Event
}
