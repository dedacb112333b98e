/** The stream muxer: yamux, with guards around each connection. */
import type { StreamMuxerFactory } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'
import type { Clock } from '../protocol/clock.ts'
import { guardYamux } from './yamux-guard.ts'

/** A window of what a paused stream may buffer: with the default of 16 MiB, a slow reader's stream is reset. */
const MAX_WINDOW_BYTES = 4 * 1024 * 1024

/** Makes it, to be handed to libp2p. */
export function createMuxer(ports: { readonly clock: Clock }): () => StreamMuxerFactory {
  return () => {
    const factory = yamux({ maxInboundStreams: 256, streamOptions: { maxStreamWindowSize: MAX_WINDOW_BYTES } })()
    const create = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = (connection) => {
      guardYamux(connection, ports)
      return create(connection)
    }
    return factory
  }
}
