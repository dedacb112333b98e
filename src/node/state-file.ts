/** A state file as it is read: line by line, each bounded and checked by itself, in the order in which they belong. */
import { createHash, type Hash } from 'node:crypto'
import { InvalidMessageError, type FaultCode } from '../protocol/errors.ts'
import { MAX_STATE_LINE_BYTES } from '../protocol/limits.ts'
import {
  parseStateLine,
  type StateClosedKey,
  type StateCommand,
  type StateHead,
  type StateKey,
  type StateLine,
  type StateNode
} from '../protocol/state-lines.ts'
import { splitLines } from './split-lines.ts'

/** What cannot be read at all: no state file, or of another version. */
export class StateFileError extends Error {
  override readonly name = 'StateFileError'
  readonly code = 'state-file'
}

/** A line that is not taken. */
export interface RefusedLine {
  readonly kind: 'refused'
  /** Counted from 1. */
  readonly number: number
  readonly code: FaultCode | 'skew'
  readonly message: string
}

/** A line that can be read, with its number in the file. */
export interface NumberedLine {
  readonly kind: 'line'
  /** Counted from 1. */
  readonly number: number
  /** Keys and nodes come before all commands. */
  readonly line: StateKey | StateClosedKey | StateNode | StateCommand
}

/** Whether all of the file came as it was written. */
export interface StateEnding {
  /** The mark at the end was there. */
  readonly isEnded: boolean
  /** Command lines that came, good ones. */
  readonly commands: number
  /** Command lines that the end speaks of; undefined without an end. */
  readonly expected: number | undefined
  /** The checksum at the end fits all lines before it. */
  readonly isUnchanged: boolean
}

/** A state file whose head was read. */
export interface StateFile {
  readonly head: StateHead
  /** The other lines, once. */
  readonly lines: AsyncIterable<NumberedLine | RefusedLine>
  /** Known when all lines were read. */
  ending(): StateEnding
}

/** Reads the head. Throws {@link StateFileError} where there is none, and what `input` throws. */
export async function openStateFile(input: AsyncIterable<Uint8Array>): Promise<StateFile> {
  const all = splitLines(input, MAX_STATE_LINE_BYTES)
  const hash = createHash('sha256')
  const head = await readHead(all, hash)
  let commands = 0
  let expected: number | undefined
  let isUnchanged = false

  async function* lines(): AsyncGenerator<NumberedLine | RefusedLine> {
    let number = 1
    for await (const bytes of all) {
      number++
      if (bytes.byteLength === 0) continue
      const line = read(bytes)
      const refused = (message: string): RefusedLine => ({ kind: 'refused', number, code: 'shape', message })
      if (line instanceof InvalidMessageError) yield { ...refused(line.message), code: line.code }
      else if (expected !== undefined) yield refused('stands behind the end')
      else if (line.kind === 'end') {
        expected = line.commands
        isUnchanged = hash.digest('hex') === line.hash
        continue
      } else if (line.kind === 'head') yield refused('a second head')
      else if (line.kind !== 'command' && commands > 0) yield refused('stands behind the first command')
      else {
        if (line.kind === 'command') commands++
        yield { kind: 'line', number, line }
      }
      if (expected === undefined) hash.update(bytes).update('\n')
    }
  }

  return { head, lines: lines(), ending: () => ({ isEnded: expected !== undefined, commands, expected, isUnchanged }) }
}

async function readHead(lines: AsyncGenerator<Uint8Array>, hash: Hash): Promise<StateHead> {
  const first = await lines.next()
  if (first.done === true) throw new StateFileError('the file is empty')
  const bytes = first.value
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) throw new StateFileError('the file is compressed: gunzip -c FILE | pinsub state import -')
  const line = read(bytes)
  if (line instanceof InvalidMessageError) throw new StateFileError(`not a state file: line 1: ${line.message}`)
  if (line.kind !== 'head') throw new StateFileError('not a state file, or one without its beginning: line 1 is no head')
  hash.update(bytes).update('\n')
  return line
}

function read(bytes: Uint8Array): StateLine | InvalidMessageError {
  try {
    return parseStateLine(bytes)
  } catch (err) {
    if (err instanceof InvalidMessageError) return err
    throw err
  }
}
