/** The thread that watches: see `watchdog.ts`. */
import { writeSync } from 'node:fs'
import { workerData } from 'node:worker_threads'
import { addToCorpus } from './corpus.ts'
import { TARGETS } from './targets.ts'
import { HANG_MS, readWatch } from './watchdog.ts'

let last = -1
let since = performance.now()
setInterval(() => {
  const { begun, ended, target, input } = readWatch(workerData as SharedArrayBuffer)
  if (begun !== last || begun === ended) {
    last = begun
    since = performance.now()
  }
  if (performance.now() - since < HANG_MS) return
  const name = TARGETS[target]?.name ?? 'unknown'
  // The other thread writes nothing any more.
  writeSync(2, `FAILED ${name}: no end in ${HANG_MS / 1_000} s: ${addToCorpus(name, input)}\n`)
  process.kill(process.pid, 'SIGKILL')
}, 1_000)
