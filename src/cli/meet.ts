/** First contact: reaches the bootstrap nodes and writes down who is there, as ssh does with known_hosts. */
import { readConfigFile, writeConfigFile } from '../config/file.ts'
import { addContact, addKnownNodes, readKnownNodes } from '../identity/known-nodes-file.ts'
import { hostPort, parseBootstrap, parseMultiaddr, peerIn } from '../network/addresses.ts'
import type { Contact } from '../protocol/known-nodes.ts'
import { createSender } from '../sender/sender.ts'
import type { NodeEvent, Reached } from '../sender/types.ts'
import type { Context } from './context.ts'
import { count, duration, shortNode } from './format.ts'
import { publicKey } from './key.ts'

/** Ways into the network that config.json keeps: enough that one is up, few enough to dial at once. */
const MAX_BOOTSTRAPS = 5

/** A node that was met; whether it is believed to be the one that answered there before. */
export interface MetNode extends Reached {
  readonly trusted: boolean
}

interface Meeting {
  readonly reached: Reached
  readonly nodes: readonly NodeEvent[]
}

/** Meets every bootstrap node of the settings; `line` is what a node that refuses the key needs. Rejects when none answers. */
export async function meet(context: Context, network: string, line: string): Promise<MetNode[]> {
  const { config, home, output } = context
  const results = await Promise.allSettled(config.bootstrap.map((address) => meetOne(context, network, parseBootstrap(address))))
  const meetings = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const failures = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []))
  if (meetings.length === 0) throw failures[0] as Error
  for (const { message } of failures) output.note(message)

  const today = new Date().toISOString().slice(0, 10)
  const believed: Meeting[] = []
  let firsts = 0
  for (const meeting of meetings) {
    const { node, address } = meeting.reached
    tell(context, meeting.reached, line)
    // An address that came with an id: whoever wrote it vouched for it, and the link proved it.
    const contact =
      peerIn(parseMultiaddr(address)) === undefined ? await addContact(home.knownNodes, node, hostPort(address), today) : undefined
    if (contact?.kind === 'first') firsts++
    if (contact?.kind === 'changed' || contact?.kind === 'distrusted')
      output.note(warning(home.knownNodes, hostPort(address), node, contact))
    else believed.push(meeting)
  }
  // Whom an impostor tells of is none of ours.
  const nodes = new Map(believed.flatMap((meeting) => meeting.nodes.map((node) => [node.node, node] as const)))
  const others = [...nodes.values()].filter(({ node }) => meetings.every(({ reached }) => reached.node !== node))
  if (others.length > 0) {
    const names = others.map(
      ({ node, addresses, backend }) => `${shortNode(node)} (${place(addresses)}, ${backend === 'kubo' ? 'Kubo' : 'built in'})`
    )
    output.note(`${believed.length === 1 ? 'It knows' : 'They know'} ${others.length} more: ${names.join(', ')}.`)
  }
  await writeDown(context, [...nodes.values()], others, firsts)
  return meetings.map((meeting) => ({ ...meeting.reached, trusted: believed.includes(meeting) }))
}

function warning(file: string, where: string, node: string, contact: Contact): string {
  if (contact.kind !== 'changed')
    return `${where} is ${node}, which is distrusted in ${file}. To take that back: pinsub nodes trust ${node}`
  return `${where} ANSWERS AS ANOTHER NODE: as ${node}, and at first contact it was ${contact.was} (${file}).
It has a new key, or somebody sits between. It is not trusted, nor whom it tells of. If it is right:
  pinsub nodes distrust ${contact.was} && pinsub nodes trust ${node}`
}

async function meetOne(context: Context, network: string, address: string): Promise<Meeting> {
  const { config, signal, version } = context
  const { signer: key } = await publicKey(context)
  const privately = config.swarmKey === undefined ? {} : { swarmKey: config.swarmKey }
  await using sender = await createSender({ network, key, bootstrap: [address], userAgent: `pinsub/${version}`, ...privately })
  const reached = await sender.connect({ signal })
  // Who is gone may be gone for good: it must not be waited for.
  return { reached, nodes: sender.nodes().filter(({ state }) => state === 'online') }
}

function tell({ output }: Context, { node, address, ms, authorised, closed }: Reached, line: string): void {
  const may = authorised
    ? 'Your key may command it.'
    : `Your key may NOT command it (${closed ?? 'unauthorised'}). Unless it was closed or revoked there, add this line to its authorized_keys:\n\n  ${line}\n`
  output.note(`Reached ${hostPort(address)} in ${duration(ms)}: ${shortNode(node)}. ${may}`)
}

async function writeDown(
  { config, home, output }: Context,
  nodes: readonly NodeEvent[],
  others: readonly NodeEvent[],
  firsts: number
): Promise<void> {
  const today = new Date().toISOString().slice(0, 10)
  const { distrusted } = await readKnownNodes(home.knownNodes)
  const comments = nodes.flatMap(({ node, addresses }) =>
    distrusted.has(node) ? [] : [[node, `${place(addresses)}, met ${today}`] as const]
  )
  const added = await addKnownNodes(home.knownNodes, new Map(comments))
  // The nodes that were heard of are ways in too: those that were named may be down the next time.
  const file = (await readConfigFile(home.config)) ?? {}
  const before = (file['bootstrap'] as string[] | undefined) ?? []
  const heardOf = others.flatMap(({ node, addresses: [first] }) => (first === undefined ? [] : [`${first}/p2p/${node}`]))
  const ways = [...new Set([...before, ...config.bootstrap, ...heardOf])].slice(0, Math.max(before.length, MAX_BOOTSTRAPS))
  if (ways.length > before.length) await writeConfigFile(home.config, { ...file, bootstrap: ways })
  const written = firsts + added.length
  const contact = written > 0 ? ' (first contact: compare the ids if in doubt)' : ''
  const ended = `${count(ways.length - before.length, 'bootstrap')} to config.json and ${count(written, 'node')} to known_nodes`
  output.note(`Wrote ${ended}${contact}.`)
}

function place([first]: readonly string[]): string {
  return first === undefined ? 'no address' : hostPort(first)
}
