/** Programs on a terminal of their own, typed into as a person would. */
import { spawnSync } from 'node:child_process'
import { test } from 'vitest'
import type { Ended, RunOptions, Sandbox } from './cli.ts'

/** Whether there is a program that makes terminals: `script` of util-linux. */
export const hasTerminal = spawnSync('script', ['-qec', 'true', '/dev/null'], { stdio: 'ignore' }).status === 0

/** Says loudly that what follows is not tried, where there is none. */
export function sayWithoutTerminal(what: string): void {
  if (hasTerminal) return
  const message = `SKIPPED: "script" (util-linux) is not on PATH, so ${what} NOT tried`
  console.warn(message)
  test.skip(message, () => {})
}

/** A shell that runs a command line on a terminal. */
export interface OnTerminal {
  /** Resolves once the screen has shown the pattern, behind what was waited for before; rejects when the command ends without it. */
  shows(pattern: RegExp): Promise<void>
  type(text: string): void
  /** How it ended; `stdout` is all that the screen has shown. */
  readonly ended: Promise<Ended>
}

/** Runs a line of shell on a terminal. */
export function onTerminal(sandbox: Sandbox, line: string, env: RunOptions['env'] = {}): OnTerminal {
  const running = sandbox.spawn('script', ['-qec', line, '/dev/null'], { stdin: null, env: { SHELL: '/bin/sh', ...env } })
  let seen = ''
  let look = (): void => {}
  running.child.stdout.on('data', (text: string) => {
    seen += text
    look()
  })
  return {
    shows: (pattern) =>
      new Promise((resolve, reject) => {
        look = () => {
          const found = pattern.exec(seen)
          if (found === null) return
          seen = seen.slice(found.index + found[0].length)
          look = () => {}
          resolve()
        }
        running.ended.then(({ stdout }) => reject(new Error(`ended without ${pattern}:\n${stdout}`)), reject)
        look()
      }),
    type: (text) => void running.child.stdin.write(text),
    ended: running.ended
  }
}
