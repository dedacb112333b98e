/** libp2p's identify, of which nothing is left open: it leaves what comes after an answer unread, and each peer could have us keep 4 MiB of it. */
import { identify, type Identify, type IdentifyComponents } from '@libp2p/identify'
import type { Stream, StreamHandler } from '@libp2p/interface'

const PROTOCOL = '/ipfs/id/1.0.0'

/** Makes it, to be handed to libp2p. */
export function createIdentify(): (components: IdentifyComponents) => Identify {
  return (components) => {
    const service = identify()(components)
    const answers = service as unknown as { handleProtocol: StreamHandler }
    const answer = answers.handleProtocol
    answers.handleProtocol = async (stream, connection) => {
      // Who asks has nothing to say.
      await stream.closeRead()
      await answer(stream, connection)
    }
    components.events.addEventListener('peer:identify', ({ detail: { connection } }) => {
      for (const stream of connection.streams.filter(isOurQuestion)) stream.abort(new Error('the answer went on after its end'))
    })
    return service
  }
}

const isOurQuestion = ({ protocol, direction }: Stream): boolean => protocol === PROTOCOL && direction === 'outbound'
