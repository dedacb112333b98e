/** What nodes say of what they hold, asked directly; where one is silent, its last signed word. */
import { CID } from 'multiformats/cid'
import { orAbort } from '../content/abort.ts'
import type { Host } from '../network/host.ts'
import type { PresenceEntry, PresenceTable } from '../network/presence-table.ts'
import { NetworkError } from '../network/errors.ts'
import { query } from '../network/query.ts'
import { decodeAck, flatState } from '../protocol/ack.ts'
import { cidKey } from '../protocol/cid.ts'
import { openEnvelope, verifyEnvelope } from '../protocol/envelope.ts'
import { MAX_QUERY_CIDS } from '../protocol/limits.ts'
import type { PinRow, QueryPage, QueryRequest, StatusRow } from '../protocol/query.ts'
import type { NodeId } from '../protocol/ssh-key.ts'
import type { SenderCensus } from './census.ts'
import type { Ledger } from './ledger.ts'
import { createRowRoom } from './row-room.ts'
import { askAtEach, isLinked } from './targets.ts'
import type { Op, PinEvent, StatusEvent, StatusOptions } from './types.ts'

/** What a survey works with. */
export interface SurveyPorts {
  readonly host: Host
  readonly presence: PresenceTable
  readonly ledger: Ledger
  readonly census: SenderCensus
  /** Asks a linked node what it did while this sender was away; never rejects. */
  catchUp(node: NodeId): Promise<void>
}

/** Asks around. */
export interface Survey {
  status(cids: readonly CID[] | undefined, options: StatusOptions): AsyncGenerator<StatusEvent>
  pins(options: Pick<StatusOptions, 'pinset' | 'onLeftOut' | 'signal'>): Promise<readonly PinEvent[]>
}

/** How long one node may take for all of its answer, milliseconds; a check only has to come before those do who count, or within this. */
const ANSWER_MS = 10_000

/** How nodes are asked. */
interface Asking {
  readonly signal: AbortSignal | undefined
  readonly check?: boolean
  readonly onLeftOut?: StatusOptions['onLeftOut'] | undefined
  /** How many are asked about; all where undefined. */
  readonly cids?: number | undefined
}

/** Makes a survey of one network. */
export function createSurvey(network: string, ports: SurveyPorts): Survey {
  const { host, presence, ledger, census } = ports

  /** Asks every node that is there; a node that does not answer, or says too much, is left out. */
  const askAll = async <T>(
    requests: readonly QueryRequest[],
    { signal, cids, check = false, onLeftOut }: Asking,
    read: (page: QueryPage, node: NodeId) => readonly T[]
  ): Promise<Map<NodeId, T[]>> => {
    const answers = new Map<NodeId, T[]>()
    const room = createRowRoom(cids, census)
    const ask = async (entry: PresenceEntry, limit: AbortSignal): Promise<void> => {
      const { node } = entry.presence
      try {
        const rows: T[] = []
        for (const request of requests) {
          const pages = askAtEach(host, entry, (target) => query(host, target, request, { signal: limit }))
          for await (const page of pages) {
            const more = read(page, node)
            room.take(node, more.length)
            rows.push(...more)
          }
        }
        answers.set(node, rows)
      } catch (err) {
        signal?.throwIfAborted()
        if (err instanceof NetworkError && err.code === 'size') onLeftOut?.(node, err.message)
      }
    }
    const there = presence.all().filter((entry) => entry.online || isLinked(host, entry.presence.node))
    const counted = there.filter((entry) => census.counts(entry.presence.node))
    const others = there.filter((entry) => !counted.includes(entry))
    const late = AbortSignal.timeout(ANSWER_MS)
    const patience = new AbortController()
    const giveUp = (): void => patience.abort()
    const until = (limit?: AbortSignal): AbortSignal => AbortSignal.any([signal, limit].filter((each) => each !== undefined))
    // A check takes what it takes, but nobody waits for those who do not count.
    const enough = Promise.all(counted.map((entry) => ask(entry, until(check ? undefined : late)))).then(() =>
      late.aborted ? giveUp() : late.addEventListener('abort', giveUp)
    )
    await Promise.all([enough, ...others.map((entry) => ask(entry, until(patience.signal)))])
    return answers
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
    ...(row.check === undefined ? {} : { check: row.check }),
    ...(row.author === undefined ? {} : { author: row.author }),
    ...(row.name === undefined ? {} : { name: row.name }),
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
            op: (command.operations[index] as { readonly op: Op }).op,
            ...flatState(state),
            at,
            source: 'receipt',
            trusted: census.trusted(node)
          } as const
        ]
      })
    })

  return {
    async *status(cids, { pinset, check = false, onProgress, onLeftOut, signal }) {
      const keys = cids?.map(cidKey)
      const base = { want: 'status', network, ...(pinset === undefined ? {} : { pinset }), ...(check ? { check } : {}) } as const
      const requests = keys === undefined ? [base] : chunks(keys, MAX_QUERY_CIDS).map((part) => ({ ...base, cids: part }))
      const counts = new Map<NodeId, number>()
      const answers = await askAll(requests, { signal, check, onLeftOut, cids: keys?.length }, (page, node) => {
        const rows = page.page === 'status' ? page.rows : []
        counts.set(node, (counts.get(node) ?? 0) + rows.length)
        onProgress?.(node, counts.get(node) as number)
        return rows
      })
      for (const [node, rows] of answers) for (const row of rows) yield live(node, row)
      // Whoever cannot reach a node the next time shall have its last word.
      await orAbort(Promise.all([...answers.keys()].map(ports.catchUp)), signal ?? new AbortController().signal)
      const asked = cids ?? ledger.pinned(network).map(({ cid }) => CID.parse(cid))
      for (const cid of asked) yield* receipts(cid, pinset, answers)
    },

    async pins({ pinset, onLeftOut, signal }) {
      const request = { want: 'pins', network, ...(pinset === undefined ? {} : { pinset }) } as const
      const answers = await askAll([request], { signal, onLeftOut }, (page) => (page.page === 'pins' ? page.rows : []))
      const merged = new Map<string, { row: PinRow; nodes: Set<NodeId> }>()
      for (const [node, rows] of answers) {
        for (const row of rows) {
          const name = `${cidKey(row.cid)} ${row.pinset}`
          const known = merged.get(name)
          if (known === undefined) merged.set(name, { row, nodes: new Set([node]) })
          else {
            known.nodes.add(node)
            if (row.at > known.row.at) known.row = row
          }
        }
      }
      return [...merged.values()].map(({ row, nodes }) => ({
        event: 'pin',
        cid: row.cid.toString(),
        pinset: row.pinset,
        ...(row.name === undefined ? {} : { name: row.name }),
        author: row.author,
        at: new Date(row.at).toISOString(),
        nodes: [...nodes]
      }))
    }
  }
}

function chunks<T>(items: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, i) => items.slice(i * size, (i + 1) * size))
}
