/** Ends connections whose yamux frames are made to cost more than they carry: what `@libp2p/yamux` answers or keeps without a bound. */
import type { MessageStream } from '@libp2p/interface'
import type { Clock } from '../protocol/clock.ts'
import { MAX_LINK_NOISE, MAX_LINK_NOISE_PER_SECOND } from '../protocol/limits.ts'
import { createLevels } from './levels.ts'
import { createHeaderReader, PING, SYN, type YamuxHeader } from './yamux-frames.ts'

/**
 * Looks at all that the other side sends, before the muxer does, and aborts the connection where a bound is broken. To be called before the
 * muxer is made: whoever listens first hears first.
 */
export function guardYamux(connection: MessageStream, ports: { readonly clock: Clock }): void {
  const noise = createLevels({ perSecond: MAX_LINK_NOISE_PER_SECOND, most: MAX_LINK_NOISE + 1, kept: 1 }, ports)
  const reader = createHeaderReader()

  const look = ({ type, flags }: YamuxHeader): void => {
    if (type === PING && flags === SYN && noise.add('', 1) > MAX_LINK_NOISE) throw new Error('more pings than anybody needs')
  }

  connection.addEventListener('message', (event) => {
    try {
      for (const bytes of event.data instanceof Uint8Array ? [event.data] : event.data) reader.take(bytes, look)
    } catch (err) {
      event.stopImmediatePropagation()
      connection.abort(err as Error)
    }
  })
}
