/** What an admin says of keys and nodes, to every node. */
import type { Host } from '../network/host.ts'
import type { PresenceTable } from '../network/presence-table.ts'
import { query } from '../network/query.ts'
import { listIds } from '../network/sync-ids.ts'
import { authorizeOperation, type AdminKind, type AdminOperation } from '../protocol/admin-operations.ts'
import type { Clock } from '../protocol/clock.ts'
import type { CommandId } from '../protocol/envelope.ts'
import { parseNodeId } from '../protocol/known-nodes.ts'
import { MAX_KEPT_COMMANDS } from '../protocol/limits.ts'
import { parseAuthor, type Author, type NodeId } from '../protocol/ssh-key.ts'
import type { SenderCensus } from './census.ts'
import { SenderError } from './errors.ts'
import type { Item, ItemEvent } from './sending.ts'
import { askAtEach } from './targets.ts'
import type { AdminEvent, AdminRequest, Outcome } from './types.ts'

/** What it works with. */
export interface AdminPorts {
  readonly host: Host
  readonly presence: PresenceTable
  readonly census: Pick<SenderCensus, 'counts'>
  readonly clock: Clock
}

/** How long one node may take to answer, milliseconds. */
const ANSWER_MS = 10_000

/** Turns requests into operations. Rejects with `InvalidTextError` for what names no key or node, `SenderError` where nobody could be asked. */
export async function adminItems(
  requests: readonly AdminRequest[],
  network: string,
  ports: AdminPorts,
  signal: AbortSignal | undefined
): Promise<Item<AdminKind>[]> {
  const items: Item<AdminKind>[] = []
  for (const request of requests) {
    const operation = await operationOf(request, network, ports, signal)
    items.push({ cid: subjectOf(operation), operation })
  }
  return items
}

/** Events of a send, told of keys and nodes instead of CIDs. */
export async function* adminEvents(events: AsyncGenerator<ItemEvent<AdminKind>, Outcome>): AsyncGenerator<AdminEvent, Outcome> {
  for (;;) {
    const next = await events.next()
    if (next.done === true) return next.value
    if (next.value.event === 'sent') {
      const { cids, ...sent } = next.value
      yield { ...sent, operations: cids }
    } else {
      const { cid, ...rest } = next.value
      yield { ...rest, subject: cid }
    }
  }
}

/** Of each node that counts, is there and answers, whether a key may command it. */
export async function whereMay(
  blob: Uint8Array,
  network: string,
  ports: AdminPorts,
  signal: AbortSignal | undefined
): Promise<ReadonlyMap<NodeId, boolean>> {
  const { host } = ports
  const answers = await askNodes(ports, async (entry) => {
    const limit = limitOf(signal)
    const pages = askAtEach(host, entry, (target) => query(host, target, { want: 'hello', network, signer: blob }, { signal: limit }))
    for await (const page of pages) if (page.page === 'hello') return page.authorised ?? false
    throw new Error('no answer')
  })
  signal?.throwIfAborted()
  return answers
}

async function operationOf(
  request: AdminRequest,
  network: string,
  ports: AdminPorts,
  signal: AbortSignal | undefined
): Promise<AdminOperation> {
  switch (request.op) {
    case 'authorize':
      return authorizeOperation(request.line, { succeeds: request.succeeds ?? false })
    case 'close': {
      const author = parseAuthor(request.key)
      return { op: request.op, author, keeps: await keptOf(author, network, ports, signal) }
    }
    case 'revoke':
      return { op: request.op, author: parseAuthor(request.key) }
    case 'trust':
    case 'distrust':
      return { op: request.op, node: parseNodeId(request.node) }
  }
}

function subjectOf(operation: AdminOperation): string {
  if ('node' in operation) return operation.node
  return operation.op === 'authorize' ? operation.key.author : operation.author
}

/**
 * What a key said as an admin, as all nodes that count and are there hold it together: that stays when it is closed. A stranger's word would let
 * him choose what stays.
 */
async function keptOf(author: Author, network: string, ports: AdminPorts, signal: AbortSignal | undefined): Promise<readonly CommandId[]> {
  const { host, clock } = ports
  const options = { network, set: { author, pinset: undefined }, limit: MAX_KEPT_COMMANDS }
  const answers = await askNodes(ports, async (entry) => {
    const ids: CommandId[] = []
    const limit = limitOf(signal)
    for await (const id of askAtEach(host, entry, (target) => each(listIds(target, options, { host, clock, signal: limit })))) ids.push(id)
    return ids
  })
  signal?.throwIfAborted()
  if (answers.size === 0) throw new SenderError('no-node', `no node told what ${author} had said: nothing was sent, try again`)
  const ids = new Set([...answers.values()].flat())
  if (ids.size <= MAX_KEPT_COMMANDS) return [...ids]
  throw new SenderError(
    'usage',
    `${author} changed keys more than ${MAX_KEPT_COMMANDS} times: take its line out of authorized_keys on each node instead`
  )
}

async function* each<T>(list: Promise<readonly T[]>): AsyncGenerator<T> {
  yield* await list
}

/** Asks every node that counts and is there; one that does not answer is left out. */
async function askNodes<T>(
  { presence, census }: AdminPorts,
  ask: (entry: ReturnType<PresenceTable['all']>[number]) => Promise<T>
): Promise<Map<NodeId, T>> {
  const answers = new Map<NodeId, T>()
  const online = presence.all().filter((entry) => entry.online && census.counts(entry.presence.node))
  await Promise.all(
    online.map(async (entry) => {
      try {
        answers.set(entry.presence.node, await ask(entry))
      } catch {
        // Others may answer.
      }
    })
  )
  return answers
}

function limitOf(signal: AbortSignal | undefined): AbortSignal {
  return AbortSignal.any([AbortSignal.timeout(ANSWER_MS), ...(signal === undefined ? [] : [signal])])
}
