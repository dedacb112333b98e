/** Frames on a libp2p stream: four bytes of length (big endian), then that many bytes. A frame of length 0 is the end mark. */
import type { Stream } from '@libp2p/interface'
import { concat } from 'uint8arrays/concat'
import type { Clock } from '../protocol/clock.ts'
import { InvalidMessageError } from '../protocol/errors.ts'
import { NetworkError } from './errors.ts'

/** A stream that carries frames in both directions. */
export interface FrameStream {
  /**
   * The next frame; undefined for the end mark. Rejects with {@link InvalidMessageError} `size` for a frame above the bound, and
   * with {@link NetworkError} `cut` where the stream ends before a whole frame, `timeout` when nothing came for the idle time.
   */
  read(): Promise<Uint8Array | undefined>
  /** Resolves when there is room for another; rejects with `cut` or `timeout` as {@link FrameStream.read} does. */
  write(frame: Uint8Array): Promise<void>
  /** Writes the end mark. */
  end(): Promise<void>
  /** Closes our side once all that was written is on its way, and gives the other the idle time to close its side. */
  close(): Promise<void>
  /** Ends the stream at once; what waits in read and write is rejected. */
  abort(reason: Error): void
}

/** Bounds of one stream. */
export interface FrameOptions {
  /** Bytes of one frame that is read. */
  readonly maxFrame: number
  /** Milliseconds without a byte after which the other side counts as gone. */
  readonly idleMs: number
}

const HEAD = 4

/** Reads and writes frames on a stream, which must not be read by anybody else. */
export function createFrameStream(stream: Stream, options: FrameOptions, ports: { readonly clock: Clock }): FrameStream {
  const { maxFrame, idleMs } = options
  let chunks: Uint8Array[] = []
  let buffered = 0
  let ended: Error | undefined
  let wake: (() => void) | undefined

  const finish = (why: Error): void => {
    ended ??= why
    wake?.()
  }
  const cut = (): void => finish(new NetworkError('cut', 'the stream ended before the answer did'))
  stream.addEventListener('close', cut)
  stream.addEventListener('remoteCloseWrite', () => wake?.())
  stream.addEventListener('message', ({ data }) => {
    chunks.push(data instanceof Uint8Array ? data : data.subarray())
    buffered += data.byteLength
    // Yamux stops the sender then, so a slow reader costs one frame and a window.
    if (buffered > maxFrame + HEAD && stream.status === 'open') stream.pause()
    wake?.()
  })

  /** Waits for an event with the idle time as deadline. */
  const idle = async (what: string, event: (done: () => void) => void): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const cancel = ports.clock.after(idleMs, () => reject(new NetworkError('timeout', `${what} for ${idleMs / 1_000} s`)))
    try {
      event(resolve)
      await promise
    } finally {
      cancel()
    }
  }

  const take = async (bytes: number): Promise<Uint8Array> => {
    while (buffered < bytes) {
      if (stream.readStatus === 'paused') {
        // Hands over what it held back at once, and that may be enough.
        stream.resume()
        continue
      }
      // The other side may have closed before we came to listen.
      if (stream.remoteWriteStatus === 'closed' && stream.readBufferLength === 0) cut()
      if (ended !== undefined) throw ended
      await idle('nothing came', (done) => {
        wake = done
      })
    }
    const all = concat(chunks, buffered)
    chunks = bytes === buffered ? [] : [all.subarray(bytes)]
    buffered -= bytes
    return all.slice(0, bytes)
  }

  const write = async (bytes: Uint8Array): Promise<void> => {
    const head = new Uint8Array(HEAD)
    new DataView(head.buffer).setUint32(0, bytes.byteLength)
    let room: boolean
    try {
      room = stream.send(concat([head, bytes]))
    } catch (err) {
      throw ended ?? new NetworkError('cut', 'the stream is closed', { cause: err })
    }
    if (room) return
    await idle('the other side took nothing', (done) => {
      stream.addEventListener('drain', done, { once: true })
      stream.addEventListener('close', done, { once: true })
    })
    if (stream.status !== 'open') throw ended ?? new NetworkError('cut', 'the stream is closed')
  }

  return {
    read: async () => {
      const length = new DataView((await take(HEAD)).buffer).getUint32(0)
      if (length > maxFrame) throw new InvalidMessageError('size', `a frame of ${length} bytes, at most ${maxFrame}`)
      return length === 0 ? undefined : take(length)
    },
    write,
    end: () => write(new Uint8Array(0)),
    close: async () => {
      try {
        await stream.close({ signal: AbortSignal.timeout(idleMs) })
        if (stream.status === 'open') {
          await idle('the other side kept the stream open', (done) => stream.addEventListener('close', done, { once: true }))
        }
      } catch (err) {
        stream.abort(err instanceof Error ? err : new Error(String(err)))
      }
    },
    abort: (reason) => {
      finish(reason)
      stream.abort(reason)
    }
  }
}
