/** What the tests of the Kubo backend run against: our server of its RPC everywhere, and a real daemon where there is one. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import type { CID } from 'multiformats/cid'
import { systemClock } from '../../src/network/clock.ts'
import { createHeliaBackend } from '../../src/node/backend/helia.ts'
import { blockFile, kuboBlockFile } from './block-file.ts'
import { findIpfs, NO_IPFS, startKuboDaemon } from './kubo-daemon.ts'
import type { KuboDaemon } from './kubo-daemon.ts'
import { startKuboRpcServer } from './kubo-rpc-server.ts'
import { makeHost } from './libp2p.ts'
import { makePinPeer } from './pin-peer.ts'

/** Either of both, under the test's hand. */
export interface KuboUnderTest extends Omit<KuboDaemon, 'terminate' | 'repo'> {
  /** Frees everything that no pin holds. */
  free(): Promise<void>
  /** Whether a block is on its disk. */
  hasBlock(cid: CID): Promise<boolean>
  /** The file of a block. */
  blockFile(cid: CID): string
}

/** Header and the path prefixes it opens, as `API.Authorizations` in Kubo's config means them. */
export type Authorizations = Readonly<Record<string, readonly string[]>>

/** Starts our server over an embedded backend of its own, in a folder that goes with it. */
export async function startRpcOverHelia(authorizations?: Authorizations): Promise<KuboUnderTest> {
  await using stack = new AsyncDisposableStack()
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-rpc-'))
  stack.defer(() => rm(dir, { recursive: true, force: true }))
  const libp2p = await makeHost()
  stack.defer(() => libp2p.stop())
  let ahead = 0
  const clock = { ...systemClock, now: () => Date.now() + ahead }
  const backend = createHeliaBackend({ dir }, { libp2p, clock })
  await backend.start()
  stack.defer(() => backend.stop())
  const neighbour = await makePinPeer()
  stack.defer(() => neighbour.stop())
  await libp2p.dial(multiaddr(neighbour.origin))
  const { signal } = new AbortController()
  const store = {
    pin: backend.pin,
    unpin: backend.unpin,
    health: backend.health,
    peer: backend.peer,
    read: (cid: CID) => backend.content.blockstore.read(cid),
    async put(cid: CID, bytes: Uint8Array) {
      // The embedded store takes blocks in through pins alone; let go of, they stay for a day.
      await neighbour.provide([{ cid, bytes }])
      await backend.pin(cid, { signal, origins: [] })
      await backend.unpin(cid, { signal })
    },
    connect: async (address: string, signal: AbortSignal) => void (await libp2p.dial(multiaddr(address), { signal }))
  }
  const server = stack.use(await startKuboRpcServer(store, authorizations === undefined ? {} : { authorizations }))
  const all = stack.move()
  const stop = (): Promise<void> => all.disposeAsync()
  return Object.assign(server, {
    async free() {
      // Unheld blocks are kept for a day.
      ahead += 25 * 60 * 60_000
      await backend.content.sweep()
    },
    hasBlock: (cid: CID) => backend.content.blockstore.has(cid),
    blockFile: (cid: CID) => blockFile(join(dir, 'blocks'), cid),
    stop,
    [Symbol.asyncDispose]: stop
  })
}

/** Starts a real daemon that asks for the same headers. */
async function startRealKubo(authorizations: Authorizations = {}): Promise<KuboUnderTest> {
  const binary = findIpfs()
  if (binary === undefined) throw new Error(NO_IPFS)
  const secret = (header: string): string => {
    const [scheme = '', value = ''] = header.split(' ')
    return scheme === 'Bearer' ? `bearer:${value}` : `basic:${Buffer.from(value, 'base64').toString()}`
  }
  const entries = Object.entries(authorizations).map(([header, AllowedPaths], index) => [
    `user${index}`,
    { AuthSecret: secret(header), AllowedPaths }
  ])
  const daemon = await startKuboDaemon(binary, { API: { Authorizations: Object.fromEntries(entries) as unknown } })
  const post = async (command: string): Promise<Response> => {
    const response = await fetch(`${daemon.apiUrl}/api/v0/${command}`, { method: 'POST' })
    await response.text()
    return response
  }
  return Object.assign(daemon, {
    free: async () => void (await post('repo/gc')),
    blockFile: (cid: CID) => kuboBlockFile(daemon.repo, cid),
    hasBlock: async (cid: CID) => (await post(`block/stat?arg=${cid.toString()}&offline=true`)).ok
  })
}

const hasIpfs = findIpfs() !== undefined
if (!hasIpfs) console.warn(NO_IPFS)

/** The two for `describe.for`: skip those whose `skipped` says why. */
export const KUBOS = [
  { kubo: 'our RPC server', start: startRpcOverHelia, skipped: false },
  { kubo: hasIpfs ? 'a real daemon' : NO_IPFS, start: startRealKubo, skipped: !hasIpfs }
] as const
