/** A daemon to be started, stopped and killed: `node kubo-process.ts PORT DIR` serves Kubo's RPC over an embedded backend in DIR. */
import { mkdirSync } from 'node:fs'
import { multiaddr } from '@multiformats/multiaddr'
import { systemClock } from '../../src/network/clock.ts'
import { createHeliaBackend } from '../../src/node/backend/helia.ts'
import { startKuboRpcServer } from './kubo-rpc-server.ts'
import { makeHost } from './libp2p.ts'

const [port, dir] = process.argv.slice(2) as [string, string]
mkdirSync(dir, { recursive: true })
const libp2p = await makeHost()
const backend = createHeliaBackend({ dir }, { libp2p, clock: systemClock })
await backend.start()
const server = await startKuboRpcServer(
  {
    ...backend,
    read: (cid) => backend.content.blockstore.read(cid),
    put: () => Promise.reject(new Error('not in this process')),
    connect: async (address, signal) => void (await libp2p.dial(multiaddr(address), { signal }))
  },
  { port: Number(port) }
)
const stop = async (): Promise<void> => {
  await server.stop()
  await backend.stop()
  await libp2p.stop()
}
process.once('SIGTERM', () => void stop())
console.log('Daemon is ready')
