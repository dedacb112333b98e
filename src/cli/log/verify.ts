/** `pinsub log --verify FILE`: checks an exported log by itself, without a home or a network. */
import { createReadStream } from 'node:fs'
import { addAbortSignal, type Readable } from 'node:stream'
import { fileError } from '../../identity/files.ts'
import { splitLines } from '../../node/split-lines.ts'
import { InvalidMessageError } from '../../protocol/errors.ts'
import { MAX_LOG_LINE_BYTES } from '../../protocol/limits.ts'
import { checkLogLine } from '../../protocol/log-lines.ts'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import { many } from '../state-view.ts'

/** Lines that are named one by one: a broken file has millions. */
const MAX_SHOWN = 50

/** Runs it; `-` reads standard input. */
export async function verifyLog(context: Context, file: string): Promise<number> {
  const { output, signal } = context
  const name = file === '-' ? 'standard input' : file
  const counts = { lines: 0, commands: 0, receipts: 0, refusals: 0, bad: 0 }
  for await (const bytes of linesOf(context, file)) {
    counts.lines++
    if (counts.lines === 1 && bytes[0] === 0x1f && bytes[1] === 0x8b)
      throw new CliError(EXIT.usage, 'log', `${name}: the file is compressed`, 'gunzip -c FILE | pinsub log --verify -')
    if (bytes.byteLength === 0) continue
    try {
      const line = checkLogLine(bytes)
      if (line.kind === 'refusal') counts.refusals++
      else {
        counts.commands++
        counts.receipts += line.receipts
      }
    } catch (err) {
      if (!(err instanceof InvalidMessageError)) throw err
      counts.bad++
      if (counts.bad > MAX_SHOWN) continue
      output.event({ event: 'bad', line: counts.lines, code: err.code, message: err.message })
      output.note(`${name}:${counts.lines}: ${err.message}${counts.bad === MAX_SHOWN ? ' (more are only counted)' : ''}`)
    }
    // A file is read faster than a signal is seen.
    if (counts.lines % 1_000 === 0) signal.throwIfAborted()
  }
  // An export that broke off before its first line must not pass for a good one.
  if (counts.commands + counts.refusals + counts.bad === 0)
    throw new CliError(EXIT.usage, 'log', `${name} has no line of a log: there is nothing to check`, 'pinsub log --json > log.ndjson')
  output.event({ event: 'verified', ...counts })
  const { commands, receipts, refusals, bad } = counts
  output.result(
    `${many(commands, 'command')} as signed by the author, ${many(receipts, 'receipt')} as signed by the node, ${many(refusals, 'refusal')} not signed, ${many(bad, 'bad line')}`
  )
  if (commands > 0)
    output.note("When a command was accepted, and how far a node says it came where there is no receipt, is that home's own word.")
  if (bad === 0) return EXIT.ok
  throw new CliError(EXIT.local, 'bad', `${many(bad, 'line')} of ${name} not as it was written`, 'compare it with another copy')
}

async function* linesOf({ stdin, signal }: Context, file: string): AsyncGenerator<Uint8Array> {
  const source = file === '-' ? addAbortSignal(signal, stdin as Readable) : createReadStream(file, { signal })
  try {
    yield* splitLines(source as AsyncIterable<Uint8Array>, MAX_LOG_LINE_BYTES)
  } catch (err) {
    if ((err as NodeJS.ErrnoException).syscall === undefined) throw err
    throw new CliError(EXIT.usage, 'file', fileError(file, 'read', err).message)
  }
}
