/** Who is believed to be a node: first contact on nodes and senders, another node at a known address, trust and distrust. */
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createSandbox, type Ended, type Sandbox } from '../support/cli.ts'
import { leaf } from '../support/dags.ts'
import { agentArgs, only, startAgent, type Agent } from './network.ts'

const CID = (await leaf('known nodes: nobody has this')).cid.toString()

let sandbox: Sandbox
beforeEach(() => void (sandbox = createSandbox()))
afterEach(() => sandbox[Symbol.asyncDispose]())

const portOf = ({ address }: Agent): string => /\/tcp\/(\d+)/.exec(address)?.[1] ?? ''
const knownNodes = (home: string): Promise<string> => readFile(join(home, 'known_nodes'), 'utf8')

/** An agent; at a port where another listened before, where one is given. */
async function start(name: string, ...more: string[]): Promise<Agent> {
  const home = sandbox.path(name)
  return startAgent(sandbox, home, agentArgs(home, '--network', 'known', ...more))
}

async function startAt(name: string, port: string, ...more: string[]): Promise<Agent> {
  const home = sandbox.path(name)
  const args = ['node', '--json', '--home', home, '--network', 'known', '--backend', 'helia', '--listen', `/ip4/127.0.0.1/tcp/${port}`]
  return startAgent(sandbox, home, [...args, ...more])
}

test('a node believes the first that answers at an address without an id, never another, and goes by its file as it changes', async () => {
  const first = await start('first')
  const where = `127.0.0.1:${portOf(first)}`
  const node = await start('node', '--bootstrap', where)
  await node.process.complaint(new RegExp(`first contact: ${where} is ${first.peer}`))
  await node.process.complaint(/known_nodes changed: 1 node is known/)
  expect(await knownNodes(node.home)).toMatch(new RegExp(`^${first.peer} first contact \\d{4}-\\d\\d-\\d\\d ${where}$`, 'm'))

  await first.process.end()
  const other = await startAt('other', portOf(first))
  await node.process.complaint(new RegExp(`${where} ANSWERS AS ANOTHER NODE: as ${other.peer}, and at first contact it was ${first.peer}`))
  expect(await knownNodes(node.home)).not.toContain(other.peer)

  const since = node.process.said()
  await sandbox.run(['nodes', 'trust', other.peer, '--home', node.home])
  await node.process.complaint(/known_nodes changed: 2 nodes are known/, since)
  await sandbox.run(['nodes', 'distrust', first.peer, other.peer, '--home', node.home])
  await node.process.complaint(/known_nodes changed: 0 nodes are known/, since)

  // Who was distrusted does not come back by another first contact.
  await node.process.end()
  const again = await start('node', '--bootstrap', where)
  await again.process.complaint(new RegExp(`${where} is ${other.peer}, which is distrusted`))
  expect(await knownNodes(node.home)).not.toMatch(/^12D3/m)
})

test('init says when another node answers at an address, and believes neither it nor whom it tells of', async () => {
  const you = sandbox.path('you')
  const init = (...more: string[]): Promise<Ended> => sandbox.run(['init', '--home', you, '--network', 'known', ...more])
  const first = await start('first')
  const where = `127.0.0.1:${portOf(first)}`
  const met = await init('--bootstrap', where, '--json')
  expect(only(met.events, 'init')[0]).toMatchObject({ reached: [{ node: first.peer, trusted: true }] })
  expect(await knownNodes(you)).toMatch(new RegExp(`^${first.peer} first contact \\S+ ${where}$`, 'm'))

  await first.process.end()
  const friend = await start('friend')
  const other = await startAt('other', portOf(first), '--bootstrap', friend.address)
  const asked = ['nodes', '--home', sandbox.path('asker'), '--network', 'known', '--bootstrap', other.address, '--json']
  const heardOf = async (): Promise<unknown> => (await sandbox.run(asked)).events.map(({ node }) => node)
  await expect.poll(heardOf, { timeout: 20_000 }).toContain(friend.peer)
  const shown = await init('--bootstrap', where)
  expect(shown.stderr).toContain(`${where} ANSWERS AS ANOTHER NODE: as ${other.peer}, and at first contact it was ${first.peer}`)
  expect(only((await init('--json')).events, 'init')[0]).toMatchObject({ reached: [{ node: other.peer, trusted: false }] })
  expect((await knownNodes(you)).match(/^12D3\S+/gm)).toEqual([first.peer])
})

test('where known_nodes is there, whom it does not name is shown and never counts, though the file be empty', async () => {
  const you = sandbox.path('you')
  await mkdir(you)
  const line = (await sandbox.run(['keys', 'gen', '--home', you])).stdout.trim()
  const node = await start('node', '--authorize', line)
  await writeFile(join(you, 'config.json'), JSON.stringify({ network: 'known', bootstrap: [node.address] }))
  await writeFile(join(you, 'site.txt'), 'a small site')
  const add = (): Promise<Ended> => sandbox.run(['add', join(you, 'site.txt'), '--home', you, '--json', '--timeout', '2s'])
  expect(await add()).toMatchObject({ code: 0 })

  await sandbox.run(['nodes', 'trust', node.peer, '--home', you])
  expect((await add()).code).toBe(0)
  await sandbox.run(['nodes', 'distrust', node.peer, '--home', you])
  const short = await add()
  expect(short.code).toBe(3)
  expect(only(short.events, 'ack').at(-1)).toMatchObject({ node: node.peer, status: 'pinned', trusted: false })
  expect(short.events.at(-1)).toMatchObject({ event: 'done', replicas: 0, wanted: 1, result: 'short' })
  const told = await sandbox.run(['send', 'pin', CID, '--home', you, '--detach'])
  expect(told.stderr).toMatch(/known_nodes names no node, so none counts/)
  expect(told.stderr).toContain('Nobody vouched for any of these nodes, so they do not count.')

  await rm(join(you, 'known_nodes'))
  expect((await add()).code).toBe(0)
})
