/** `pinsub nodes`: who is there and in step; `pinsub nodes trust PEER`: who counts. */
import { mkdir } from 'node:fs/promises'
import { addKnownNodes } from '../../identity/known-nodes-file.ts'
import { sayOffset } from '../../protocol/clock-offset.ts'
import { parseNodeId } from '../../protocol/known-nodes.ts'
import { clockWarning } from '../../sender/clock-hints.ts'
import type { NodeEvent } from '../../sender/types.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { ago, bytes, table } from '../format.ts'
import { openReader } from '../sender.ts'

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
  if (all.every(({ trusted }) => !trusted)) output.note('No node is in known_nodes, so all count. To say which do: pinsub nodes trust PEER')
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

/** Adds a node to known_nodes. */
export async function trust({ home, output }: Context, peer: string): Promise<number> {
  const node = parseNodeId(peer)
  await mkdir(home.dir, { recursive: true, mode: 0o700 })
  const [added] = await addKnownNodes(home.knownNodes, new Map([[node, `trusted ${new Date().toISOString().slice(0, 10)}`]]))
  output.event({ event: 'trusted', node, file: home.knownNodes, added: added !== undefined })
  output.result(added === undefined ? `${node} was in ${home.knownNodes} already` : `${node} now counts (${home.knownNodes})`)
  return EXIT.ok
}
