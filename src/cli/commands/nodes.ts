/** `pinsub nodes`: who is there and in step; `pinsub nodes trust|distrust PEER…`: who counts. */
import { makeFolder } from '../../identity/folders.ts'
import { addKnownNodes, distrustKnownNodes } from '../../identity/known-nodes-file.ts'
import { sayOffset } from '../../protocol/clock-offset.ts'
import { parseNodeId } from '../../protocol/known-nodes.ts'
import { clockWarning } from '../../sender/clock-hints.ts'
import type { NodeEvent } from '../../sender/types.ts'
import { exitOf, sayEverywhere } from '../admin-view.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { ago, bytes, count, table } from '../format.ts'
import { openReader, openSender } from '../sender.ts'

/** Runs the listing. */
export async function nodes(context: Context): Promise<number> {
  const { output, signal } = context
  await using sender = await openReader(context)
  await sender.connect({ signal })
  await sender.rollCall({ signal })
  const all = sender.nodes()
  all.forEach((node) => output.event(node))
  table(all.map((node) => nodeRow(node, Date.now()))).forEach((line) => output.result(line))
  const warning = clockWarning(sender.clockOffset())
  if (warning !== undefined) output.note(warning)
  if (sender.countsAll) output.note('There is no known_nodes, so all count. To say which do: pinsub nodes trust PEER')
  return EXIT.ok
}

/** A node as a line of the table, at `now`. */
export function nodeRow(node: NodeEvent, now: number): string[] {
  return [
    node.node,
    node.state,
    standing(node, now),
    backend(node),
    node.free === undefined ? '' : `${bytes(node.free)} free`,
    node.trusted ? 'trusted' : 'not vouched for',
    node.addresses[0] ?? '',
    clock(node)
  ]
}

function standing({ state, last_seen, behind, capped }: NodeEvent, now: number): string {
  if (last_seen === null) return 'never seen'
  if (state === 'gone') return `last seen ${ago(now - Date.parse(last_seen))}`
  const lag = behind === null ? 'lag unknown' : behind === 0 ? 'in sync' : `${behind} behind`
  return capped === true ? `${lag} (capped)` : lag
}

function backend({ backend: kind, up, full }: NodeEvent): string {
  const name = kind === 'kubo' ? 'Kubo' : kind === 'helia' ? 'built in' : ''
  return up === false ? `${name} (down)` : full === true ? `${name} (full)` : name
}

function clock({ clock_off_ms: offset, clock_off: admitted }: NodeEvent): string {
  if (offset !== undefined) return `clock ${sayOffset(offset)}`
  return admitted === true ? 'clock off, by its own word' : ''
}

/** Adds nodes to known_nodes. */
export async function trust({ home, output }: Context, peers: readonly string[]): Promise<number> {
  const nodes = peers.map(parseNodeId)
  await makeFolder(home.dir)
  const added = await addKnownNodes(home.knownNodes, new Map(nodes.map((node) => [node, `trusted ${today()}`])))
  for (const node of nodes) {
    output.event({ event: 'trusted', node, file: home.knownNodes, added: added.includes(node) })
    output.result(added.includes(node) ? `${node} now counts (${home.knownNodes})` : `${node} was in ${home.knownNodes} already`)
  }
  return EXIT.ok
}

/** Takes nodes out of known_nodes, so that none comes back by a first contact. */
export async function distrust({ home, output }: Context, peers: readonly string[]): Promise<number> {
  const nodes = peers.map(parseNodeId)
  await makeFolder(home.dir)
  const gone = await distrustKnownNodes(home.knownNodes, new Set(nodes), today())
  for (const node of nodes) {
    output.event({ event: 'distrusted', node, file: home.knownNodes, removed: gone.includes(node) })
    output.result(
      gone.includes(node) ? `${node} counts no more (${home.knownNodes})` : `${node} did not stand in ${home.knownNodes}, and will not`
    )
  }
  return EXIT.ok
}

/** Says to every node that others count, or do not any more; the file of this home says the same from then on. */
export async function trustEverywhere(context: Context, op: 'trust' | 'distrust', peers: readonly string[]): Promise<number> {
  const nodes = peers.map(parseNodeId)
  await using sender = await openSender(context)
  const requests = nodes.map((node) => ({ op, node }) as const)
  const outcome = await sayEverywhere(sender, requests, context, `${count(nodes.length, 'node')} ${op}ed`)
  if (outcome !== 'refused') await (op === 'trust' ? trust(context, peers) : distrust(context, peers))
  return exitOf(outcome)
}

function today(): string {
  return new Date().toISOString().slice(0, 10)
}
