/** Runs a command of the operator's through `sh -c`, in a process group of its own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Clock } from '../protocol/clock.ts'
import type { CommandEnd, RunCommand } from './daemon-starter.ts'

/** How often it is looked whether what was told to end is gone, milliseconds. */
const LOOK_MS = 50
/** After a SIGKILL nothing is left but what nobody collects: it is not waited for longer than this. Milliseconds. */
const KILLED_MS = 1_000
/** Last words may still be in the pipe when a process ends, milliseconds. */
const DRAIN_MS = 200

/** Told to end, the shell waits for what it runs: an orphan would be nobody's to collect where the agent is alone in a container. */
const WAITS = "trap 'exit 143' TERM\n"

/** Makes the runner. What still runs in the foreground when this process ends is told to end, too. */
export function createShell({ clock }: { readonly clock: Clock }): RunCommand {
  const wait = (ms: number): Promise<void> => new Promise((resolve) => void clock.after(ms, resolve))

  return (command, onLine) => {
    const child = spawn('sh', ['-c', WAITS + command], { detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    let isOver = false
    let told: NodeJS.Signals | undefined
    let killedAt = Infinity

    /** Signal 0 only asks whether there is anything left of the group. */
    const signal = (name: NodeJS.Signals | 0): boolean => {
      // A number that is free again may be another's.
      if (isOver || child.pid === undefined) return false
      try {
        return process.kill(-child.pid, name)
      } catch {
        return false
      }
    }
    const onExit = (): void => void signal('SIGTERM')
    process.once('exit', onExit)

    const follow = async (): Promise<CommandEnd> => {
      const closed = once(child, 'close').catch(() => {})
      for (const stream of [child.stdout, child.stderr]) createInterface({ input: stream }).on('line', onLine)
      let end: CommandEnd
      try {
        const [code, name] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null]
        end = { how: name ?? `code ${code}`, isError: code !== 0 }
        await Promise.race([closed, wait(DRAIN_MS)])
        // The shell may end before what it runs. What it left behind of its own accord is not ours to end.
        while (told !== undefined && signal(0) && clock.now() - killedAt < KILLED_MS) await wait(LOOK_MS)
      } catch (err) {
        end = { how: err instanceof Error ? err.message : String(err), isError: true }
      }
      isOver = true
      process.off('exit', onExit)
      return end
    }
    return {
      ended: follow(),
      kill(name) {
        told = name
        if (name === 'SIGKILL') killedAt = Math.min(killedAt, clock.now())
        signal(name)
      }
    }
  }
}
