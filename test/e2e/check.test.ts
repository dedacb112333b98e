/** `status --check`: every node looks into its storage, and what is short heals. */
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { CID } from 'multiformats/cid'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { linksOf } from '../../src/content/codecs.ts'
import { blockFile } from '../support/block-file.ts'
import { agentArgs, createNetwork, only, startAgent, type Agent, type TestNetwork } from './network.ts'

let net: TestNetwork
let cid: string
let leaf: CID
beforeAll(async () => {
  net = await createNetwork(3)
  const file = net.sandbox.path('large.bin')
  await writeFile(
    file,
    Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * i) % 251)
  )
  cid = only((await net.as(['add', file])).events, 'imported')[0]?.['cid'] as string
  const root = CID.parse(cid)
  leaf = linksOf(root, await readFile(fileOf(net.agents[0] as Agent, root)))[1] as CID
})
afterAll(() => net[Symbol.asyncDispose]())

const fileOf = (agent: Agent, block: CID): string => blockFile(join(agent.home, 'node', 'blocks'), block)

async function healed(agent: Agent): Promise<void> {
  await vi.waitFor(
    async () => {
      const { code, events } = await net.as(['status', cid, '--check'])
      expect(only(events, 'status').map(({ status, check }) => [status, check])).toEqual(
        Array.from({ length: 3 }, () => ['pinned', 'held'])
      )
      expect(code).toBe(0)
    },
    { timeout: 40_000, interval: 500 }
  )
  expect(await net.onDisk(agent, cid)).toMatchObject({ missing: 0, corrupt: 0 })
}

test('what is whole is said to be, and a plain status looks at nothing', async () => {
  const { code, events } = await net.as(['status', cid, '--check'])
  expect(code).toBe(0)
  expect(only(events, 'status').map(({ status, check }) => [status, check])).toEqual(Array.from({ length: 3 }, () => ['pinned', 'held']))
  const plain = await net.as(['status', cid])
  expect(only(plain.events, 'status').every((row) => !('check' in row))).toBe(true)
})

test('a damaged block: the node does not count, and fetches it again', async () => {
  const [, second] = net.agents as readonly [Agent, Agent]
  const file = fileOf(second, leaf)
  const bytes = await readFile(file)
  bytes[100] = (bytes[100] ?? 0) ^ 1
  await writeFile(file, bytes)
  expect((await net.as(['status', cid])).code).toBe(0)

  const { code, events } = await net.as(['status', cid, '--check'])
  expect(code).toBe(3)
  const rows = new Map(only(events, 'status').map((row) => [row['node'], row]))
  expect(rows.get(second.peer)).toMatchObject({ check: 'damaged', status: expect.stringMatching(/^(queued|pinning)$/) as string })
  expect([...rows.values()].filter(({ check }) => check === 'held')).toHaveLength(2)
  expect(events.at(-1)).toMatchObject({ event: 'done', cid, replicas: 2, wanted: 3, result: 'short' })
  await healed(second)
}, 60_000)

test('a block that is gone, found by looking at everything, as a person sees it', async () => {
  const [, , third] = net.agents as readonly [Agent, Agent, Agent]
  await rm(fileOf(third, leaf))
  const { code, stdout, stderr } = await net.sandbox.run(['status', '--check', '--home', net.home])
  expect(code).toBe(3)
  expect(stdout).toContain('2/3 replicas')
  expect(stdout).toMatch(/(queued|pinning), blocks were gone: fetched again/)
  expect(stdout.match(/pinned, looked at/g)).toHaveLength(2)
  expect(stderr).toContain('Every node reads all of what it holds first')
  await third.process.complaint(/a check found 1 pin gone or damaged in the built-in storage/)
  await healed(third)
}, 60_000)

test('the word of a node that cannot be asked is not taken for a look', async () => {
  const [, , third] = net.agents as readonly [Agent, Agent, Agent]
  await third.process.end()
  expect((await net.as(['status', cid])).code).toBe(0)
  const { code, events } = await net.as(['status', cid, '--check'])
  expect(code).toBe(3)
  expect(events.at(-1)).toMatchObject({ replicas: 2, wanted: 3, result: 'short' })
})

test('an agent that finds its storage empty at its start says so, and fetches all of it again by itself', async () => {
  const [first, , third] = net.agents as readonly [Agent, Agent, Agent]
  await third.process.end()
  for (const name of ['blocks', 'blocks.db', 'blocks.db-wal', 'blocks.db-shm']) {
    await rm(join(third.home, 'node', name), { recursive: true, force: true })
  }
  const args = agentArgs(third.home, '--network', net.name, '--authorize', net.line, '--bootstrap', first.address)
  const again = await startAgent(net.sandbox, third.home, args)
  await again.process.complaint(/1 pin was gone from the built-in storage: fetched again/)
  await healed(third)
}, 60_000)
