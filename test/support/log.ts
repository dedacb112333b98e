import type { Log } from '../../src/node/ports.ts'

/** A log that keeps what it is told, each as `level message`. */
export interface KeptLog extends Log {
  readonly lines: string[]
  /** What was said at a level since the last call. */
  take(level: 'debug' | 'info' | 'warn'): string[]
}

/** Makes an empty one. */
export function keepLog(): KeptLog {
  const lines: string[] = []
  const say = (level: string) => (message: string) => void lines.push(`${level} ${message}`)
  return {
    lines,
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    take(level) {
      const taken = lines.filter((line) => line.startsWith(`${level} `))
      lines.splice(0, lines.length, ...lines.filter((line) => !taken.includes(line)))
      return taken.map((line) => line.slice(level.length + 1))
    }
  }
}
