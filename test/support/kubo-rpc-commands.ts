/** The commands of `kubo-rpc-server.ts`: names, errors and answers as Kubo has them, over a store that knows none of them. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { varint } from 'multiformats'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { linksOf } from '../../src/content/codecs.ts'
import { checkHash } from '../../src/content/multihash.ts'
import type { BackendPeer, PinBackend } from '../../src/node/ports.ts'

/** What stands behind the server: it fetches and holds DAGs, and knows no names. */
export interface RpcStore extends Pick<PinBackend, 'pin' | 'unpin' | 'health'> {
  /** Keeps a block, unpinned. */
  put(cid: CID, bytes: Uint8Array): Promise<void>
  /** The bytes of a block as they are on the disk; undefined when it is not there. */
  read(cid: CID): Promise<Uint8Array | undefined>
  /** Dials a peer; the address ends with /p2p. */
  connect(address: string, signal: AbortSignal): Promise<void>
  peer(): Promise<BackendPeer | undefined>
}

interface Pin {
  readonly cid: CID
  readonly type: 'recursive' | 'direct'
  readonly name: string
}

/** One request on its way to a command. */
export interface Call {
  readonly query: URLSearchParams
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** Aborts when the client goes or its `timeout` is over. */
  readonly signal: AbortSignal
}

/** An answer in plain text, given before a command runs. */
export class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const PROGRESS_MS = 500
const MAX_NAME = 255
function cidOf(path: string): CID {
  try {
    return CID.parse(path.replace(/^\/ipfs\//, ''))
  } catch {
    throw new Error(`invalid path "${path}": path does not have enough components`)
  }
}

/** The same DAG spelled in the other version. */
function twinOf(cid: CID): CID | undefined {
  if (cid.version === 0) return cid.toV1()
  return cid.code === dagPb.code && cid.multihash.code === sha256.code ? cid.toV0() : undefined
}

function required({ query }: Call, name: string): string {
  const value = query.get('arg')
  if (value === null || value === '') throw new Refusal(400, `argument "${name}" is required`)
  return value
}

async function bodyOf(request: IncomingMessage): Promise<Uint8Array> {
  const body = new Response(Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>)), {
    headers: { 'content-type': request.headers['content-type'] ?? '' }
  })
  for (const [, value] of await body.formData()) if (typeof value !== 'string') return new Uint8Array(await value.arrayBuffer())
  throw new Refusal(400, 'argument "data" is required')
}

/** A command under its name: writes its answer, or throws before or after it began to. */
export type Commands = Readonly<Record<string, (call: Call) => Promise<void> | void>>

/** Makes the commands; the pins and their names live as long as what it gives. */
export function createKuboCommands(store: RpcStore): Commands {
  const pins = new Map<string, Pin>()

  async function add({ query, response, signal }: Call, path: string): Promise<void> {
    const name = query.get('name') ?? ''
    const recursive = query.get('recursive') !== 'false'
    const bytes = Buffer.byteLength(name)
    if (bytes > MAX_NAME) throw new Error(`pin name is ${bytes} bytes (max ${MAX_NAME} bytes)`)
    const cid = cidOf(path)
    const key = cid.toString()
    if (!recursive && pins.get(key)?.type === 'recursive') throw new Error(`pin: ${key} already pinned recursively`)
    let state: { Progress?: number; Bytes?: number } = {}
    const emit = (line: object): void => void response.write(`${JSON.stringify(line)}\n`)
    const ticking = query.get('progress') === 'true' ? setInterval(() => emit(state), PROGRESS_MS) : undefined
    try {
      const onProgress = ({ blocks, bytes: done }: { blocks: number; bytes: number }): void => {
        if (blocks > 0) state = { Progress: blocks, Bytes: done }
      }
      if (recursive) {
        const { bytes: Bytes = 0 } = await store.pin(cid, { signal, origins: [], onProgress })
        state = { Progress: state.Progress ?? 1, Bytes }
      }
    } catch (error) {
      throw new Error(`pin: ${signal.aborted ? 'context deadline exceeded' : (error as Error).message}`, { cause: error })
    } finally {
      clearInterval(ticking)
    }
    pins.set(key, { cid, type: recursive ? 'recursive' : 'direct', name })
    if (ticking !== undefined && state.Progress !== undefined) emit(state)
    emit({ Pins: [key] })
  }

  function list({ query, response }: Call): void {
    const type = query.get('type') ?? 'all'
    if (!['all', 'recursive', 'direct', 'indirect'].includes(type)) {
      throw new Error(`invalid type '${type}', must be one of {direct, indirect, recursive, all}`)
    }
    const path = query.get('arg')
    const part = query.get('name')
    const named = query.get('names') === 'true' || part !== null
    // Of thousands of pins one is asked for again and again.
    const one = path === null ? undefined : pins.get(cidOf(path).toString())
    const listed = path === null ? [...pins.values()] : one === undefined ? [] : [one]
    const matching = listed.filter((pin) => (type === 'all' || pin.type === type) && (part === null || pin.name.includes(part)))
    if (path !== null && matching.length === 0) throw new Error(`path '${path}' is not pinned`)
    if (query.get('stream') === 'true') {
      for (const { cid, type: Type, name } of matching) {
        response.write(`${JSON.stringify({ Cid: cid.toString(), ...(named && name !== '' && { Name: name }), Type })}\n`)
      }
    } else {
      const keys = matching.map(({ cid, type: Type, name }) => [cid.toString(), { Type, Name: named ? name : '' }])
      response.write(`${JSON.stringify(keys.length === 0 ? {} : { Keys: Object.fromEntries(keys) as unknown })}\n`)
    }
  }

  async function remove({ signal, response }: Call, path: string): Promise<void> {
    const cid = cidOf(path)
    const pin = pins.get(cid.toString())
    if (pin === undefined) throw new Error('not pinned or pinned indirectly')
    pins.delete(cid.toString())
    const twin = pins.get(twinOf(cid)?.toString() ?? '')
    if (pin.type === 'recursive' && twin?.type !== 'recursive') await store.unpin(cid, { signal })
    response.write(`${JSON.stringify({ Pins: [cid.toString()] })}\n`)
  }

  /** The blocks of a DAG in their order, each once, from the disk. */
  async function* walk(root: CID): AsyncGenerator<{ readonly cid: CID; readonly bytes: Uint8Array }> {
    const seen = new Set<string>()
    const todo = [root]
    for (let cid = todo.pop(); cid !== undefined; cid = todo.pop()) {
      if (seen.has(cid.toString())) continue
      seen.add(cid.toString())
      const bytes = await store.read(cid)
      if (bytes === undefined) throw new Error(`block was not found locally (offline): ipld: could not find ${cid}`)
      yield { cid, bytes }
      todo.push(...linksOf(cid, bytes).toReversed())
    }
  }

  /** A CARv1; unlike `dag/stat` Kubo checks each hash here. */
  async function exported({ query, response, signal }: Call, path: string): Promise<void> {
    const section = (...parts: Uint8Array[]): Buffer => {
      const bytes = Buffer.concat(parts)
      return Buffer.concat([varint.encodeTo(bytes.length, new Uint8Array(varint.encodingLength(bytes.length))), bytes])
    }
    const root = cidOf(path)
    if (query.get('offline') !== 'true') await store.pin(root, { signal, origins: [] })
    if ((await store.read(root)) === undefined) throw new Error(`block was not found locally (offline): ipld: could not find ${root}`)
    response.setHeader('content-type', 'application/vnd.ipld.car')
    response.write(section(dagCbor.encode({ roots: [root], version: 1 })))
    for await (const { cid, bytes } of walk(root)) {
      if (!checkHash(cid, bytes)) throw new Error(`hash mismatch!  (actual) != ${cid} (expected)`)
      response.write(section(cid.bytes, bytes))
    }
  }

  async function stat({ query, response, signal }: Call, path: string): Promise<void> {
    const root = cidOf(path)
    if (query.get('offline') !== 'true') await store.pin(root, { signal, origins: [] })
    let [NumBlocks, Size] = [0, 0]
    const line = (head: object): string => `${JSON.stringify({ ...head, DagStats: [{ Cid: root.toString(), Size, NumBlocks }] })}\n`
    for await (const { bytes } of walk(root)) {
      NumBlocks += 1
      Size += bytes.length
      if (query.get('progress') !== 'false') response.write(line({ TotalSize: Size }))
    }
    response.write(line({ UniqueBlocks: NumBlocks, TotalSize: Size, Ratio: 1 }))
  }

  async function connect({ response, signal }: Call, address: string): Promise<void> {
    if (!address.startsWith('/')) throw new Error(`failed to parse multiaddr "${address}": must begin with /`)
    const peer = address.split('/').at(-1)
    try {
      await store.connect(address, signal)
    } catch (error) {
      throw new Error(`connect ${peer} failure: failed to dial: ${(error as Error).message}`, { cause: error })
    }
    response.write(`${JSON.stringify({ Strings: [`connect ${peer} success`] })}\n`)
  }

  return {
    version: ({ response }) => void response.write('{"Version":"0.38.0","Commit":"","Repo":"18","System":"test","Golang":"none"}\n'),
    async id({ response }) {
      const { peer: ID, addresses = [] } = (await store.peer()) ?? {}
      response.write(`${JSON.stringify({ ID, Addresses: addresses.map((address) => `${address}/p2p/${ID}`) })}\n`)
    },
    async 'repo/stat'({ response }) {
      const health = await store.health()
      const { usedBytes = 0, freeBytes = 0 } = health.ok ? health : {}
      response.write(
        `${JSON.stringify({ RepoSize: usedBytes, StorageMax: usedBytes + freeBytes, NumObjects: 0, RepoPath: '', Version: '' })}\n`
      )
    },
    'pin/add': (call) => add(call, required(call, 'ipfs-path')),
    'pin/ls': list,
    'pin/rm': (call) => remove(call, required(call, 'ipfs-path')),
    'dag/export': (call) => exported(call, required(call, 'root')),
    'dag/stat': (call) => stat(call, required(call, 'root')),
    'swarm/connect': (call) => connect(call, required(call, 'address')),
    async 'block/put'({ request, query, response }) {
      const bytes = await bodyOf(request)
      const codec = query.get('cid-codec') ?? query.get('format')
      const cid = CID.createV1(codec === 'dag-pb' ? dagPb.code : raw.code, await sha256.digest(bytes))
      await store.put(cid, bytes)
      response.write(`${JSON.stringify({ Key: cid.toString(), Size: bytes.length })}\n`)
    }
  }
}
