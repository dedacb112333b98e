/** `pinsub node`: the agent. Makes its home where there is none, runs until told to stop. */
import { resolve } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { readConfigFile, writeConfigFile } from '../../config/file.ts'
import { addAuthorizedLine } from '../../identity/authorized-keys-edit.ts'
import { makeFolder } from '../../identity/folders.ts'
import { readSwarmKey } from '../../identity/swarm-key-file.ts'
import { hostPort, parseBootstrap } from '../../network/addresses.ts'
import type { BackendChoice } from '../../node/backend/choose.ts'
import { createNode, type PinsubNode } from '../../node/node.ts'
import type { BackendHealth, Log } from '../../node/ports.ts'
import { requireNetwork, type Context } from '../context.ts'
import { CliError, EXIT } from '../exit.ts'
import { bytes, count, shellWord, shortNode } from '../format.ts'
import { collectStartGarbage } from '../garbage.ts'
import { harmless, harmlessJson } from '../output.ts'
import { LISTEN } from '../own-agent.ts'
import { printUnit } from '../unit.ts'

/** Flags that the first start writes to config.json, so that the next one needs none of them. */
const KEPT = ['listen', 'announce', 'authorized-keys', 'swarm-key', 'kubo-api', 'start-daemon', 'tag', 'capacity', 'mdns', 'remote-keys']

/** With bootstrap addresses, how long the words on the screen wait for a first peer, milliseconds. */
const FIRST_PEER_MS = 1_500

/** How long the first start waits for a Kubo to show itself, milliseconds. */
const PROBE_MS = 1_000

/** Runs the command; returns when the signal ends it. */
export async function node(context: Context, flags: { readonly printUnit?: boolean }): Promise<number> {
  const { config, home, output, signal, version } = context
  if (flags.printUnit === true) {
    const text = printUnit(home, config.startDaemon !== undefined)
    output.result(text)
    output.event({ event: 'unit', text })
    return EXIT.ok
  }
  const network = requireNetwork(context)
  const stored = (await readConfigFile(home.config))?.['network'] as string | undefined
  if (stored !== undefined && stored !== network) {
    const hint = 'its state belongs to that network; use another home: --home DIR'
    throw new CliError(EXIT.usage, 'network', `${home.config} is for network ${stored}, not ${network}`, hint)
  }
  const { startDaemon } = config
  if (startDaemon !== undefined && config.backend === 'helia') {
    const message = '--start-daemon starts a Kubo, and this node keeps its pins in the built-in storage'
    throw new CliError(EXIT.usage, 'start-daemon', message, 'add --backend kubo, or leave --start-daemon out')
  }
  const privately = config.swarmKey === undefined ? {} : { swarmKey: await readSwarmKey(config.swarmKey) }
  const isNew = await makeFolder(home.nodeDir)
  const backend = await chooseBackend(context)
  const bootstrap = config.bootstrap.map(parseBootstrap)
  const isInFile = await remember(context, network, backend.kind)

  const log = createLog(context)
  if (startDaemon !== undefined && config.backend === 'auto') log.info('--start-daemon is given: pins are kept in Kubo (--backend kubo)')
  await using agent = await createNode(
    {
      network,
      version: `pinsub/${version}`,
      files: {
        hostKey: home.hostKey,
        stateDb: home.stateDb,
        lock: home.lock,
        authorizedKeys: config.authorizedKeys ?? home.authorizedKeys,
        knownNodes: home.knownNodes
      },
      listen: config.listen ?? LISTEN,
      announce: config.announce,
      bootstrap,
      mdns: config.mdns,
      ...privately,
      remoteKeys: config.remoteKeys,
      // What stands in the file is closed by taking it out of there, and not only by the next start.
      authorize: isInFile ? [] : config.authorize,
      backend,
      ...(startDaemon === undefined ? {} : { startDaemon }),
      tags: config.tags
    },
    { log }
  )
  await agent.start()
  const onHangup = (): void => void agent.reload()
  process.on('SIGHUP', onHangup)
  const keepGarbage = collectStartGarbage()
  try {
    await sayReady(context, network, agent, backend, isNew)
    await ended(signal)
  } finally {
    process.off('SIGHUP', onHangup)
    keepGarbage()
  }
  log.info('stopping')
  return EXIT.ok
}

/** `auto`: Kubo if it answers where it usually listens, or shall be started, else the embedded one. */
async function chooseBackend({ config, home }: Context): Promise<BackendChoice> {
  const kubo = {
    kind: 'kubo',
    apiUrl: config.kuboApi,
    ...(config.kuboAuthorization === undefined ? {} : { authorization: config.kuboAuthorization })
  } as const
  if (config.backend === 'kubo') return kubo
  if (config.backend === 'auto' && (config.startDaemon !== undefined || (await isKubo(config.kuboApi)))) return kubo
  return { kind: 'helia', dir: home.nodeDir, ...(config.capacity === undefined ? {} : { capacity: config.capacity }) }
}

async function isKubo(apiUrl: string): Promise<boolean> {
  try {
    const response = await fetch(new URL('/api/v0/version', apiUrl), { method: 'POST', signal: AbortSignal.timeout(PROBE_MS) })
    await response.body?.cancel()
    // 401 and 403: a Kubo that wants authorization is there all the same.
    return response.ok || response.status === 401 || response.status === 403
  } catch {
    return false
  }
}

/** The first start writes what it decided, so that the next one does the same; true where the lines of --authorize went to the file. */
async function remember({ config, flags, home }: Context, network: string, backend: 'helia' | 'kubo'): Promise<boolean> {
  const file = (await readConfigFile(home.config)) ?? {}
  const isFirst = file['backend'] === undefined
  const given = KEPT.flatMap((name) =>
    flags[camelCase(name)] === undefined ? [] : [[name, absolute(name, flags[camelCase(name)])] as const]
  )
  const values = {
    network,
    ...(config.bootstrap.length === 0 ? {} : { bootstrap: config.bootstrap }),
    ...(isFirst ? Object.fromEntries(given) : {}),
    ...file,
    ...(isFirst || file['backend'] === 'auto' ? { backend } : {})
  }
  if (JSON.stringify(values) !== JSON.stringify(file)) await writeConfigFile(home.config, values)
  if (!isFirst || config.authorizedKeys !== undefined) return false
  for (const line of config.authorize) await addAuthorizedLine(home.authorizedKeys, line)
  return true
}

/** A path means the same to a service that starts elsewhere. */
function absolute(name: string, value: unknown): unknown {
  return name === 'authorized-keys' || name === 'swarm-key' ? resolve(value as string) : value
}

function camelCase(name: string): string {
  return name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())
}

async function sayReady(context: Context, network: string, agent: PinsubNode, choice: BackendChoice, isNew: boolean): Promise<void> {
  const { home, output, version } = context
  const addresses = agent.addresses()
  const grants = agent.mayCommand()
  output.event({ event: 'ready', peer: agent.id, addresses, backend: choice.kind, network, authorized: grants.length })
  if (output.json) return
  if (context.config.bootstrap.length > 0) await firstPeer(agent, context.signal)
  const keys = grants.map(({ comment, author }) => (comment === '' ? author : comment))
  const named = keys.length > 3 ? `${keys.slice(0, 3).join(', ')}, …` : keys.join(', ')
  const address = addresses.find((text) => !isLoopback(text)) ?? addresses[0] ?? ''
  const peers = agent.peers()
  const isPrivate = context.config.swarmKey === undefined ? '' : ' (private)'
  output.result(`pinsub ${version}   network ${network}${isPrivate}   node ${shortNode(agent.id)}`)
  output.result(`  home      ${home.dir}${isNew ? ' (made)' : ''}`)
  output.result(
    `  keys      ${grants.length === 0 ? "nobody may command: every command is refused. Add a key: pinsub keys add 'ssh-ed25519 AAAA… you@laptop'" : `${grants.length} may command: ${named}`}`
  )
  output.result(`  backend   ${describeBackend(choice, await agent.health(), home.blocks, context.config.startDaemon !== undefined)}`)
  output.result(
    `  address   ${address}${isLoopback(address) ? '   (this machine only)' : `   (open TCP ${hostPort(address).split(':').at(-1)})`}`
  )
  output.result(`  peers     ${peers.length === 0 ? 'none yet' : `${peers.length}: ${peers.map(shortNode).join(', ')}`}`)
  output.result('Ready.')
  const reach = hostPort(address).replace(/:4101$/, '')
  output.note(output.dim(`On the next machines add  --bootstrap ${reach} ; on your laptop:  pinsub init --bootstrap ${reach}`))
  const at = context.flags['home'] === undefined ? '' : ` --home ${shellWord(home.dir)}`
  output.note(output.dim(`To keep it running:  pinsub node${at} --print-unit > /etc/systemd/system/pinsub.service`))
}

function describeBackend(choice: BackendChoice, health: BackendHealth, blocks: string, isStarting: boolean): string {
  if (choice.kind === 'helia')
    return `built in, ${blocks}${health.ok && health.freeBytes !== undefined ? ` (${bytes(health.freeBytes)} free)` : ''}`
  if (!health.ok) {
    const why = isStarting && health.answers !== true ? 'it is being started' : health.reason
    return `Kubo at ${choice.apiUrl} does not answer yet (${why}); commands are taken and wait for it`
  }
  const pins = health.pins === undefined ? 'pins that pinsub did not make are' : `its ${count(health.pins, 'pin')} are`
  return `Kubo ${health.version} at ${choice.apiUrl.replace(/^https?:\/\//, '')}; ${pins} yours and stay untouched`
}

function isLoopback(address: string): boolean {
  return /^\/ip4\/127\.|^\/ip6\/::1\//.test(address)
}

/** The agent's own words go to stderr, one line each, so that journald has them; what strangers say may be in them. */
function createLog({ config, output }: Context): Log {
  const say = (level: string, message: string): void => {
    if (output.json) process.stderr.write(`${harmlessJson({ time: new Date().toISOString(), level, message })}\n`)
    else process.stderr.write(`${new Date().toISOString()} ${level} ${harmless(message)}\n`)
  }
  return {
    debug: (message) => (config.verbose ? say('debug', message) : undefined),
    info: (message) => say('info', message),
    warn: (message) => say('warn', message)
  }
}

async function firstPeer(agent: PinsubNode, signal: AbortSignal): Promise<void> {
  const until = Date.now() + FIRST_PEER_MS
  while (agent.peers().length === 0 && Date.now() < until && !signal.aborted) await wait(50)
}

async function ended(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }))
}
