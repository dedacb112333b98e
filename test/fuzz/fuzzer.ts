/** Mutates what a target has read so far, runs it, and keeps what showed something new. The same seed makes the same choices. */
import { createRandom, type Random } from '../support/random.ts'
import { mutateBytes } from './mutate-bytes.ts'
import { mutateCbor } from './mutate-cbor.ts'
import { mutateProtobuf } from './mutate-protobuf.ts'
import { mutateText } from './mutate-text.ts'
import type { Target } from './target.ts'

/** A run that takes longer, twice, is a failure: far above what any of it takes on a busy machine. Milliseconds. */
export const SLOW_MS = 3_000

/** An input is cut to this: above every frame that is read whole but a page, which has tests of its own. */
export const MAX_INPUT_BYTES = 256 * 1024

/** Inputs that are kept to mutate: of so many bytes, or what is long grows longer and little else is tried. */
const MAX_POOL = 256
const MAX_POOL_BYTES = 2 * 1024

/** What a target must not do, and with which input. */
export interface Failure {
  readonly target: string
  readonly input: Uint8Array
  readonly error: Error
}

/** Runs one target. */
export interface Fuzzer {
  /** Makes an input and runs it; the failure, if it is one. */
  step(): Promise<Failure | undefined>
  /** Outcomes so far that differ. */
  readonly outcomes: number
}

/** Makes it; `onInput` is told each input before it is run. */
export function createFuzzer(target: Target, seed: number, onInput: (input: Uint8Array) => void = () => {}): Fuzzer {
  const random = createRandom(seed)
  const pool = [...target.seeds]
  const seen = new Set<string>()

  const next = (): Uint8Array => {
    let input = random.pick(pool)
    do input = mutate(target, input, random, random.pick(pool))
    while (random.chance(0.5))
    // A Buffer would be another class than what comes out of a message.
    return new Uint8Array(input.buffer, input.byteOffset, Math.min(input.byteLength, MAX_INPUT_BYTES))
  }

  return {
    async step() {
      const input = next()
      onInput(input)
      const outcome = runOnce(target, input)
      const { word, failure } = outcome instanceof Promise ? await outcome : outcome
      if (!seen.has(word)) {
        seen.add(word)
        if (input.byteLength > Math.max(MAX_POOL_BYTES, ...target.seeds.map(({ byteLength }) => byteLength))) return failure
        // The seeds stay.
        if (pool.length >= MAX_POOL + target.seeds.length) pool.splice(random.between(target.seeds.length, pool.length - 1), 1)
        pool.push(input.slice())
      }
      return failure
    },
    get outcomes() {
      return seen.size
    }
  }
}

function mutate({ form, words }: Target, input: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  if (random.chance(0.7)) {
    if (form === 'text') return mutateText(input, random, other, words)
    const structured = { cbor: mutateCbor, protobuf: mutateProtobuf, bytes: undefined }[form]
    const changed = structured?.(input, random, other)
    if (changed !== undefined) return changed
  }
  return mutateBytes(input, random, other)
}

interface Outcome {
  readonly word: string
  readonly failure: Failure | undefined
}

/** Runs a target on one input and judges what it did; of most targets at once, as promises cost more than they do. */
export function runOnce(target: Target, input: Uint8Array, isSecond = false): Outcome | Promise<Outcome> {
  const start = performance.now()
  const ended = (error: unknown, result: unknown): Outcome | Promise<Outcome> => {
    const took = performance.now() - start
    // Once may be the machine.
    if (took > SLOW_MS && !isSecond) return runOnce(target, input, true)
    const bad = took > SLOW_MS ? new Error(`it took ${Math.round(took)} ms`) : error === undefined ? undefined : faultIn(target, error)
    const word = error instanceof Error ? `${error.name} ${'code' in error ? error.code : ''} ${plain(error.message)}` : `read ${result}`
    return { word, failure: bad === undefined ? undefined : { target: target.name, input: input.slice(), error: bad } }
  }
  try {
    const result = target.run(input)
    if (!(result instanceof Promise)) return ended(undefined, result)
    return result.then(
      (value: unknown) => ended(undefined, value),
      (error: unknown) => ended(error ?? new Error('it rejected with nothing'), undefined)
    )
  } catch (error) {
    return ended(error ?? new Error('it threw nothing'), undefined)
  }
}

function faultIn({ errors }: Target, error: unknown): Error | undefined {
  if (errors.some((known) => error instanceof known)) return undefined
  return error instanceof Error ? error : new Error(`it threw ${String(error)}`)
}

/** A message without what it quotes: those that differ in that alone are one outcome. */
function plain(message: string): string {
  return message
    .slice(0, 300)
    .replace(/".*"?/s, '')
    .replace(/[A-Za-z0-9+/]{20,}|\d+/g, '#')
    .slice(0, 80)
}
