import { setImmediate as turn } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { createHeliaBackend } from '../../src/node/backend/helia.ts'
import { linkContent } from '../../src/node/content-links.ts'
import { createPresenceTable } from '../../src/network/presence-table.ts'
import { createOriginDialer } from '../../src/node/backend/dialer.ts'
import { systemClock } from '../../src/network/clock.ts'
import { createDialBudget } from '../../src/network/dial-budget.ts'
import { MAX_HEARSAY_DIALS } from '../../src/protocol/limits.ts'
import { author } from '../support/author.ts'
import { createTestClock } from '../network/helpers.ts'
import { makeHost } from '../support/libp2p.ts'
import { presenceOf } from '../network/presences.ts'

test('an address that cannot be read does not keep those behind it from being dialled', async () => {
  const dialled: string[] = []
  const dial = createOriginDialer(
    (address) => {
      dialled.push(multiaddr(address).toString())
      return Promise.reject(new Error('nobody there'))
    },
    { clock: systemClock }
  )
  dial(['nonsense', '/ip4/300.1.1.1/tcp/1', '/ip4/127.0.0.1/tcp/1'])
  await turn()
  expect(dialled).toEqual(['/ip4/127.0.0.1/tcp/1'])
})

test('with a budget, who does not answer is dialled only so often; who answers costs nothing', async () => {
  const dialled: string[] = []
  const connect = async (address: string): Promise<void> => {
    dialled.push(address)
    if (!address.includes('127.0.0.1')) throw new Error('nobody there')
  }
  const clock = createTestClock()
  const dial = createOriginDialer(connect, { clock, budget: createDialBudget({ names: true }, { clock }) })
  for (let i = 1; i <= 2 * MAX_HEARSAY_DIALS; i++) dial([`/ip4/203.0.113.9/tcp/${i}`])
  expect(dialled).toHaveLength(MAX_HEARSAY_DIALS)
  for (let i = 1; i <= 2 * MAX_HEARSAY_DIALS; i++) {
    dial([`/ip4/127.0.0.1/tcp/${i}`])
    await turn()
  }
  expect(dialled).toHaveLength(3 * MAX_HEARSAY_DIALS)
})

test("a node whose daemon's address is nonsense is heard all the same, and those behind it", async () => {
  const libp2p = await makeHost({ listen: false })
  onTestFinished(async () => libp2p.stop())
  const presence = createPresenceTable({ network: 'test-net' }, { clock: systemClock })
  const backend = createHeliaBackend({ dir: 'unused' }, { libp2p, clock: systemClock })
  let back: (change: 'back') => void = () => {}
  linkContent(
    { has: () => false, isChosen: () => false, onChange: () => () => {} },
    { presence, backend, watch: { onChange: (listener: typeof back) => (back = listener) } as never, clock: systemClock }
  )
  const heard: string[] = []
  presence.onChange((node) => heard.push(node))
  const daemon = { kind: 'kubo', up: true, peer: 'nobody', addresses: ['/ip4/1/tcp', '\0', '/dns4/x/tcp/1/ws/p2p-circuit'] } as const
  for (const name of ['liar', 'other']) expect(presence.offer(await presenceOf(author(name), { backend: daemon }))).toBe(true)
  expect(heard.length).toBe(2)
  back('back')
})
