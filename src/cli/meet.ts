/** First contact: reaches the bootstrap nodes and writes down who is there, as ssh does with known_hosts. */
import { readConfigFile, writeConfigFile } from '../config/file.ts'
import { addKnownNodes } from '../identity/known-nodes-file.ts'
import { hostPort, parseBootstrap } from '../network/addresses.ts'
import { createSender } from '../sender/sender.ts'
import type { NodeEvent, Reached } from '../sender/types.ts'
import type { Context } from './context.ts'
import { count, duration, shortNode } from './format.ts'
import { publicKey } from './key.ts'

/** Ways into the network that config.json keeps: enough that one is up, few enough to dial at once. */
const MAX_BOOTSTRAPS = 5

interface Meeting {
  readonly reached: Reached
  readonly nodes: readonly NodeEvent[]
}

/** Meets every bootstrap node of the settings; `line` is what a node that refuses the key needs. Rejects when none answers. */
export async function meet(context: Context, network: string, line: string): Promise<Reached[]> {
  const { config, output } = context
  const results = await Promise.allSettled(config.bootstrap.map((address) => meetOne(context, network, parseBootstrap(address))))
  const meetings = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []))
  if (meetings.length === 0) throw failures[0] as Error
  for (const { message } of failures) output.note(message)

  const nodes = new Map(meetings.flatMap((meeting) => meeting.nodes.map((node) => [node.node, node] as const)))
  for (const { reached } of meetings) tell(context, reached, line)
  const others = [...nodes.values()].filter(({ node }) => meetings.every(({ reached }) => reached.node !== node))
  if (others.length > 0) {
    const names = others.map(
      ({ node, addresses, backend }) => `${shortNode(node)} (${place(addresses)}, ${backend === 'kubo' ? 'Kubo' : 'built in'})`
    )
    output.note(`${meetings.length === 1 ? 'It knows' : 'They know'} ${others.length} more: ${names.join(', ')}.`)
  }
  await writeDown(context, [...nodes.values()], others)
  return meetings.map(({ reached }) => reached)
}

async function meetOne(context: Context, network: string, address: string): Promise<Meeting> {
  const { signal, version } = context
  const { signer: key } = await publicKey(context)
  await using sender = await createSender({ network, key, bootstrap: [address], userAgent: `pinsub/${version}` })
  const reached = await sender.connect({ signal })
  // Who is gone may be gone for good: it must not be waited for.
  return { reached, nodes: sender.nodes().filter(({ state }) => state === 'online') }
}

function tell({ output }: Context, { node, address, ms, authorised, closed }: Reached, line: string): void {
  const may = authorised
    ? 'Your key may command it.'
    : `Your key may NOT command it (${closed ?? 'unauthorised'}). Add this line to its authorized_keys:\n\n  ${line}\n`
  output.note(`Reached ${hostPort(address)} in ${duration(ms)}: ${shortNode(node)}. ${may}`)
}

async function writeDown({ config, home, output }: Context, nodes: readonly NodeEvent[], others: readonly NodeEvent[]): Promise<void> {
  const today = new Date().toISOString().slice(0, 10)
  const comments = nodes.map(({ node, addresses }) => [node, `${place(addresses)}, first met ${today}`] as const)
  const added = await addKnownNodes(home.knownNodes, new Map(comments))
  // The nodes that were heard of are ways in too: those that were named may be down the next time.
  const file = (await readConfigFile(home.config)) ?? {}
  const before = (file['bootstrap'] as string[] | undefined) ?? []
  const heardOf = others.flatMap(({ node, addresses: [first] }) => (first === undefined ? [] : [`${first}/p2p/${node}`]))
  const ways = [...new Set([...before, ...config.bootstrap, ...heardOf])].slice(0, Math.max(before.length, MAX_BOOTSTRAPS))
  if (ways.length > before.length) await writeConfigFile(home.config, { ...file, bootstrap: ways })
  const contact = added.length > 0 ? ' (first contact: compare the ids if in doubt)' : ''
  const written = `${count(ways.length - before.length, 'bootstrap')} to config.json and ${count(added.length, 'node')} to known_nodes`
  output.note(`Wrote ${written}${contact}.`)
}

function place([first]: readonly string[]): string {
  return first === undefined ? 'no address' : hostPort(first)
}
