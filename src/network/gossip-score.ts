/** When gossipsub stops listening to a peer. All numbers are gossipsub's own units: points, and decay per second. */
import type { GossipsubOpts } from '@libp2p/gossipsub'

/** Rejected messages, within ten minutes, above which nothing of a peer is read any more. */
export const GREYLIST_AFTER_REJECTS = 30

/** Decays to a hundredth in ten minutes: a peer with a broken version is heard again after it was mended. */
const DECAY = 0.01 ** (1 / 600)

const TOPIC_SCORE = {
  topicWeight: 1,
  // Points for good behaviour would only let a peer save up for bad one.
  timeInMeshWeight: 0,
  timeInMeshQuantum: 1,
  timeInMeshCap: 1,
  firstMessageDeliveriesWeight: 0,
  firstMessageDeliveriesDecay: 0.5,
  firstMessageDeliveriesCap: 1,
  // Our topics are quiet for hours; silence is no fault.
  meshMessageDeliveriesWeight: 0,
  meshMessageDeliveriesDecay: 0.5,
  meshMessageDeliveriesCap: 1,
  meshMessageDeliveriesThreshold: 1,
  meshMessageDeliveriesWindow: 10,
  meshMessageDeliveriesActivation: 5_000,
  meshFailurePenaltyWeight: 0,
  meshFailurePenaltyDecay: 0.5,
  // Counts the square of the rejected messages.
  invalidMessageDeliveriesWeight: -1,
  invalidMessageDeliveriesDecay: DECAY
} as const

const GREYLIST_BELOW = -(GREYLIST_AFTER_REJECTS ** 2)

/** Whether nothing is read any more of a peer with this score. */
export function hasLostItsScore(score: number): boolean {
  return score < GREYLIST_BELOW
}

/** Explicit scores for our topics; without them a rejected message costs nothing, with the defaults six are the end. */
export function gossipScore(topics: readonly string[]): Pick<GossipsubOpts, 'scoreParams' | 'scoreThresholds'> {
  return {
    scoreParams: {
      topics: Object.fromEntries(topics.map((topic) => [topic, { ...TOPIC_SCORE }])),
      // Every send comes from a fresh peer id and fleets sit behind one NAT: many peers at one IP are the rule here.
      IPColocationFactorWeight: 0,
      // Grafting too early and IHAVEs not followed up happen to the honest now and then.
      behaviourPenaltyWeight: -10,
      behaviourPenaltyThreshold: 6,
      behaviourPenaltyDecay: DECAY,
      // gossipsub forgets the score when a peer comes back, so remembering it for the hour by default is only memory.
      retainScore: 10_000
    },
    scoreThresholds: {
      gossipThreshold: -((GREYLIST_AFTER_REJECTS / 3) ** 2),
      publishThreshold: -(((GREYLIST_AFTER_REJECTS * 2) / 3) ** 2),
      graylistThreshold: GREYLIST_BELOW
    }
  }
}
