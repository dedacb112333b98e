/** Ends streams whose messages would cost their decoder far more than their bytes. */
import type { Stream, StreamMessageEvent } from '@libp2p/interface'
import { createFieldCounter, type Shape } from '../protocol/protobuf-frames.ts'

/**
 * Aborts the stream at a protobuf message of more fields than `most`, before whoever listens has the whole of it. To be called before
 * anybody listens; it listens only once somebody does, as what came before then is handed out at once.
 */
export function guardFields(stream: Stream, shape: Shape, most: number): void {
  const counter = createFieldCounter(shape, most)
  const listen = stream.addEventListener.bind(stream)
  let isGuarded = false
  const look = (event: StreamMessageEvent): void => {
    try {
      counter.take(event.data instanceof Uint8Array ? event.data : event.data.subarray())
    } catch (err) {
      event.stopImmediatePropagation()
      stream.abort(err as Error)
    }
  }
  stream.addEventListener = (...args: Parameters<typeof listen>) => {
    if (args[0] === 'message' && !isGuarded) {
      isGuarded = true
      listen('message', look)
    }
    listen(...args)
  }
}
