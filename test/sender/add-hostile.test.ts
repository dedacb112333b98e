/** What nodes say of their daemons is dialled for content, and may be nonsense. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createPresenceTable } from '../../src/network/presence-table.ts'
import { addPath } from '../../src/sender/add.ts'
import type { Outcome, SendEvent } from '../../src/sender/types.ts'
import { temporaryFolder } from '../identity/folder.ts'
import { presenceOf } from '../network/presences.ts'
import { author } from '../support/author.ts'
import { makeHost } from '../support/libp2p.ts'

test('an address that cannot be read does not end the import, nor keep other daemons from being dialled', async () => {
  const [host, daemon] = [await makeHost({ listen: false }), await makeHost()]
  onTestFinished(async () => void (await Promise.all([host.stop(), daemon.stop()])))
  const presence = createPresenceTable({ network: 'test-net' }, { clock: systemClock })
  const backend = { kind: 'kubo', up: true } as const
  const liar = { ...backend, peer: 'nobody', addresses: ['/ip4/1.2.3.4/tcp', '\u001b[2J'] }
  const [address = ''] = daemon.getMultiaddrs().map((each) => each.toString().replace(/\/p2p\/.*/, ''))
  const sound = { ...backend, peer: daemon.peerId.toString(), addresses: ['nonsense', address] }
  presence.offer(await presenceOf(author('liar'), { backend: liar }))
  presence.offer(await presenceOf(author('sound'), { backend: sound }))

  const file = join(await temporaryFolder(), 'file')
  await writeFile(file, 'content')
  const dialled = Promise.withResolvers<void>()
  daemon.addEventListener('connection:open', () => dialled.resolve())
  const events = addPath(
    file,
    {},
    {
      libp2p: host,
      presence,
      clock: systemClock,
      startHost: async () => {},
      connect: async () => {},
      async *send(): AsyncGenerator<SendEvent, Outcome> {
        await dialled.promise
        yield { event: 'sent', command: 'f'.repeat(64), cids: 1, nodes: [] }
        return {} as Outcome
      }
    }
  )
  const told: string[] = []
  for await (const event of events) told.push(event.event)
  expect(told).toContain('imported')
})
