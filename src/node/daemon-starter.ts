/** Starts the daemon while it does not answer (`--start-daemon`), one command at a time, with growing waits; ends what it started. */
import type { Clock } from '../protocol/clock.ts'
import type { BackendChange, BackendWatch } from './backend-watch.ts'
import type { Log } from './ports.ts'

/** The command, and how patient the starter is; milliseconds. */
export interface DaemonStarterOptions {
  /** For `sh -c`. */
  readonly command: string
  /** The wait before the second start; doubles with each. */
  readonly firstMs?: number
  /** The wait where a daemon is gone that did not end with a command: who started it may be starting it again. */
  readonly othersMs?: number
  /** The longest wait between starts. */
  readonly mostMs?: number
  /** A daemon that was up for so long has proven itself: waits begin anew. */
  readonly steadyMs?: number
  /** A command that runs and has not answered for so long hangs. */
  readonly hungMs?: number
  /** What is told to end may take so long. */
  readonly graceMs?: number
}

/** How a command ended. */
export interface CommandEnd {
  /** `code 1`, `SIGKILL`, or why it could not be run. */
  readonly how: string
  readonly isError: boolean
}

/** A command that runs. */
export interface RunningCommand {
  /** Resolves when it has ended; once it was told to, also all that it had started. Never rejects. */
  readonly ended: Promise<CommandEnd>
  /** Signals it and all that it started; no effect once it has ended. */
  kill(signal: 'SIGTERM' | 'SIGKILL'): void
}

/** Runs a command; `onLine` gets each line that it prints. */
export type RunCommand = (command: string, onLine: (line: string) => void) => RunningCommand

/** What the starter works with. */
export interface DaemonStarterPorts {
  /** Runs before the starter starts. */
  readonly watch: BackendWatch
  readonly clock: Clock
  readonly log: Log
  readonly run: RunCommand
}

/** The starter. */
export interface DaemonStarter {
  start(): void
  /** Ends the command that runs, if one does. */
  stop(): Promise<void>
}

/** What is shown of a line, characters. */
const MAX_LINE = 240

/** Makes a starter; it runs nothing before {@link DaemonStarter.start}. Only what it started itself is ever ended. */
export function createDaemonStarter(options: DaemonStarterOptions, ports: DaemonStarterPorts): DaemonStarter {
  const { command, firstMs = 1_000, othersMs = 10_000, mostMs = 60_000, steadyMs = 60_000, hungMs = 60_000, graceMs = 10_000 } = options
  const { watch, clock, log } = ports
  let started = false
  let running: RunningCommand | undefined
  let wait = 0
  let lastLine = ''
  /** When the command that runs last showed that it comes up. */
  let heardAt = 0
  let wasUp = false
  let isEnding = false
  let cancelStart: (() => void) | undefined
  let cancelHung = (): void => {}
  let cancelSteady = (): void => {}
  let cancelKill = (): void => {}
  let stopWatching = (): void => {}

  /** Where something answers, however wrongly, another daemon would find the port taken. */
  const isNeeded = (): boolean => watch.state().down?.answers === false

  const startIn = (ms: number): void => {
    if (!started || running !== undefined || cancelStart !== undefined || !isNeeded()) return
    cancelStart = clock.after(ms, () => void launchIfDown())
  }

  const launchIfDown = async (): Promise<void> => {
    await watch.ask()
    cancelStart = undefined
    if (started && isNeeded()) launch()
  }

  const launch = (): void => {
    wait = Math.min(mostMs, Math.max(firstMs, wait * 2))
    lastLine = ''
    heardAt = clock.now()
    wasUp = false
    isEnding = false
    log.info('starting Kubo with the command of --start-daemon')
    const made = ports.run(command, onLine)
    running = made
    awaitAnswer()
    void made.ended.then(onEnd)
  }

  const onLine = (text: string): void => {
    const line = text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').trim()
    if (line === '') return
    lastLine = line.length > MAX_LINE ? `${line.slice(0, MAX_LINE)}…` : line
    heardAt = clock.now()
    log.debug(`daemon: ${lastLine}`)
  }

  const onEnd = async ({ how, isError }: CommandEnd): Promise<void> => {
    cancelHung()
    cancelKill()
    const text = `the command of --start-daemon ended (${how})${lastLine === '' ? '' : `: ${lastLine}`}`
    if (isError && !isEnding) log.warn(text)
    else log.debug(text)
    if (!started) return
    isEnding = true
    // A command that returns has handed the daemon on, or the daemon ended with it: whoever asks it knows.
    await watch.ask()
    running = undefined
    startIn(wait)
  }

  /** Ends a command that runs, and does not answer for too long. Who still comes up, and says so, is given the time. */
  const awaitAnswer = (): void => {
    cancelHung()
    const { down } = watch.state()
    if (running === undefined || isEnding || down === undefined || down.answers) return
    const left = Math.max(down.since, wasUp ? 0 : heardAt) + hungMs - clock.now()
    if (left > 0) {
      cancelHung = clock.after(left, awaitAnswer)
      return
    }
    log.warn(`the daemon that --start-daemon started runs, and has not answered for ${hungMs / 1_000} s: it is ended and started again`)
    end(running)
  }

  const end = (command: RunningCommand): void => {
    isEnding = true
    command.kill('SIGTERM')
    cancelKill()
    cancelKill = clock.after(graceMs, () => command.kill('SIGKILL'))
  }

  const onBackend = (change: BackendChange): void => {
    if (change === 'down') {
      cancelSteady()
      if (running === undefined) startIn(wait === 0 ? 0 : othersMs)
      else awaitAnswer()
    } else if (change === 'back') {
      wasUp = true
      cancelHung()
      cancelStart?.()
      cancelStart = undefined
      cancelSteady = clock.after(steadyMs, () => (wait = firstMs))
    }
  }

  return {
    start() {
      started = true
      stopWatching = watch.onChange(onBackend)
      void watch.health().then((health) => {
        if (health.ok) wait = firstMs
        else startIn(wait)
      })
    },
    async stop() {
      started = false
      stopWatching()
      cancelStart?.()
      cancelHung()
      cancelSteady()
      if (running === undefined) return
      const { ended } = running
      end(running)
      await ended
      cancelKill()
    }
  }
}
