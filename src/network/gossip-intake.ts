/**
 * Decides what of a gossip frame is worth a signature check. gossipsub on its own checks each message with whatever key it brings, before
 * it asks whether anybody listens to the peer, and all of a frame at once: a thousand signatures, while nothing else goes on.
 */
import type { RPC } from '@libp2p/gossipsub/message'
import type { PeerId } from '@libp2p/interface'
import { MAX_GRAFT_BACKOFF_MS } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import { isBy, isByNode, signatureName } from './gossip-messages.ts'
import { hasLostItsScore } from './gossip-score.ts'
import { createGossipTurns } from './gossip-turns.ts'
import type { LinkGuard } from './link-guard.ts'

/** What it works with of gossipsub. */
export interface Taking {
  handleReceivedRpc(from: PeerId, rpc: RPC): Promise<void>
  readonly score: { score(peer: NodeId): number }
  /** What was sound, by {@link signatureName}. */
  readonly fastMsgIdCache: { has(name: string): boolean }
  /** Which peers are to send a message that was asked for, and until when; who does not loses score. */
  readonly gossipTracer: { readonly promises: ReadonlyMap<string, Map<NodeId, number>> }
}

/**
 * Puts itself before gossipsub's handler of frames. Messages of a peer that lost its score are dropped; so are, as of no use, those that no
 * node can have signed, and those above what the guard lets a peer send. Copies go through, as they cost nothing. What is left is verified
 * in turns, see {@link createGossipTurns}, and so are the frames of a stream one after the other. No peer asks to be left out of a mesh for longer
 * than {@link MAX_GRAFT_BACKOFF_MS}.
 */
export function guardIntake(
  gossip: Taking,
  topics: readonly string[],
  ports: { readonly guard: LinkGuard | undefined; hold(peer: NodeId, isHeld: boolean): void }
): void {
  const { guard, hold } = ports
  const handle = gossip.handleReceivedRpc.bind(gossip)
  const turns = createGossipTurns(hold)

  const takeMessages = async (from: PeerId, messages: readonly RPC.Message[]): Promise<void> => {
    const peer = from.toString()
    for (const message of messages) {
      if (!topics.includes(message.topic)) continue
      if (hasLostItsScore(gossip.score.score(peer))) return
      if (!gossip.fastMsgIdCache.has(signatureName(message))) {
        if (!isByNode(message) || guard?.reads(peer) === false) {
          guard?.useless(peer, isBy(message, from))
          continue
        }
        await turns.next()
      }
      await handle(from, { subscriptions: [], messages: [message] })
    }
  }

  /** Nothing is asked of a peer that would not be read, nor held against it that what was asked was not. */
  const offers = (peer: NodeId, ihave: RPC.ControlIHave[]): RPC.ControlIHave[] => {
    if (guard?.reads(peer) !== false) return ihave
    for (const peers of gossip.gossipTracer.promises.values()) peers.delete(peer)
    return []
  }

  gossip.handleReceivedRpc = (from, { subscriptions, messages, control }) => {
    const peer = from.toString()
    return turns.read(peer, async () => {
      if (subscriptions.length > 0) await handle(from, { subscriptions, messages: [] })
      await takeMessages(from, messages)
      if (control === undefined) return
      const { ihave, prune } = control
      const bounded = { ...control, ihave: offers(peer, ihave), prune: prune.map(withBackoff) }
      await handle(from, { subscriptions: [], messages: [], control: bounded })
    })
  }
}

/** gossipsub keeps it for as long as the peer says, also when that is gone. */
function withBackoff(prune: RPC.ControlPrune): RPC.ControlPrune {
  return prune.backoff === undefined ? prune : { ...prune, backoff: Math.min(prune.backoff, MAX_GRAFT_BACKOFF_MS / 1_000) }
}
