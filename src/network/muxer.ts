/** The stream muxer: yamux, with guards around each connection. */
import type { StreamMuxerFactory } from '@libp2p/interface'
import { yamux } from '@libp2p/yamux'
import type { Clock } from '../protocol/clock.ts'
import { MAX_WINDOW_BYTES } from '../protocol/limits.ts'
import { gatherWindowUpdates } from './window-updates.ts'
import { guardYamux } from './yamux-guard.ts'

/** Makes it, to be handed to libp2p. */
export function createMuxer(ports: { readonly clock: Clock }): () => StreamMuxerFactory {
  return () => {
    const factory = yamux({ maxInboundStreams: 256, streamOptions: { maxStreamWindowSize: MAX_WINDOW_BYTES } })()
    const create = factory.createStreamMuxer.bind(factory)
    factory.createStreamMuxer = (connection) => {
      guardYamux(connection, ports)
      gatherWindowUpdates(connection)
      return create(connection)
    }
    return factory
  }
}
