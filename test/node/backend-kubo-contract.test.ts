import { create } from 'kubo-rpc-client'
import { describe, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createKuboBackend } from '../../src/node/backend/kubo.ts'
import { describePinBackend } from '../contract/pin-backend.ts'
import type { PinBackendHarness } from '../contract/pin-backend.ts'
import { KUBOS } from '../support/kubo-under-test.ts'
import type { KuboUnderTest } from '../support/kubo-under-test.ts'
import { makePinPeer } from '../support/pin-peer.ts'

async function makeHarness(start: () => Promise<KuboUnderTest>): Promise<PinBackendHarness> {
  await using stack = new AsyncDisposableStack()
  const kubo = stack.use(await start())
  const operator = create({ url: kubo.apiUrl })
  const connect = () => createKuboBackend({ apiUrl: kubo.apiUrl, name: 'pinsub:test' }, { clock: systemClock })
  let backend = connect()
  await backend.start()
  stack.defer(() => backend.stop())
  const all = stack.move()
  return {
    get backend() {
      return backend
    },
    async makePeer() {
      const peer = await makePinPeer()
      all.defer(() => peer.stop())
      return peer
    },
    async restart() {
      await backend.stop()
      backend = connect()
      await backend.start()
    },
    free: () => kubo.free(),
    hasBlock: (cid) => kubo.hasBlock(cid),
    blockFile: (cid) => kubo.blockFile(cid),
    foreignPin: async (cid) => void (await operator.pin.add(cid)),
    async pinned(cid) {
      for await (const pin of operator.pin.ls({ type: 'recursive' })) if (pin.cid.equals(cid)) return true
      return false
    },
    stop: () => all.disposeAsync()
  }
}

for (const { kubo, start, skipped } of KUBOS) {
  if (skipped) describe('PinBackend: kubo', () => test.skip(kubo))
  else describePinBackend(`kubo on ${kubo}`, () => makeHarness(start))
}
