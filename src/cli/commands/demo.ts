/** `pinsub demo`: the main job as a story, on this machine only: every step is shown, and checked. */
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { setTimeout as wait } from 'node:timers/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { CID } from 'multiformats/cid'
import { randomNetworkName } from '../../config/network-name.ts'
import { createFileBlockstore } from '../../content/blockstore.ts'
import { verify, type Verified } from '../../content/verify.ts'
import { fileError } from '../../identity/files.ts'
import { exists } from '../../identity/folders.ts'
import { generateKeyFile } from '../../identity/key-file.ts'
import { createSender, type Sender } from '../../sender/sender.ts'
import type { AddEvent, DoneEvent, Outcome } from '../../sender/types.ts'
import type { Context } from '../context.ts'
import { createChecks, type Checks } from '../demo/checks.ts'
import { blocksOf, startAgent, type DemoAgent } from '../demo/agent.ts'
import { CliError, EXIT } from '../exit.ts'
import { bytes, count, duration, shortNode } from '../format.ts'

/** What the stranger asks for: the empty file, which every node could make out of nothing. */
const STRANGERS_CID = 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'

/** How long each step may take, milliseconds. */
const STEP_MS = 20_000

interface Stage {
  readonly context: Context
  readonly checks: Checks
  readonly dir: string
  readonly network: string
  /** Key file of the author. */
  readonly key: string
  readonly author: string
  readonly line: string
  say(text: string): void
}

/** Runs the demo on `path`, else on `docs/`, else on the program itself. */
export async function demo(context: Context, path: string | undefined): Promise<number> {
  const { output, signal } = context
  const begun = performance.now()
  const source = await chooseSource(path)
  const checks = createChecks(output)
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-demo-'))
  let agents: DemoAgent[] = []
  const say = (text: string): void => output.result(text)
  try {
    say('pinsub demo: one sender, three storage nodes, on this machine only (127.0.0.1). Ctrl-C ends and cleans up.\n')
    const key = join(dir, 'you')
    const { line, author } = await generateKeyFile(key, 'you@laptop')
    const stage: Stage = { context, checks, dir, network: randomNetworkName((n) => randomBytes(n)), key, author, line, say }

    agents = await startNodes(stage)
    const cid = await addContent(stage, agents, source)
    const blocks = await readBack(stage, agents, cid)
    await refuseStranger(stage, agents)
    await missOne(stage, agents)
    await letGo(stage, agents, cid, blocks)

    const codes = await Promise.all(agents.map((agent) => agent.stop()))
    checks.that(
      'every node ended cleanly',
      codes.every((code) => code === 0),
      codes
    )
    agents = []
  } finally {
    await Promise.all(agents.map((agent) => agent.stop()))
    await rm(dir, { recursive: true, force: true })
  }
  signal.throwIfAborted()
  checks.that("the demo's folder is gone", !(await exists(dir)))
  const ms = Math.round(performance.now() - begun)
  output.event({ event: 'demo', checks: checks.passed(), ms })
  say(
    `Every step was checked, not only shown: ${checks.passed()} checks passed in ${duration(ms)}. Nothing is left running; the demo's folder is removed.`
  )
  say('Now for real:  pinsub init      (README: a network of your own)')
  return EXIT.ok
}

async function startNodes({ context, checks, dir, network, author, line, say }: Stage): Promise<DemoAgent[]> {
  say('1  Three nodes start, each its own process and its own disk.')
  const start = (letter: string, bootstrap: readonly string[]): Promise<DemoAgent> =>
    startAgent({ name: `node ${letter}`, home: join(dir, letter), network, authorize: line, bootstrap, signal: context.signal })
  const first = await start('A', [])
  const others = await Promise.allSettled(['B', 'C'].map((letter) => start(letter, [first.address])))
  const agents = [first, ...others.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))]
  const failed = others.find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    await Promise.all(agents.map((agent) => agent.stop()))
    throw failed.reason
  }
  for (const { name, peer, ms } of agents) say(`   ${name}  ${shortNode(peer)}  ready in ${duration(ms)}`)
  say(`   Each obeys one key: ${author} (authorized_keys)\n`)
  checks.that('three nodes with three identities are ready', new Set(agents.map(({ peer }) => peer)).size === 3)
  checks.that(
    'they listen on loopback only',
    agents.every(({ address }) => address.startsWith('/ip4/127.0.0.1/'))
  )
  return agents
}

async function addContent(stage: Stage, agents: readonly DemoAgent[], source: string): Promise<CID> {
  const { checks, say } = stage
  const shown = relative(process.cwd(), source) || '.'
  say(`2  The sender imports ${shown} and signs "pin it".${' '.repeat(Math.max(2, 24 - shown.length))}$ pinsub add ${shown}`)
  await using sender = await openSender(stage, agents, stage.key)
  let cid: CID | undefined
  const first = new Map<string, number>()
  let begun = performance.now()
  const { outcome, done } = await follow(sender.add(source, { wait: 3, timeout: STEP_MS, signal: stage.context.signal }), (event) => {
    if (event.event === 'imported') {
      cid = CID.parse(event.cid)
      say(`   ${count(event.files, 'file')}, ${bytes(event.bytes)}  →  ${event.cid}`)
      begun = performance.now()
    }
    if (event.event !== 'ack') return
    const at = performance.now() - begun
    if (!first.has(event.node)) first.set(event.node, at)
    if (event.status === 'pinned') {
      say(
        `   ${nameOf(agents, event.node)}  accepted ${duration(first.get(event.node) ?? at).padStart(6)}   pinned ${duration(at).padStart(6)}`
      )
    }
  })
  say(`   ${done?.replicas}/3 replicas in ${duration(performance.now() - begun)}\n`)
  checks.that('the folder was imported', cid !== undefined)
  checks.that('three nodes say they hold it', outcome === 'reached' && done?.replicas === 3, done)
  checks.that(
    'each said so itself, signed',
    agents.every(({ peer }) => first.has(peer))
  )
  return cid as CID
}

async function readBack({ context, checks, say }: Stage, agents: readonly DemoAgent[], cid: CID): Promise<number> {
  say('3  The sender is gone. Do the nodes really hold it?')
  const found = await Promise.all(agents.map((agent) => readDisk(agent, cid, context.signal)))
  agents.forEach(({ name }, i) => {
    const { blocks, missing, corrupt } = found[i] as Verified
    say(
      `   ${name}  read back from its own disk: ${blocks} of ${blocks + missing + corrupt} blocks${missing + corrupt === 0 ? ', every hash right' : ''}`
    )
    checks.that(`${name} holds every block, and every hash is right`, blocks > 0 && missing === 0 && corrupt === 0, found[i])
  })
  say('')
  return (found[0] as Verified).blocks
}

async function refuseStranger(stage: Stage, agents: readonly DemoAgent[]): Promise<void> {
  const { checks, say, dir, context } = stage
  say('4  A stranger signs the same kind of command.      $ pinsub send pin bafkrei… --key stranger')
  const key = join(dir, 'stranger')
  const { author } = await generateKeyFile(key, 'stranger')
  const before = await countPins(stage, agents)
  await using sender = await openSender(stage, agents, key)
  const codes = new Set<string>()
  const { outcome } = await follow(sender.pin([STRANGERS_CID], { wait: 1, timeout: STEP_MS, signal: context.signal }), (event) => {
    if (event.event === 'ack') codes.add(`${event.status} ${event.code ?? ''}`.trim())
  })
  const after = await countPins(stage, agents)
  say(`   refused by every node reached: ${author} is not in authorized_keys        exit ${EXIT.refused}`)
  say(`   Pins before ${before.join(', ')}; after ${after.join(', ')}.\n`)
  checks.that('the stranger is refused', outcome === 'refused', outcome)
  checks.that('and told why', codes.size === 1 && codes.has('refused unauthorised'), [...codes])
  checks.that('no node pinned anything for the stranger', before.join() === after.join(), after)
}

/** Kills the last node, has something pinned meanwhile, and starts it again in its place. */
async function missOne(stage: Stage, agents: DemoAgent[]): Promise<void> {
  const { checks, say, dir, context } = stage
  const lost = agents.at(-1) as DemoAgent
  const rest = agents.slice(0, -1)
  const file = join(dir, 'note.txt')
  await writeFile(file, `said while ${lost.name} was off\n`)
  say(`5  ${capital(lost.name)} is killed (kill -9), a file is pinned, it comes back.      $ pinsub add note.txt`)
  await lost.kill()
  let cid = ''
  {
    await using sender = await openSender(stage, rest, stage.key)
    const { done } = await follow(sender.add(file, { wait: 2, timeout: STEP_MS, signal: context.signal }), (event) => {
      if (event.event === 'imported') cid = event.cid
    })
    say(`   ${done?.replicas}/3 replicas while ${lost.name} is off; the sender is gone`)
    checks.that('two nodes hold what was said while the third was off', done?.replicas === 2, done)
  }
  const back = await lost.again()
  agents[agents.length - 1] = back
  say(`   ${back.name}  started again, ready in ${duration(back.ms)}`)
  checks.that('it is the same node as before', back.peer === lost.peer, back.peer)
  const ready = performance.now()
  await using sender = await openSender(stage, agents, stage.key)
  const until = AbortSignal.any([AbortSignal.timeout(STEP_MS), context.signal])
  let holders: string[] = []
  while (holders.length < 3) {
    await wait(20, undefined, { signal: until })
    holders = []
    for await (const row of sender.status([cid], { signal: until })) {
      if (row.status === 'pinned' && row.source === 'live') holders.push(nameOf(agents, row.node))
    }
  }
  say(`   ${back.name}  caught up from the others in ${duration(performance.now() - ready)}: ${holders.length}/3 replicas\n`)
  checks.that('the node that was off holds it too', holders.includes(back.name), holders)
}

async function letGo(stage: Stage, agents: readonly DemoAgent[], cid: CID, blocks: number): Promise<void> {
  const { checks, say, context } = stage
  say(`6  The sender lets go.      $ pinsub send unpin ${cid.toString().slice(0, 12)}…`)
  await using sender = await openSender(stage, agents, stage.key)
  const gone = new Set<string>()
  const { outcome, done } = await follow(sender.unpin([cid.toString()], { wait: 3, timeout: STEP_MS, signal: context.signal }), (event) => {
    if (event.event === 'ack' && event.status === 'unpinned') gone.add(nameOf(agents, event.node))
  })
  say(
    `   ${[...gone]
      .toSorted()
      .map((name) => `${name}  unpinned`)
      .join('     ')}     ${done?.replicas}/3`
  )
  checks.that('three nodes let go', outcome === 'reached' && gone.size === 3, done)
  const pins = await countPins(stage, agents)
  checks.that(
    'every node still wants the other file, and this one no more',
    pins.every((n) => n === 1),
    pins
  )
  const left = await Promise.all(agents.map((agent) => readDisk(agent, cid, context.signal)))
  checks.that(
    'the blocks are kept for a day, so that a mistake can be called back',
    left.every((found) => found.blocks === blocks),
    left
  )
  say(`   On disk: the ${count(blocks, 'block')} stay for a day (a mistake can be called back), then they are freed.\n`)
}

async function openSender(stage: Stage, agents: readonly DemoAgent[], key: string): Promise<Sender> {
  const { network } = stage
  return createSender({ network, key, bootstrap: agents.map(({ address }) => address), knownNodes: agents.map(({ peer }) => peer) })
}

async function follow(
  events: AsyncGenerator<AddEvent, Outcome>,
  onEvent: (event: AddEvent) => void
): Promise<{ outcome: Outcome; done: DoneEvent | undefined }> {
  let done: DoneEvent | undefined
  for (;;) {
    const next = await events.next()
    if (next.done === true) return { outcome: next.value, done }
    if (next.value.event === 'done') done = next.value
    else onEvent(next.value)
  }
}

async function countPins(stage: Stage, agents: readonly DemoAgent[]): Promise<number[]> {
  await using sender = await openSender(stage, agents, stage.key)
  const pins = await sender.pins({ signal: stage.context.signal })
  return agents.map(({ peer }) => pins.filter(({ nodes }) => nodes.includes(peer)).length)
}

function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

function readDisk(agent: DemoAgent, cid: CID, signal: AbortSignal): Promise<Verified> {
  return verify(cid, createFileBlockstore({ dir: blocksOf(agent), durable: false }), signal)
}

function nameOf(agents: readonly DemoAgent[], peer: string): string {
  return agents.find((agent) => agent.peer === peer)?.name ?? shortNode(peer)
}

async function chooseSource(path: string | undefined): Promise<string> {
  if (path !== undefined) {
    const source = resolve(path)
    await stat(source).catch((err: unknown) => {
      throw new CliError(EXIT.usage, 'path', fileError(path, 'read', err).message)
    })
    return source
  }
  return (await exists('docs')) ? resolve('docs') : dirname(resolve(process.argv[1] as string))
}
