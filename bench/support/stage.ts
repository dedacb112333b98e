/** A network for one benchmark: agents, a key that may command them, and a peer that has the content. */
import { mkdtemp, rm, writeFile, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { createTemporaryContent } from '../../src/content/temporary.ts'
import { freshHostKey } from '../../src/identity/host-key.ts'
import { generateKeyFile } from '../../src/identity/key-file.ts'
import { createHost } from '../../src/network/host.ts'
import { createSender, type Sender } from '../../src/sender/sender.ts'
import { startAgent, type BenchAgent } from './agents.ts'

/** The stage. */
export interface Stage extends AsyncDisposable {
  readonly dir: string
  readonly network: string
  /** Key file of the author. */
  readonly key: string
  /** Its public line. */
  readonly line: string
  readonly agents: readonly BenchAgent[]
  /** A sender that is linked to all agents. */
  sender(): Promise<Sender>
  /** Makes small files, each one raw block, on a peer that is linked to all agents. */
  provide(count: number, label: string): Promise<string[]>
  /** Links another agent to that peer. */
  link(address: string): Promise<void>
}

/** Builds a stage of `count` agents; `backend` gives the arguments of each. */
export async function createStage(count: number, backend?: (index: number) => readonly string[]): Promise<Stage> {
  const stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-bench-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const key = join(dir, 'key')
  const { line } = await generateKeyFile(key, 'bench')
  const network = 'bench'
  const agents: BenchAgent[] = []
  for (let i = 0; i < count; i++) {
    const bootstrap = agents.map(({ address }) => address)
    agents.push(stack.use(await startAgent(join(dir, `node-${i}`), network, `admin ${line}`, bootstrap, backend?.(i))))
  }
  const host = stack.use(await createHost({ privateKey: await freshHostKey(), listen: [] }))
  await host.start()
  const content = stack.use(createTemporaryContent({ parent: dir }, { libp2p: host.libp2p }))
  await content.start()
  const link = async (address: string): Promise<void> => void (await host.libp2p.dial(multiaddr(address)))
  for (const { address } of agents) await link(address)
  return {
    dir,
    network,
    key,
    line,
    agents,
    link,
    async sender() {
      const sender = stack.use(
        await createSender({ network, key, bootstrap: agents.map(({ address }) => address), knownNodes: agents.map(({ peer }) => peer) })
      )
      await sender.connect()
      return sender
    },
    async provide(n, label) {
      const files = join(dir, `files-${label}`)
      await mkdir(files)
      const cids: string[] = []
      for (let i = 0; i < n; i++) await writeFile(join(files, String(i)), `${label} ${i} ${dir}`.padEnd(200, '.'))
      for (let i = 0; i < n; i++) {
        const { cid } = await content.import(join(files, String(i)), { hidden: false, signal: new AbortController().signal })
        cids.push(CID.asCID(cid)?.toString() as string)
      }
      return cids
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync()
  }
}

/** The middle one; the mean of the two in the middle for an even number. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const half = sorted.length >> 1
  return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] as number) + (sorted[half] as number)) / 2
}
