import type { Libp2p, PeerId, Stream } from '@libp2p/interface'

/** A stream that nothing was sent on for so long is closed; peers give up on silent ones after ten seconds. */
const IDLE_MS = 4_000

/** What writes to a peer; see {@link createStreams}. */
export type Outlet = Pick<Stream, 'send' | 'onDrain' | 'closeRead' | 'close' | 'abort'>

interface Open {
  readonly stream: Stream
  idle: ReturnType<typeof setTimeout>
}

/**
 * One outgoing stream a peer for all messages, as Kubo does it: opening one costs more than most messages, at both ends.
 * What it gives looks like a stream of its own; closing that leaves the shared one open, aborting does not.
 */
export function createStreams(libp2p: Libp2p, protocol: string) {
  const open = new Map<string, Promise<Open>>()

  async function begin(peer: PeerId, signal: AbortSignal | undefined): Promise<Open> {
    const stream = await libp2p.dialProtocol(peer, protocol, signal === undefined ? {} : { signal })
    await stream.closeRead()
    const made: Open = { stream, idle: setTimeout(() => end(peer, made), IDLE_MS) }
    stream.addEventListener('close', () => {
      clearTimeout(made.idle)
      open.delete(peer.toString())
    })
    return made
  }

  function end(peer: PeerId, { stream }: Open): void {
    open.delete(peer.toString())
    stream.close({ signal: AbortSignal.timeout(IDLE_MS) }).catch((err: Error) => stream.abort(err))
  }

  function shared(peer: PeerId, signal: AbortSignal | undefined): Promise<Open> {
    const key = peer.toString()
    const known = open.get(key)
    if (known !== undefined) return known
    const made = begin(peer, signal)
    open.set(key, made)
    made.catch(() => open.delete(key))
    return made
  }

  return {
    /** Something to write to a peer with. Rejects when the peer cannot be reached. */
    async to(peer: PeerId, signal?: AbortSignal): Promise<Outlet> {
      const { stream, idle } = await shared(peer, signal)
      idle.refresh()
      return {
        send: (data) => stream.send(data),
        onDrain: (options) => stream.onDrain(options),
        closeRead: async () => undefined,
        close: async () => undefined,
        abort: (err) => stream.abort(err)
      }
    },

    /** Closes all streams. */
    async stop(): Promise<void> {
      for (const made of open.values()) {
        await made.then(
          ({ stream, idle }) => {
            clearTimeout(idle)
            return stream.close({ signal: AbortSignal.timeout(1_000) }).catch((err: Error) => stream.abort(err))
          },
          () => undefined
        )
      }
    }
  }
}

/** What {@link createStreams} makes. */
export type Streams = ReturnType<typeof createStreams>
