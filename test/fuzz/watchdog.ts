/** Tells of an input that never comes to an end: the thread that runs it cannot. */
import { Worker } from 'node:worker_threads'

/** Whoever takes longer hangs: several times what {@link Fuzzer} calls slow. Milliseconds. */
export const HANG_MS = 20_000

/** Shared with the thread that watches: [runs begun, number of the target, bytes of the input, runs ended], then the input. */
export interface Watch {
  begin(target: number, input: Uint8Array): void
  end(): void
  stop(): Promise<number>
}

const HEAD_BYTES = 16

/** Starts to watch this thread. On a hang it saves the input to the corpus, says so, and ends the process with 1. */
export function startWatchdog(maxInput: number): Watch {
  const shared = new SharedArrayBuffer(HEAD_BYTES + maxInput)
  const head = new Int32Array(shared, 0, 4)
  const input = new Uint8Array(shared, HEAD_BYTES)
  const worker = new Worker(new URL('watchdog-process.ts', import.meta.url), { workerData: shared })
  worker.unref()
  return {
    begin(target, bytes) {
      head[1] = target
      head[2] = bytes.byteLength
      input.set(bytes)
      Atomics.add(head, 0, 1)
    },
    end() {
      head[3] = head[0] as number
    },
    stop: () => worker.terminate()
  }
}

/** What the watching thread sees. */
export function readWatch(shared: SharedArrayBuffer): { begun: number; ended: number; target: number; input: Uint8Array } {
  const [begun = 0, target = 0, length = 0, ended = 0] = new Int32Array(shared, 0, 4)
  return { begun, ended, target, input: new Uint8Array(shared, HEAD_BYTES, length).slice() }
}
