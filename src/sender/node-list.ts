/** Who is there: what each node said of itself last, how far it is behind the others, and whether its clock is right. */
import type { PresenceEntry, PresenceTable } from '../network/presence-table.ts'
import { isOff } from '../protocol/clock-offset.ts'
import { lagOf, type Lag } from '../protocol/lag.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { SenderCensus } from './census.ts'
import type { Clocks } from './clock-hints.ts'
import type { NodeEvent } from './types.ts'

/** What the list is made from. */
export interface NodeListPorts {
  readonly presence: Pick<PresenceTable, 'all' | 'get'>
  readonly census: SenderCensus
  readonly knownNodes: ReadonlySet<NodeId>
  clocks(): Clocks
}

/** The nodes of the network: those that were heard of, then known ones that never were. */
export function listNodes({ presence, census, knownNodes, clocks }: NodeListPorts): readonly NodeEvent[] {
  const heard = presence.all()
  const lags = lagOf(
    heard.map(({ presence: { node, sets }, online }) => ({ node, online, ...(sets === undefined ? {} : { sets }) })),
    census.counts
  )
  const offsets = clocks().nodes
  const present = heard.map((entry): NodeEvent => {
    const { node } = entry.presence
    return { ...described(entry), trusted: census.trusted(node), ...standing(lags.get(node), offsets.get(node)) }
  })
  const silent = [...knownNodes].filter((node) => presence.get(node) === undefined)
  return [...present, ...silent.map(neverHeard)]
}

function described({ presence: self, online, heardAt }: PresenceEntry): Omit<NodeEvent, 'trusted' | 'behind'> {
  return {
    event: 'node',
    node: self.node,
    addresses: self.addresses,
    state: online ? 'online' : 'gone',
    last_seen: new Date(heardAt).toISOString(),
    backend: self.backend.kind,
    up: self.backend.up,
    ...(self.backend.full === true ? { full: true } : {}),
    version: self.version,
    ...(self.free === undefined ? {} : { free: self.free }),
    ...(online && self.clockOff === true ? { clock_off: true } : {})
  }
}

function standing(lag: Lag | undefined, clockOff: number | undefined): Pick<NodeEvent, 'behind' | 'capped' | 'clock_off_ms'> {
  return {
    behind: lag?.behind ?? null,
    ...(lag?.capped === true ? { capped: true } : {}),
    ...(isOff(clockOff) ? { clock_off_ms: clockOff } : {})
  }
}

function neverHeard(node: NodeId): NodeEvent {
  return {
    event: 'node',
    node,
    addresses: [],
    state: 'gone',
    last_seen: null,
    backend: null,
    up: null,
    version: null,
    trusted: true,
    behind: null
  }
}
