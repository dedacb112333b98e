/** What an agent that is killed pins in, with a count of what is done there and a look at what is left. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { CID } from 'multiformats/cid'
import { createFileBlockstore } from '../../../src/content/blockstore.ts'
import { blockKey } from '../../../src/content/multihash.ts'
import { verify } from '../../../src/content/verify.ts'
import { homeLayout } from '../../../src/config/home.ts'
import type { Sandbox } from '../../support/cli.ts'
import { leaf, type TestBlock } from '../../support/dags.ts'
import { freePort } from '../../support/free-port.ts'
import { findIpfs, NO_IPFS, startKuboDaemon } from '../../support/kubo-daemon.ts'
import { same } from '../same.ts'
import type { Operator } from '../../support/operator.ts'
import { startRpcRecorder, type RpcCall } from '../../support/rpc-recorder.ts'

/** `ipfs` is a real Kubo, `kubo` our server of its RPC in a process of its own. */
export type GroundName = 'helia' | 'kubo' | 'ipfs'

/** A DAG that the operator serves. */
export interface Content {
  readonly cid: CID
  readonly blocks: readonly TestBlock[]
}

/** The ground. */
export interface Ground extends AsyncDisposable {
  /** Arguments of the agent. */
  readonly args: readonly string[]
  /** Jobs in hand at a time, at most. */
  readonly concurrency: number
  /** What is there before the agent comes, and must be there, untouched, at the end; commands may name it. */
  readonly operators: readonly Content[]
  /** CIDs for which since the last call was done what had been done, or begun, before. */
  repeated(): ReadonlySet<string>
  /** Throws unless exactly these CIDs are held, whole, and nothing is left besides. The agent does not run. */
  check(home: string, pins: readonly string[]): Promise<void>
}

/** Makes the ground; `owners` tells of which content a block is, by its key. */
export function makeGround(
  name: GroundName,
  ports: {
    readonly sandbox: Sandbox
    readonly operator: Operator
    readonly network: string
    owner(block: string): string | undefined
  }
): Promise<Ground> {
  return name === 'helia' ? makeHelia(ports) : makeKubo(name, ports)
}

/** As in `src/node/backend/`. */
const CONCURRENCY = { helia: 64, kubo: 32 }

async function makeHelia({ operator, owner }: Parameters<typeof makeGround>[1]): Promise<Ground> {
  const served = new Set<string>()
  let repeated = new Set<string>()
  operator.onServed((key) => {
    if (served.has(key)) repeated.add(owner(key) ?? key)
    served.add(key)
  })
  return {
    args: ['--backend', 'helia'],
    concurrency: CONCURRENCY.helia,
    operators: [],
    repeated() {
      const told = repeated
      repeated = new Set()
      return told
    },
    async check(home, pins) {
      const { blocks, blocksDb } = homeLayout(home)
      {
        using db = new DatabaseSync(blocksDb, { readOnly: true })
        const all = (text: string): string[] =>
          db
            .prepare(text)
            .all()
            .map((row) => String(Object.values(row)[0]))
        same(all('PRAGMA integrity_check'), ['ok'], 'integrity of the index')
        same(all('SELECT cid FROM roots WHERE state = 1 ORDER BY cid'), pins, 'pins of the built-in storage')
        same(all('SELECT cid FROM roots WHERE state <> 1'), [], 'unfinished roots')
        same(all('SELECT root FROM refs WHERE root NOT IN (SELECT id FROM roots)'), [], 'references of roots that are gone')
        same(all('SELECT block FROM refs WHERE block NOT IN (SELECT id FROM blocks)'), [], 'references to blocks that are gone')
        const unheld = 'NOT EXISTS (SELECT 1 FROM refs WHERE block = blocks.id)'
        same(all(`SELECT key FROM blocks WHERE free_after IS NULL AND ${unheld}`), [], 'blocks that nobody holds or frees')
        same(all(`SELECT key FROM blocks WHERE free_after IS NOT NULL AND NOT ${unheld}`), [], 'blocks that are held and freed')
        const entries = await readdir(blocks, { recursive: true, withFileTypes: true })
        const files = entries.flatMap((entry) => (entry.isFile() ? [entry.name] : []))
        same(files, all('SELECT key FROM blocks'), 'files of blocks')
      }
      const store = createFileBlockstore({ dir: blocks, durable: false })
      for (const cid of pins) {
        const { missing, corrupt } = await verify(CID.parse(cid), store, AbortSignal.timeout(10_000))
        assert.deepEqual({ cid, missing, corrupt }, { cid, missing: 0, corrupt: 0 })
      }
    },
    async [Symbol.asyncDispose]() {}
  }
}

const KUBO_PROCESS = resolve(import.meta.dirname, '../../support/kubo-process.ts')

async function makeKubo(kind: 'kubo' | 'ipfs', { sandbox, operator, network }: Parameters<typeof makeGround>[1]): Promise<Ground> {
  await using stack = new AsyncDisposableStack()
  const api = kind === 'ipfs' ? await startReal(stack) : await startStandIn(sandbox)
  const recorder = stack.use(await startRpcRecorder(api))
  const ask = async (command: string, query: Readonly<Record<string, string>>): Promise<Record<string, unknown>[]> => {
    const answer = await fetch(`${api}/api/v0/${command}?${new URLSearchParams(query)}`, { method: 'POST' })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${command}: ${text}`)
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  }
  const own = await Promise.all(['unnamed', 'named'].map(async (text) => contentOf(await leaf(`the operator's, ${text}`))))
  const [unnamed, named] = own.map(({ cid }) => cid.toString()) as [string, string]
  operator.provide(own.flatMap(({ blocks }) => blocks))
  await ask('swarm/connect', { arg: operator.origin })
  await ask('pin/add', { arg: unnamed })
  await ask('pin/add', { arg: named, name: 'photos' })
  const listed = async (): Promise<Map<string, string>> => {
    const pins = await ask('pin/ls', { type: 'recursive', names: 'true', stream: 'true' })
    return new Map(pins.map(({ Cid, Name = '' }) => [Cid as string, Name as string]))
  }

  const before = await listed()
  let counted = 0
  const last = new Map<string, RpcCall>()
  const all = stack.move()
  return {
    args: ['--backend', 'kubo', '--kubo-api', recorder.apiUrl],
    concurrency: CONCURRENCY.kubo,
    operators: own,
    repeated() {
      const repeated = new Set<string>()
      for (const call of recorder.calls.slice(counted)) {
        const earlier = last.get(call.cid)
        if (call.command === 'pin/add' && earlier?.command === 'pin/add' && earlier.ended !== 'failed') repeated.add(call.cid)
        last.set(call.cid, call)
      }
      counted = recorder.calls.length
      return repeated
    },
    async check(_home, pins) {
      const ours = pins.filter((cid) => !before.has(cid)).map((cid) => `${cid} pinsub:${network}`)
      const lines = (listing: Iterable<readonly string[]>): string[] => [...listing].map((pin) => pin.join(' '))
      same(lines(await listed()), [...lines(before), ...ours], 'pins of Kubo, and their names')
    },
    [Symbol.asyncDispose]: () => all.disposeAsync()
  }
}

async function startStandIn(sandbox: Sandbox): Promise<string> {
  const port = await freePort()
  const daemon = sandbox.spawn(process.execPath, [KUBO_PROCESS, String(port), sandbox.path('repo')], { deadline: 3_600_000 })
  await new Promise<void>((resolve, reject) => {
    daemon.child.stdout.once('data', () => resolve())
    daemon.ended.then(({ stderr }) => reject(new Error(`the daemon ended: ${stderr}`)), reject)
  })
  return `http://127.0.0.1:${port}`
}

async function startReal(stack: AsyncDisposableStack): Promise<string> {
  const binary = findIpfs()
  if (binary === undefined) throw new Error(NO_IPFS)
  return stack.use(await startKuboDaemon(binary)).apiUrl
}

/** Content of one block. */
export function contentOf(block: TestBlock): Content {
  return { cid: block.cid, blocks: [block] }
}

/** The key under which a block is served. */
export function keyOf({ cid }: TestBlock): string {
  return blockKey(cid.multihash)
}
