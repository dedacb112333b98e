/** Waits for peers that are slow to take what they are sent, no longer than is good for the others: gossipsub never waits, until the stream breaks. */
import type { Stream } from '@libp2p/interface'
import type { Clock } from '../protocol/clock.ts'
import { MAX_GOSSIP_WAITING_BYTES, SLOW_PEER_MS, SLOW_PEER_WAIT_MS } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'

/**
 * Resolves when so many bytes may be published to these peers: when each has taken most of what we published to it before. What it is sent
 * by others through us is not its fault, and not counted. A peer that is behind for two seconds is waited for no more, for a minute and
 * whatever link it comes by, unless nobody else has room. Ends with the signal.
 */
export type Room = (peers: () => readonly NodeId[], bytes: number, signal: AbortSignal) => Promise<void>

/** Makes it; `streamTo` is the stream on which a peer is sent what we publish. */
export function createRoom(ports: { readonly clock: Clock; streamTo(peer: NodeId): Stream | undefined }): Room {
  const { clock, streamTo } = ports
  const published = new WeakMap<Stream, number>()
  const slow = new Set<NodeId>()

  /** Bytes of ours that wait in the stream, at most. */
  const waiting = (stream: Stream): number => Math.min(published.get(stream) ?? 0, stream.writeBufferLength)

  const markSlow = (peer: NodeId): void => {
    if (slow.has(peer)) return
    slow.add(peer)
    clock.after(SLOW_PEER_MS, () => slow.delete(peer))
  }

  /** Resolves when one of the streams took something or is closed, after so long, or with the signal. */
  const movement = (streams: readonly Stream[], ms: number, signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        cancel()
        signal.removeEventListener('abort', done)
        for (const stream of streams) {
          stream.removeEventListener('drain', done)
          stream.removeEventListener('close', done)
        }
        resolve()
      }
      const cancel = clock.after(ms, done)
      signal.addEventListener('abort', done)
      for (const stream of streams) {
        stream.addEventListener('drain', done)
        stream.addEventListener('close', done)
      }
    })

  return async (peers, bytes, signal) => {
    const end = clock.now() + SLOW_PEER_WAIT_MS
    for (;;) {
      const takers = peers().flatMap((peer) => {
        const stream = streamTo(peer)
        return stream === undefined ? [] : [{ peer, stream }]
      })
      const full = takers.filter(({ stream }) => waiting(stream) > MAX_GOSSIP_WAITING_BYTES)
      const left = end - clock.now()
      if (left <= 0) for (const { peer } of full) markSlow(peer)
      const awaited = full.length === takers.length ? full : full.filter(({ peer }) => !slow.has(peer))
      if (awaited.length === 0 || signal.aborted) {
        for (const { stream } of takers) published.set(stream, waiting(stream) + bytes)
        return
      }
      const streams = awaited.map(({ stream }) => stream)
      // Where nobody has room, whoever comes meanwhile is looked for now and then.
      await movement(streams, left > 0 ? left : SLOW_PEER_WAIT_MS, signal)
    }
  }
}
