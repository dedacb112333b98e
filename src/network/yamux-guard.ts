/** Ends connections whose yamux frames are made to cost more than they carry: what `@libp2p/yamux` answers or keeps without a bound. */
import type { MessageStream } from '@libp2p/interface'
import type { Clock } from '../protocol/clock.ts'
import { MAX_FRAME_PIECES, MAX_LINK_NOISE, MAX_LINK_NOISE_PER_SECOND, MAX_WINDOW_BYTES } from '../protocol/limits.ts'
import { createLevels } from './levels.ts'
import { createHeaderReader, DATA, HEADER, headerIn, PING, RST, SYN, WINDOW_UPDATE, type YamuxHeader } from './yamux-frames.ts'

/**
 * Looks at all that the other side sends, before the muxer does, and at all that the muxer answers, and aborts the connection where a bound
 * is broken. To be called before the muxer is made: whoever listens first hears first.
 */
export function guardYamux(connection: MessageStream, ports: { readonly clock: Clock }): void {
  const noise = createLevels({ perSecond: MAX_LINK_NOISE_PER_SECOND, most: MAX_LINK_NOISE + 1, kept: 1 }, ports)
  const reader = createHeaderReader()
  /** In how many the last frame came so far: yamux keeps each by itself until it is whole. */
  let pieces = 0
  const send = connection.send.bind(connection)

  /** Who dialled counts its streams by odd numbers. */
  const isTheirs = (stream: number): boolean => (stream % 2 === 1) === (connection.direction === 'inbound')

  const refuse = (why: string): never => {
    const err = new Error(why)
    connection.abort(err)
    throw err
  }

  const count = (): void => {
    if (noise.add('', 1) > MAX_LINK_NOISE) refuse('more pings and streams that come to nothing than anybody needs')
  }

  /** Of a stream that the other side opened, whoever resets it. */
  const countReset = ({ type, flags, stream }: YamuxHeader): void => {
    if ((type === DATA || type === WINDOW_UPDATE) && (flags & RST) !== 0 && isTheirs(stream)) count()
  }

  const look = (header: YamuxHeader): void => {
    pieces = 0
    if (header.type === DATA && header.length > MAX_WINDOW_BYTES) refuse(`a yamux frame of ${header.length} bytes`)
    if (header.type === PING && header.flags === SYN) count()
    countReset(header)
  }

  connection.addEventListener('message', (event) => {
    try {
      for (const bytes of event.data instanceof Uint8Array ? [event.data] : event.data) reader.take(bytes, look)
      if (++pieces > MAX_FRAME_PIECES) refuse('a yamux frame in too many pieces')
    } catch {
      event.stopImmediatePropagation()
    }
  })
  // The muxer sends each frame by itself; that this throws ends what it was doing, in the middle of what came.
  connection.send = (frame) => {
    countReset(headerIn(frame.subarray(0, HEADER)))
    return send(frame)
  }
}
