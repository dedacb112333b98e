import type { Libp2p, PeerId, Stream } from '@libp2p/interface'
import { ContentError } from './errors.ts'
import { createOutbox, type Outbox } from './outbox.ts'

/**
 * One outgoing stream a peer for all messages, as Kubo does it: opening one costs more than most messages, at both ends.
 * Messages keep their order, and who sends one does not wait for the peer.
 */
export function createStreams(libp2p: Libp2p, protocol: string) {
  const open = new Map<string, Outbox>()

  async function begin(peer: PeerId, signal: AbortSignal): Promise<Stream> {
    // What a peer asked for does not have us dial it once it has gone.
    if (libp2p.getConnections(peer).length === 0) throw new ContentError('failed', `${peer} is gone`)
    const stream = await libp2p.dialProtocol(peer, protocol, { signal })
    await stream.closeRead()
    return stream
  }

  return {
    /** Where to put messages for a peer. */
    to(peer: PeerId): Outbox {
      const key = peer.toString()
      const known = open.get(key)
      if (known !== undefined) return known
      const made = createOutbox(
        (signal) => begin(peer, signal),
        () => {
          if (open.get(key) === made) open.delete(key)
        }
      )
      open.set(key, made)
      return made
    },

    /** Resolves when a peer has taken what was just sent to it; rejects when it did not. */
    async taken(peer: PeerId): Promise<void> {
      const outbox = open.get(peer.toString())
      if (outbox === undefined) throw new ContentError('failed', `${peer} takes nothing`)
      await outbox.taken()
    },

    /** Closes all streams. */
    async stop(): Promise<void> {
      await Promise.all([...open.values()].map((outbox) => outbox.close()))
    }
  }
}

/** What {@link createStreams} makes. */
export type Streams = ReturnType<typeof createStreams>
