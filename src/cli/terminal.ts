/** The terminal that a person sits at, also where standard input and output are files or pipes. */
import { closeSync, openSync } from 'node:fs'
import { ReadStream, WriteStream } from 'node:tty'
import { CliError, EXIT } from './exit.ts'

/** A secret is longer than this only by accident. */
const MAX_CHARACTERS = 4_096

const ENTER = /[\r\n]/
const CTRL_C = '\u0003'
const CTRL_D = '\u0004'
const CTRL_U = '\u0015'
const ERASE = new Set(['\u007f', '\b'])

/** Asks for a line that is not shown. */
export type AskSecret = (question: string) => Promise<string>

/**
 * How to ask on the terminal of this process; undefined where nobody sits at one: neither standard input nor standard error is a
 * terminal, or there is none to open. The answer rejects with the signal's reason, with which Ctrl-C ends the program, and with a
 * local error for Ctrl-D on an empty line. The terminal is left as it was found.
 */
export function openTerminal(signal: AbortSignal): AskSecret | undefined {
  if (!process.stdin.isTTY && !process.stderr.isTTY) return undefined
  if (!canOpen()) return undefined
  return (question) => askSecret(question, signal)
}

/** Not the standard streams: these may be redirected, and reading from standard input would take what is behind the answer. */
const TERMINAL = '/dev/tty'

function canOpen(): boolean {
  try {
    closeSync(openSync(TERMINAL, 'r+'))
    return true
  } catch {
    return false
  }
}

async function askSecret(question: string, signal: AbortSignal): Promise<string> {
  signal.throwIfAborted()
  const input = new ReadStream(openSync(TERMINAL, 'r+'))
  const output = new WriteStream(openSync(TERMINAL, 'r+'))
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const onAbort = (): void => reject(signal.reason as Error)
  let typed = ''
  const take = (character: string): void => {
    if (ENTER.test(character)) resolve(typed)
    // Without echo the terminal makes no signals: the program is told as if it had. Its handlers end it.
    else if (character === CTRL_C) process.emit('SIGINT', 'SIGINT')
    else if (character === CTRL_D && typed === '') reject(new CliError(EXIT.local, 'passphrase', 'no passphrase was given'))
    else if (character === CTRL_U) typed = ''
    else if (ERASE.has(character)) typed = [...typed].slice(0, -1).join('')
    else if (character >= ' ' && typed.length < MAX_CHARACTERS) typed += character
  }
  try {
    input.setRawMode(true)
    input.setEncoding('utf8')
    input.on('error', reject)
    output.on('error', reject)
    signal.addEventListener('abort', onAbort)
    output.write(question)
    input.on('data', (text: string) => [...text].forEach(take))
    return await promise
  } finally {
    signal.removeEventListener('abort', onAbort)
    input.setRawMode(false)
    input.destroy()
    await new Promise<void>((done) => output.end('\n', () => done()))
    output.destroy()
  }
}
