/** Where words go: results to stdout, progress and advice to stderr, or one JSON object a line with `--json`. */

/** The streams a command writes to. */
export interface Streams {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

/** The output of one command. */
export interface Output {
  readonly json: boolean
  /** An object for `--json`; nothing otherwise. */
  event(event: object): void
  /** A line of the result, for people; nothing with `--json`. */
  result(text: string): void
  /** Progress or advice, for people; nothing with `--json`. */
  note(text: string): void
  /** Replaces the lines shown last by these, on a terminal; shows nothing elsewhere. */
  live(lines: readonly string[]): void
  /** Takes the live lines away. */
  settle(): void
  bold(text: string): string
  dim(text: string): string
}

// oxlint-disable-next-line no-control-regex
const STYLES = /\u001b\[[012]m/g

/** Control characters but for the line end, and those that turn the direction of text. */
const STEERING = /[^\P{Cc}\n]|[\u202a-\u202e\u2066-\u2069]/gu

/** The text with control characters shown as `\\x1b`; line ends and our own styles stay. */
export function harmless(text: string): string {
  const escape = (part: string): string => part.replace(STEERING, (c) => `\\x${c.charCodeAt(0).toString(16).padStart(2, '0')}`)
  const styles = text.match(STYLES) ?? []
  const parts = text.split(STYLES).map((part, i) => escape(part) + (styles[i] ?? ''))
  return parts.join('')
}

/** What JSON lets stand and terminals, or readers of lines, obey: C1, ends of lines, and all that turns the direction of text. */
const STEERING_JSON = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g

/** A value as JSON without these characters: they only ever stand within strings, where each has an escape. */
export function harmlessJson(value: object): string {
  return JSON.stringify(value).replace(STEERING_JSON, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Makes an output. Colour and live lines need a terminal on stderr and no `NO_COLOR` or `TERM=dumb`. */
export function createOutput(json: boolean, streams: Streams, env: NodeJS.ProcessEnv): Output {
  const { stdout, stderr } = streams
  const isTerminal = stderr.isTTY === true && env['TERM'] !== 'dumb'
  const hasColour = isTerminal && stdout.isTTY === true && (env['NO_COLOR'] ?? '') === ''
  let shown = 0
  const clear = (): void => {
    if (shown > 0) stderr.write(`\u001b[${shown}A\u001b[J`)
    shown = 0
  }
  // Names, versions and addresses come from strangers: none of them may steer the terminal.
  const write = (stream: NodeJS.WriteStream, text: string): void => void stream.write(`${harmless(text)}\n`)
  const style = (code: string, text: string): string => (hasColour ? `\u001b[${code}m${text}\u001b[0m` : text)
  return {
    json,
    event(event) {
      if (json) stdout.write(`${harmlessJson(event)}\n`)
    },
    result(text) {
      if (json) return
      clear()
      write(stdout, text)
    },
    note(text) {
      if (json) return
      clear()
      write(stderr, text)
    },
    live(lines) {
      if (json || !isTerminal) return
      clear()
      const width = (stderr.columns ?? 80) - 1
      const fitting = lines.slice(0, Math.max(1, (stderr.rows ?? 24) - 2)).map((line) => harmless(line).slice(0, width))
      stderr.write(fitting.map((line) => `${line}\n`).join(''))
      shown = fitting.length
    },
    settle: clear,
    bold: (text) => style('1', text),
    dim: (text) => style('2', text)
  }
}
