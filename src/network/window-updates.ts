/**
 * Fewer window updates: `@libp2p/yamux` sends one for each frame that it reads, so that small messages cost as many frames back as they
 * are, and whoever reads none of them has us keep one for each byte it sends. Others wait until half of the window is used.
 */
import type { MessageStream } from '@libp2p/interface'
import { MAX_HELD_UPDATES, MIN_WINDOW_UPDATE_BYTES } from '../protocol/limits.ts'
import { HEADER, headerIn, RST, WINDOW_UPDATE, windowUpdate } from './yamux-frames.ts'

/** Holds back what the muxer made for this connection would say of its windows, until it is worth a frame. To be called before that is made. */
export function gatherWindowUpdates(connection: MessageStream): void {
  /** Bytes by stream, what was held back longest first. Ended streams stay until others push them out. */
  const held = new Map<number, number>()
  const send = connection.send.bind(connection)

  connection.send = (frame) => {
    const { type, flags, stream, length } = headerIn(frame.subarray(0, HEADER))
    if ((flags & RST) !== 0) held.delete(stream)
    if (type !== WINDOW_UPDATE || flags !== 0) return send(frame)
    const all = (held.get(stream) ?? 0) + length
    if (all >= MIN_WINDOW_UPDATE_BYTES) {
      held.delete(stream)
      return send(windowUpdate(stream, all))
    }
    held.set(stream, all)
    const [oldest] = held
    if (held.size <= MAX_HELD_UPDATES || oldest === undefined) return true
    held.delete(oldest[0])
    return send(windowUpdate(...oldest))
  }
}
