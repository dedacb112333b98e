/**
 * One process of `npm run fuzz`: runs every target so many times, one after the other, and writes a JSON line for each. Ends with 1 at
 * the first failure, whose input is in the corpus then. Arguments: executions in all, seed, part of a target's name or "".
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { addToCorpus } from './corpus.ts'
import { createFuzzer, MAX_INPUT_BYTES } from './fuzzer.ts'
import { shares } from './shares.ts'
import { TARGETS } from './targets.ts'
import { startWatchdog } from './watchdog.ts'

/** What a target may leave behind in memory: its pool is gone by then. */
const MAX_GROWTH_BYTES = 48 * 1024 * 1024

/** How long timers may hold what is over: bitswap's hold each stream for ten seconds. */
const TIMERS_S = 15

/** Runs between two turns of the event loop. */
const PER_TURN = 500

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const memory = (): number => {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

const [total = 0, seed = 0] = process.argv.slice(2, 4).map(Number)
const only = process.argv[4] ?? ''
const watch = startWatchdog(MAX_INPUT_BYTES)

let running: { readonly target: string; readonly input: Uint8Array } | undefined
// A rejection that nobody waits for ends the process without a failure.
process.on('uncaughtExceptionMonitor', () => running !== undefined && addToCorpus(running.target, running.input))

function fail(target: string, input: Uint8Array, error: Error): never {
  throw new Error(`FAILED ${target}: ${error.message}\n  its input: ${addToCorpus(target, input)}`, { cause: error })
}

for (const [target, runs] of shares(
  TARGETS.filter(({ name }) => name.includes(only)),
  total
)) {
  const index = TARGETS.indexOf(target)
  let before = 0
  const onInput = (input: Uint8Array): void => {
    running = { target: target.name, input }
    watch.begin(index, input)
  }
  let fuzzer: ReturnType<typeof createFuzzer> | undefined = createFuzzer(target, seed + index, onInput)
  const start = performance.now()
  for (let run = 0; run < runs; run++) {
    const failure = await fuzzer.step()
    watch.end()
    if (failure !== undefined) fail(target.name, failure.input, failure.error)
    if (run % PER_TURN === 0) await turn()
    // What is loaded and cached once is no growth.
    if (run === Math.min(1_000, runs >> 1)) before = memory()
  }
  const ms = performance.now() - start
  const { outcomes } = fuzzer
  fuzzer = undefined
  running = undefined
  await target.stop?.()
  await turn()
  let grown = memory() - before
  for (let second = 0; grown > MAX_GROWTH_BYTES && second < TIMERS_S; second++) {
    await sleep(1_000)
    grown = memory() - before
  }
  if (grown > MAX_GROWTH_BYTES) throw new Error(`FAILED ${target.name}: memory grew by ${Math.round(grown / 2 ** 20)} MiB in ${runs} runs`)
  process.stdout.write(`${JSON.stringify({ target: target.name, runs, ms, outcomes, grown })}\n`)
}
await watch.stop()
