/** What nodes say of themselves and of what they hold, asked directly; where one is silent, its last signed word. */
import { CID } from 'multiformats/cid'
import type { Host } from '../network/host.ts'
import type { PresenceEntry, PresenceTable } from '../network/presence-table.ts'
import { query } from '../network/query.ts'
import { decodeAck, flatState } from '../protocol/ack.ts'
import { cidKey } from '../protocol/cid.ts'
import { openEnvelope, verifyEnvelope } from '../protocol/envelope.ts'
import { MAX_QUERY_CIDS } from '../protocol/limits.ts'
import type { PinRow, QueryPage, QueryRequest, StatusRow } from '../protocol/query.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { SenderCensus } from './census.ts'
import type { Ledger } from './ledger.ts'
import type { NodeEvent, PinEvent, StatusEvent } from './types.ts'

/** What a survey works with. */
export interface SurveyPorts {
  readonly host: Host
  readonly presence: PresenceTable
  readonly ledger: Ledger
  readonly census: SenderCensus
  readonly knownNodes: ReadonlySet<NodeId>
}

/** Asks around. */
export interface Survey {
  status(cids: readonly CID[] | undefined, pinset: string | undefined, signal: AbortSignal | undefined): AsyncGenerator<StatusEvent>
  pins(pinset: string | undefined, signal: AbortSignal | undefined): Promise<readonly PinEvent[]>
  nodes(): readonly NodeEvent[]
}

/** How long one node may take for all of its answer, milliseconds. */
const ANSWER_MS = 10_000

/** Makes a survey of one network. */
export function createSurvey(network: string, ports: SurveyPorts): Survey {
  const { presence, ledger, census, knownNodes } = ports

  /** Asks every node that is there; a node that does not answer is left out. */
  const askAll = async <T>(
    requests: readonly QueryRequest[],
    signal: AbortSignal | undefined,
    read: (page: QueryPage) => readonly T[]
  ): Promise<Map<NodeId, T[]>> => {
    const answers = new Map<NodeId, T[]>()
    await Promise.all(
      presence.all().map(async (entry) => {
        const limit = AbortSignal.any([AbortSignal.timeout(ANSWER_MS), ...(signal === undefined ? [] : [signal])])
        try {
          const rows: T[] = []
          for (const request of requests) {
            for await (const page of ask(entry, request, limit)) rows.push(...read(page))
          }
          answers.set(entry.presence.node, rows)
        } catch {
          signal?.throwIfAborted()
        }
      })
    )
    return answers
  }

  async function* ask(
    { presence: { node, addresses } }: PresenceEntry,
    request: QueryRequest,
    signal: AbortSignal
  ): AsyncGenerator<QueryPage> {
    const isLinked = ports.host.libp2p.getPeers().some((peer) => peer.toString() === node)
    const targets = isLinked ? [node] : addresses.map((address) => `${address}/p2p/${node}`)
    let failure: unknown = new Error(`${node} tells no address`)
    for (const target of targets) {
      try {
        yield* query(ports.host, target, request, { signal })
        return
      } catch (err) {
        failure = err
      }
    }
    throw failure
  }

  const live = (node: NodeId, row: StatusRow): StatusEvent => ({
    event: 'status',
    cid: row.cid.toString(),
    pinset: row.pinset,
    node,
    op: row.op ?? null,
    status: row.status,
    ...(row.code === undefined ? {} : { code: row.code }),
    ...(row.bytes === undefined ? {} : { bytes: row.bytes }),
    at: new Date(row.at).toISOString(),
    source: 'live',
    trusted: census.trusted(node)
  })

  const receipts = (cid: CID, pinset: string | undefined, answered: ReadonlyMap<NodeId, unknown>): StatusEvent[] =>
    ledger.about(network, cidKey(cid)).flatMap(({ command, receipts: kept }) => {
      if (pinset !== undefined && command.pinset !== pinset) return []
      const index = command.operations.findIndex((operation) => operation.cid === cidKey(cid))
      return kept.flatMap(({ node, envelope }) => {
        if (answered.has(node)) return []
        const ack = decodeAck(verifyEnvelope(openEnvelope(envelope)), network)
        const state = ack.states[index]
        if (state === undefined) return []
        const at = new Date(ack.time).toISOString()
        return [
          {
            event: 'status',
            cid: cid.toString(),
            pinset: command.pinset,
            node,
            op: command.operations[index]?.op ?? null,
            ...flatState(state),
            at,
            source: 'receipt',
            trusted: census.trusted(node)
          } as const
        ]
      })
    })

  return {
    async *status(cids, pinset, signal) {
      const keys = cids?.map(cidKey)
      const base = { want: 'status', network, ...(pinset === undefined ? {} : { pinset }) } as const
      const requests = keys === undefined ? [base] : chunks(keys, MAX_QUERY_CIDS).map((part) => ({ ...base, cids: part }))
      const answers = await askAll(requests, signal, (page) => (page.page === 'status' ? page.rows : []))
      for (const [node, rows] of answers) for (const row of rows) yield live(node, row)
      const asked = cids ?? ledger.pinned(network).map(({ cid }) => CID.parse(cid))
      for (const cid of asked) yield* receipts(cid, pinset, answers)
    },

    async pins(pinset, signal) {
      const request = { want: 'pins', network, ...(pinset === undefined ? {} : { pinset }) } as const
      const answers = await askAll([request], signal, (page) => (page.page === 'pins' ? page.rows : []))
      const merged = new Map<string, { row: PinRow; nodes: NodeId[] }>()
      for (const [node, rows] of answers) {
        for (const row of rows) {
          const name = `${cidKey(row.cid)} ${row.pinset}`
          const known = merged.get(name)
          if (known === undefined) merged.set(name, { row, nodes: [node] })
          else merged.set(name, { row: row.at > known.row.at ? row : known.row, nodes: [...known.nodes, node] })
        }
      }
      return [...merged.values()].map(({ row, nodes }) => ({
        event: 'pin',
        cid: row.cid.toString(),
        pinset: row.pinset,
        ...(row.name === undefined ? {} : { name: row.name }),
        author: row.author,
        at: new Date(row.at).toISOString(),
        nodes
      }))
    },

    nodes() {
      const present = presence.all().map(({ presence: self, online, heardAt }): NodeEvent => ({
        event: 'node',
        node: self.node,
        addresses: self.addresses,
        state: online ? 'online' : 'gone',
        last_seen: new Date(heardAt).toISOString(),
        backend: self.backend.kind,
        up: self.backend.up,
        version: self.version,
        trusted: census.trusted(self.node),
        behind: null,
        ...(self.free === undefined ? {} : { free: self.free })
      }))
      const silent = [...knownNodes].filter((node) => presence.get(node) === undefined)
      return [
        ...present,
        ...silent.map((node): NodeEvent => ({
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
        }))
      ]
    }
  }
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))
}
