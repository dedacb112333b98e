/** libp2p's ping, with an answer of our own: libp2p's keeps what it cannot send back yet, however much that is. */
import type { StreamHandler } from '@libp2p/interface'
import { ping, type Ping, type PingComponents } from '@libp2p/ping'
import { MAX_ECHO_BYTES } from '../protocol/limits.ts'

/** Makes it, to be handed to libp2p. */
export function createPing(): (components: PingComponents) => Ping {
  return (components) => {
    const service = ping()(components)
    const answers = service as unknown as { handlePing: StreamHandler }
    answers.handlePing = echo
    return service
  }
}

/** How long the last answers may take to leave, milliseconds. */
const CLOSE_MS = 5_000

/** For as long as the other side likes: some open a stream for each ping, others one for all. */
const echo: StreamHandler = (stream) => {
  stream.addEventListener('message', ({ data }) => {
    if (stream.writeStatus !== 'writable') return
    if (stream.writeBufferLength + data.byteLength > MAX_ECHO_BYTES) stream.abort(new Error('pings are sent, and no answers are read'))
    else stream.send(data)
  })
  const close = (): void => {
    stream.close({ signal: AbortSignal.timeout(CLOSE_MS) }).catch((err: Error) => stream.abort(err))
  }
  if (stream.readableEnded) close()
  else stream.addEventListener('end', close, { once: true })
}
