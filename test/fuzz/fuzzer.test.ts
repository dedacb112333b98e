/** A fuzzer that finds nothing proves nothing: planted faults are found, and the same seed finds them again. */
import { isDeepStrictEqual } from 'node:util'
import { describe, expect, test } from 'vitest'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import * as wire from '../../src/protocol/wire.ts'
import { author, commandFields } from '../vectors/source/make.ts'
import { createFuzzer, runOnce, SLOW_MS, type Failure } from './fuzzer.ts'
import { shares } from './shares.ts'
import { textOf, utf8, type Target } from './target.ts'

class OurError extends Error {}

const target = (part: Pick<Target, 'run'> & Partial<Target>): Target => ({
  name: 'planted',
  form: 'bytes',
  errors: [OurError],
  seeds: [author.blob],
  ...part
})

async function firstFailure(planted: Target, runs = 20_000, seed = 1): Promise<Failure | undefined> {
  const fuzzer = createFuzzer(planted, seed)
  for (let run = 0; run < runs; run++) {
    const failure = await fuzzer.step()
    if (failure !== undefined) return failure
  }
  return undefined
}

describe('finds', () => {
  test('an error that is not one of ours, and not one that is', async () => {
    const crash = target({ run: (bytes) => bytes[3] !== 11 && Symbol('x').toString().repeat(-1) })
    expect((await firstFailure(crash))?.error).toBeInstanceOf(RangeError)
    const refuse = (): never => {
      throw new OurError('no')
    }
    expect(await firstFailure(target({ run: refuse }), 100)).toBeUndefined()
    expect((await firstFailure(target({ run: async () => Promise.reject(new TypeError('late')) })))?.error.message).toBe('late')
  })

  test('a length that is believed', async () => {
    const believing = target({
      run(bytes) {
        if (bytes.byteLength >= 4 && Buffer.from(bytes).readUInt32BE() > 1_000_000) throw new RangeError('out of memory')
      }
    })
    expect((await firstFailure(believing))?.error.message).toBe('out of memory')
  })

  test('what only one field of a message brings about, behind all checks of its form', async () => {
    const deep = target({
      form: 'cbor',
      seeds: [wire.encode(commandFields())],
      errors: [InvalidMessageError],
      run(bytes) {
        const { ops } = wire.fields(wire.decode(bytes), 'x')
        if (isDeepStrictEqual(ops, [])) throw new TypeError('no operation')
      }
    })
    expect((await firstFailure(deep))?.error.message).toBe('no operation')
  })

  test('a field that stands twice in text', async () => {
    const twice = target({
      form: 'text',
      seeds: [utf8('admin,ops="pin" ssh-ed25519 AAAA')],
      run(bytes) {
        if (textOf(bytes).split('admin').length > 2) throw new TypeError('twice')
      }
    })
    expect((await firstFailure(twice))?.error.message).toBe('twice')
  })

  test('what takes long, twice', async () => {
    let runs = 0
    const busy = (): void => {
      const end = performance.now() + SLOW_MS + 10
      while (runs++ >= 0 && performance.now() < end);
    }
    const { failure } = await runOnce(target({ run: busy }), new Uint8Array())
    expect(failure?.error.message).toMatch(/^it took \d+ ms$/)
  })
})

test('the same seed makes the same inputs, another one others', async () => {
  const inputsOf = async (seed: number): Promise<string[]> => {
    const inputs: string[] = []
    const fuzzer = createFuzzer(target({ form: 'text', run: (bytes) => bytes.byteLength }), seed, (input) => inputs.push(textOf(input)))
    for (let run = 0; run < 200; run++) await fuzzer.step()
    return inputs
  }
  expect(await inputsOf(5)).toEqual(await inputsOf(5))
  expect(await inputsOf(5)).not.toEqual(await inputsOf(6))
})

test('runs are shared out by what they cost', () => {
  const [cheap, dear] = [target({ run: () => 0 }), target({ run: () => 0, cost: 9 })]
  expect(shares([cheap, dear], 10_000).map(([, runs]) => runs)).toEqual([9_000, 1_000])
})
