/** What is fuzzed: one decoder or parser, bytes in, and what it may do with them. */
import { isDeepStrictEqual } from 'node:util'

/** How the bytes of a target are made up, so that changes to them get past the first check. */
export type Form = 'bytes' | 'cbor' | 'protobuf' | 'text'

/** The class of an error that a target may throw. */
export type ErrorClass = abstract new (...args: never[]) => Error

/** One decoder or parser. */
export interface Target {
  readonly name: string
  readonly form: Form
  /** All that it may throw. */
  readonly errors: readonly ErrorClass[]
  /** Good inputs, and some that nearly are: what mutations start from. */
  readonly seeds: readonly Uint8Array[]
  /**
   * Reads the bytes, and checks what was promised of what comes out (an AssertionError is a failure). May return a word for what it
   * was: an input with a new word, or a new error, is kept to mutate further.
   */
  run(bytes: Uint8Array): unknown
  /** Words of a text format; pieces of text are replaced by them. */
  readonly words?: readonly string[]
  /** Of how many runs of another target one of this costs as much; 1 unless said. */
  readonly cost?: number
  /** Ends what the first run started. */
  stop?(): Promise<void>
}

/** Text as bytes. */
export const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Bytes as text, replacing what is no UTF-8, as reading a file does. */
export const textOf = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')

/** Throws where two values differ; without telling where, as to find that out takes long for large ones. */
export function requireSame(actual: unknown, expected: unknown, what = 'not the same when it is read again'): void {
  const same =
    actual instanceof Uint8Array && expected instanceof Uint8Array
      ? Buffer.compare(actual, expected) === 0
      : isDeepStrictEqual(actual, expected)
  if (!same) throw new Error(what)
}
