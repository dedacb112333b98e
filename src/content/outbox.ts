import type { Stream } from '@libp2p/interface'
import { MAX_OUTBOX_MESSAGES, SEND_STALL_MS } from '../protocol/limits.ts'

/** A stream that nothing was sent on for so long is closed; peers give up on silent ones after ten seconds. */
const IDLE_MS = 4_000

/** Less than this is no progress: whoever takes a byte now and then would hold what is sent to it for ever. */
const PROGRESS_BYTES = 32 * 1024

type Message = Parameters<Stream['send']>[0]

/** What is to be sent to one peer, in its order; nobody has to wait for the peer. */
export interface Outbox {
  /** Sends a message when the peer takes it; the oldest are dropped when it takes none. */
  send(message: Message): void
  /** Resolves when the peer has taken all that was sent so far; rejects when it did not. */
  taken(): Promise<void>
  /** Sends what is there, in a second at most, and closes the stream. */
  close(): Promise<void>
  /** Drops what is there and resets the stream. */
  abort(reason: Error): void
}

/** Makes it; the stream is opened at once. `onEnd` is called when nothing more can be sent: the peer was idle, or does not take what it is sent. */
export function createOutbox(open: (signal: AbortSignal) => Promise<Stream>, onEnd: () => void): Outbox {
  const ended = new AbortController()
  const queue: Message[] = []
  let stream: Stream | undefined
  const waiting: (PromiseWithResolvers<void> & { readonly upTo: number })[] = []
  let all = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let unsentThen = 0

  // What fits the window leaves the stream's buffer at once; where the connection is full it says so.
  const isFree = (): boolean => stream !== undefined && stream.writeBufferLength === 0 && !stream.writableNeedsDrain
  const unsent = (): number => queue.reduce((sum, { byteLength }) => sum + byteLength, stream?.writeBufferLength ?? 0)

  function end(reason: Error): void {
    if (ended.signal.aborted) return
    clearTimeout(timer)
    ended.abort(reason)
    stream?.abort(reason)
    for (const { reject } of waiting) reject(reason)
    onEnd()
  }

  async function close(withinMs: number): Promise<void> {
    clearTimeout(timer)
    onEnd()
    if (stream === undefined) end(new Error('closed'))
    // One that was closed in order is not reset: its peer may not have read all yet.
    else await stream.close({ signal: AbortSignal.timeout(withinMs) }).catch(end)
    for (const { resolve } of waiting) resolve()
  }

  function rest(ms: number, then: () => void): void {
    clearTimeout(timer)
    timer = setTimeout(then, ms)
  }

  const stall = (): void => end(new Error('takes nothing'))

  function pump(): void {
    if (ended.signal.aborted) return
    try {
      while (queue.length > 0 && isFree()) stream?.send(queue.shift() as Message)
    } catch (err) {
      return end(err as Error)
    }
    const left = unsent()
    while (waiting[0] !== undefined && waiting[0].upTo <= all - left) waiting.shift()?.resolve()
    if (isFree()) {
      rest(IDLE_MS, () => void close(IDLE_MS))
    } else if (left <= unsentThen - PROGRESS_BYTES) {
      unsentThen = left
      rest(SEND_STALL_MS, stall)
    }
  }
  // Not at once: the stream is still in the middle of sending.
  const wake = (): void => queueMicrotask(pump)

  rest(SEND_STALL_MS, stall)
  open(ended.signal).then((opened) => {
    stream = opened
    if (ended.signal.aborted) return stream.abort(ended.signal.reason as Error)
    for (const event of ['drain', 'idle'] as const) stream.addEventListener(event, wake)
    stream.addEventListener('close', ({ error }) => end(error ?? new Error('closed')))
    pump()
  }, end)

  return {
    send(message) {
      const wasFree = isFree()
      queue.push(message)
      all += message.byteLength
      if (queue.length > MAX_OUTBOX_MESSAGES) queue.shift()
      pump()
      if (isFree()) return
      if (wasFree) {
        unsentThen = unsent()
        rest(SEND_STALL_MS, stall)
      } else unsentThen += message.byteLength
    },

    async taken() {
      ended.signal.throwIfAborted()
      if (isFree()) return
      const wait = { ...Promise.withResolvers<void>(), upTo: all }
      waiting.push(wait)
      await wait.promise
    },

    close: () => close(1_000),
    abort: end
  }
}
