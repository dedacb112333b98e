/** gossipsub as we set it up, and what we change in it. */
import { gossipsub, StrictSign, type GossipSub, type GossipSubComponents } from '@libp2p/gossipsub'
import type { RPC } from '@libp2p/gossipsub/message'
import type { MessageId } from '@libp2p/gossipsub/types'
import type { PeerId, Startable } from '@libp2p/interface'
import { MAX_GOSSIP_FRAME_BYTES } from '../protocol/limits.ts'
import { guardIntake, type Taking } from './gossip-intake.ts'
import { ownMessage, signatureName } from './gossip-messages.ts'
import { gossipScore } from './gossip-score.ts'
import type { GossipStreams } from './gossip-streams.ts'
import type { Host } from './host.ts'
import type { LinkGuard } from './link-guard.ts'

/** What we use of gossipsub beyond its published interface. */
export type Gossip = GossipSub &
  Startable &
  Taking & {
    readonly streamsOutbound: ReadonlyMap<string, unknown>
    readonly streamsInbound: ReadonlyMap<string, unknown>
    readonly score: { scoreCacheValidityMs: number }
    readonly mcache: { put(id: MessageId, message: RPC.Message, isValidated?: boolean): boolean }
  }

/** Makes it for these topics. Not a service of libp2p: it needs to know the network, and to have its streams opened for it. */
export function createGossip(
  topics: readonly string[],
  { host, streams, guard }: { readonly host: Host; readonly streams: GossipStreams; readonly guard: LinkGuard | undefined }
): Gossip {
  const { libp2p, privateKey } = host
  const { registrar, hold } = streams
  const make = gossipsub({
    globalSignaturePolicy: StrictSign,
    fallbackToFloodsub: false,
    // To all subscribers, not the mesh alone: a sender is in no mesh yet, and its command must not hang on one peer.
    floodPublish: true,
    // publish() reads the recipients instead.
    allowPublishToZeroTopicPeers: true,
    allowedTopics: [...topics],
    // Two topics, and another network's two while a machine moves: nobody needs more.
    maxTopicBytesPerPeer: 8 * 1024,
    maxInboundDataLength: MAX_GOSSIP_FRAME_BYTES,
    maxOutboundBufferSize: 2 * MAX_GOSSIP_FRAME_BYTES,
    maxInboundStreams: 4,
    fastMsgIdFn: signatureName,
    awaitRpcHandler: true,
    // gossipsub's own senders pack a whole heartbeat: a hundred times what a quiet topic carries, far below its 5,000.
    decodeRpcLimits: {
      maxSubscriptions: 64,
      maxMessages: 1_000,
      maxIhaveMessageIDs: 5_000,
      maxIwantMessageIDs: 5_000,
      maxIdontwantMessageIDs: 512,
      maxControlMessages: 128,
      maxPeerInfos: 16
    },
    ...gossipScore(topics)
  })
  const connectionManager = { openConnection: (peer: PeerId) => libp2p.dial(peer) } as GossipSubComponents['connectionManager']
  const { peerId, peerStore, logger } = libp2p
  const gossip = make({ privateKey, peerId, peerStore, registrar, connectionManager, logger }) as Gossip
  // It would go by a score for a second in which a peer sends thousands of messages.
  gossip.score.scoreCacheValidityMs = 0
  guardIntake(gossip, topics, { guard, hold })
  const { mcache } = gossip
  const keep = mcache.put.bind(mcache)
  mcache.put = (id, message, isValidated) => keep(id, ownMessage(message), isValidated)
  return gossip
}
