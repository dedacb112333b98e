/** What a wrong clock does to a sender, in words. Pure. */
import type { OperationState } from '../protocol/ack.ts'
import { isOff, medianOffset, offsetOf, sayOffset } from '../protocol/clock-offset.ts'
import { MAX_AHEAD_MS } from '../protocol/limits.ts'
import type { NodeId } from '../protocol/ssh-key.ts'

/** What is known of a node's clock. */
export interface HeardClock {
  readonly online: boolean
  /** Our clock when it was heard, milliseconds since the epoch. */
  readonly heardAt: number
  readonly presence: { readonly node: NodeId; readonly time: number }
}

/** Clocks of the network as this machine sees them; milliseconds, positive where they are ahead. */
export interface Clocks {
  /** The nodes that count against ours: their median; undefined where none is there. */
  readonly offset: number | undefined
  /** Each node that is there against that median. */
  readonly nodes: ReadonlyMap<NodeId, number>
}

const HOW = '(timedatectl set-ntp true)'

/** Measures the clocks of the nodes that are there, the median by those that count. */
export function readClocks(heard: readonly HeardClock[], counts: (node: NodeId) => boolean): Clocks {
  const there = heard.filter(({ online }) => online)
  const offsets = new Map(there.map(({ presence: { node, time }, heardAt }) => [node, offsetOf({ time, heardAt })] as const))
  const offset = medianOffset([...offsets].flatMap(([node, own]) => (counts(node) ? [own] : [])))
  return { offset, nodes: new Map([...offsets].map(([node, own]) => [node, own - (offset ?? 0)])) }
}

/** What to say to who sends or looks with a clock that is off; undefined where it is right, or where nobody can tell. */
export function clockWarning(offset: number | undefined): string | undefined {
  if (!isOff(offset)) return undefined
  const harm = offset < 0 ? 'they refuse commands that look as if from the future' : 'what was said in that time outranks what you send now'
  return `${whose(offset)}: ${harm}. Set it ${HOW}`
}

/** Why nodes refused a command or held to an older one, where a clock is the likely reason; `signedAt` is the time in the command. */
export function clockHint(states: ReadonlyMap<NodeId, OperationState>, signedAt: number, now: number, clocks: Clocks): string | undefined {
  const { offset, nodes } = clocks
  const all = [...states]
  const refusing = all.filter(([, state]) => state.status === 'refused' && state.code === 'skew').map(([node]) => node)
  if (refusing.length > 0) {
    if (isOff(offset) && offset < 0) return `${whose(offset)}, which refuse it for now. Set it ${HOW}; ${takenFrom(signedAt)}`
    if (signedAt > now + (offset ?? 0) + MAX_AHEAD_MS) {
      return `a command signed here earlier, by a clock that was ahead, is dated later than now, and each new one after it; ${takenFrom(signedAt)}`
    }
    const slow = refusing.find((node) => (nodes.get(node) ?? 0) < -MAX_AHEAD_MS)
    if (slow === undefined) return undefined
    return `the clock of ${slow} is ${sayOffset(nodes.get(slow) as number, 'the other nodes')}, so that what is sent now looks to it as if from the future. Set it there ${HOW}`
  }
  if (isOff(offset) && offset > 0 && all.some(([, { status }]) => status === 'superseded')) {
    return `${whose(offset)}, which is likely why: what was said in that time outranks it. Set it ${HOW} and send it again`
  }
  return undefined
}

function whose(offset: number): string {
  return `this machine's clock is ${sayOffset(-offset, 'the nodes')}`
}

function takenFrom(signedAt: number): string {
  const time = new Date(signedAt - MAX_AHEAD_MS).toISOString().slice(0, 16)
  return `nodes take what is signed here from ${time}Z on, and the first run after that offers this command again`
}
