/** A process with an embedded backend, to be killed: `node pin-process.ts DIR ORIGIN pin|unpin CID`. Says what it does, one word a line. */
import { CID } from 'multiformats/cid'
import { createHeliaBackend } from '../../src/node/backend/helia.ts'
import { systemClock } from '../../src/network/clock.ts'
import { makeHost } from './libp2p.ts'

const [dir, origin, verb, cid] = process.argv.slice(2) as [string, string, 'pin' | 'unpin', string]
const libp2p = await makeHost()
const backend = createHeliaBackend({ dir }, { libp2p, clock: systemClock })
await backend.start()
const { signal } = new AbortController()
if (verb === 'unpin') {
  console.log('dropping')
  await backend.unpin(CID.parse(cid), { signal })
} else {
  await backend.pin(CID.parse(cid), { signal, origins: [origin], onProgress: ({ blocks }) => console.log(`${blocks}`) })
}
console.log('done')
await backend.stop()
await libp2p.stop()
