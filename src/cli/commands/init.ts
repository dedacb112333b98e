/** `pinsub init`: makes what is missing in the home, says what to do next, and meets the first nodes. */
import { randomBytes } from 'node:crypto'
import { access, mkdir } from 'node:fs/promises'
import { hostname, userInfo } from 'node:os'
import { readConfigFile, writeConfigFile } from '../../config/file.ts'
import { randomNetworkName } from '../../config/network-name.ts'
import { addAuthorizedLine } from '../../identity/authorized-keys-file.ts'
import { generateKeyFile, loadSigner } from '../../identity/key-file.ts'
import { addKnownNodes } from '../../identity/known-nodes-file.ts'
import { hostPort, parseBootstrap } from '../../network/addresses.ts'
import { formatPublicKey } from '../../protocol/ssh-key.ts'
import { createSender } from '../../sender/sender.ts'
import type { Reached } from '../../sender/types.ts'
import type { Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import { count, duration, shellWord, shortNode } from '../format.ts'

/** Ways into the network that config.json keeps: enough that one is up, few enough to dial at once. */
const MAX_BOOTSTRAPS = 5

/** How the package is run where it is not installed. */
export const RUN = 'npx -y -p node@24 -p pinsub pinsub'

/** Runs the command. */
export async function init(context: Context): Promise<number> {
  const { config, home, output } = context
  const created: string[] = []
  await mkdir(home.dir, { recursive: true, mode: 0o700 })

  if (!(await exists(home.key))) {
    await generateKeyFile(home.key, `${userInfo().username}@${hostname()}`)
    created.push(home.key)
  }
  const { signer, comment } = await loadSigner(home.key)
  const line = formatPublicKey(signer.blob, comment)
  if (!(await exists(home.authorizedKeys))) {
    await addAuthorizedLine(home.authorizedKeys, line)
    created.push(home.authorizedKeys)
  }

  const file = (await readConfigFile(home.config)) ?? {}
  const network = (file['network'] as string | undefined) ?? config.network ?? randomNetworkName((n) => randomBytes(n))
  if (config.network !== undefined && config.network !== network) {
    throw new CliError(
      EXIT.usage,
      'network',
      `${home.config} is for network ${network}, not ${config.network}`,
      'use another home: --home DIR'
    )
  }
  const reached = config.bootstrap.length === 0 ? [] : await meet(context, network, line)
  const values = (await readConfigFile(home.config)) ?? {}
  // Not before the nodes were met: who gave the wrong name, or none, could not give the right one any more.
  if (file['network'] === undefined) {
    await writeConfigFile(home.config, { network, ...values })
    created.push(home.config)
  }

  output.event({ event: 'init', home: home.dir, network, line, fingerprint: signer.author, created, reached })
  output.result(`${created.length > 0 ? 'Made' : 'Kept'} ${home.dir}: network ${network}, signing key ${signer.author} (0600).`)
  if (reached.length === 0 && values['bootstrap'] === undefined) {
    output.result('On each machine that shall store (a Kubo at 127.0.0.1:5001 is used, else storage is built in), run:\n')
    output.result(`  ${RUN} node --network ${network} --authorize ${shellWord(line)}\n`)
  }
  return EXIT.ok
}

/** Reaches the bootstrap nodes and writes who is there to known_nodes: trust on first contact, as ssh does. */
async function meet(context: Context, network: string, line: string): Promise<Reached[]> {
  const { config, home, output, signal, version } = context
  const addresses = config.bootstrap.map(parseBootstrap)
  await using sender = await createSender({ network, key: home.key, bootstrap: addresses, userAgent: `pinsub/${version}` })
  const reached = await sender.connect({ signal })
  const may = reached.authorised
    ? 'Your key may command it.'
    : `Your key may NOT command it (${reached.closed ?? 'unauthorised'}). Add this line to its authorized_keys:\n\n  ${line}\n`
  output.note(`Reached ${hostPort(reached.address)} in ${duration(reached.ms)}: ${shortNode(reached.node)}. ${may}`)
  const others = sender.nodes().filter(({ node }) => node !== reached.node)
  if (others.length > 0) {
    const names = others.map(
      ({ node, addresses: at, backend }) =>
        `${shortNode(node)} (${at[0] === undefined ? 'no address' : hostPort(at[0])}, ${backend === 'kubo' ? 'Kubo' : 'built in'})`
    )
    output.note(`It knows ${others.length} more: ${names.join(', ')}.`)
  }
  const today = new Date().toISOString().slice(0, 10)
  const nodes = sender
    .nodes()
    .map(({ node, addresses: at }) => [node, `${at[0] === undefined ? '' : `${hostPort(at[0])} `}first met ${today}`] as const)
  const added = await addKnownNodes(home.knownNodes, new Map(nodes))
  // The nodes that were met are ways in too: the first one may be down the next time.
  const file = (await readConfigFile(home.config)) ?? {}
  const before = (file['bootstrap'] as string[] | undefined) ?? []
  const met = others.flatMap(({ node, addresses: at }) => (at[0] === undefined ? [] : [`${at[0]}/p2p/${node}`]))
  const ways = [...new Set([...before, ...config.bootstrap, ...met])].slice(0, Math.max(before.length, MAX_BOOTSTRAPS))
  if (ways.length > before.length) await writeConfigFile(home.config, { ...file, bootstrap: ways })
  const contact = added.length > 0 ? ' (first contact: compare the ids if in doubt)' : ''
  output.note(
    `Wrote ${count(ways.length - before.length, 'bootstrap')} to config.json and ${count(added.length, 'node')} to known_nodes${contact}.`
  )
  return [reached]
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false
  )
}
