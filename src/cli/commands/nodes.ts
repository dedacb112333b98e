/** `pinsub nodes`: who is there; `pinsub nodes trust PEER`: who counts. */
import { mkdir } from 'node:fs/promises'
import { addKnownNodes } from '../../identity/known-nodes-file.ts'
import { parseNodeId } from '../../protocol/known-nodes.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { ago, bytes, table } from '../format.ts'
import { openReader } from '../sender.ts'

/** Runs the listing. */
export async function nodes(context: Context): Promise<number> {
  const { output, signal } = context
  await using sender = await openReader(context)
  await sender.connect({ signal })
  const all = sender.nodes()
  all.forEach((node) => output.event(node))
  const rows = all.map((node) => [
    node.node,
    node.state,
    node.last_seen === null ? 'never seen' : ago(Date.now() - Date.parse(node.last_seen)),
    `${node.backend === 'kubo' ? 'Kubo' : node.backend === 'helia' ? 'built in' : ''}${node.up === false ? ' (down)' : ''}`,
    node.free === undefined ? '' : `${bytes(node.free)} free`,
    node.trusted ? 'trusted' : 'not vouched for',
    node.addresses[0] ?? ''
  ])
  table(rows).forEach((line) => output.result(line))
  if (all.every(({ trusted }) => !trusted)) output.note('No node is in known_nodes, so all count. To say which do: pinsub nodes trust PEER')
  return EXIT.ok
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
