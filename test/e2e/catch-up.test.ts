/** Agents that were not there: what they learn and do when they come, with no sender about. */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { CID } from 'multiformats/cid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { generateKeyFile, loadSigner } from '../../src/identity/key-file.ts'
import { addKnownNodes } from '../../src/identity/known-nodes-file.ts'
import { blockFile } from '../support/block-file.ts'
import { createSandbox } from '../support/cli.ts'
import { leaf } from '../support/dags.ts'
import { freePort } from '../support/free-port.ts'
import { createOperator, type Said } from '../support/operator.ts'
import { makePinPeer } from '../support/pin-peer.ts'
import { missed, newcomer } from './absence.ts'
import { agentArgs, createNetwork, only, startAgent, type Agent, type TestNetwork } from './network.ts'
import { jobs, rows, until } from './state.ts'

const PINS = 300
const OPERATIONS = 1_000
const PATIENT = { timeout: 20_000 }
/** Above all that is waited for within, so that what is late is named. */
const LONG = { timeout: 240_000 }

describe('one of three is off', () => {
  let net: TestNetwork
  beforeAll(async () => {
    net = await createNetwork(3)
  })
  afterAll(() => net[Symbol.asyncDispose]())

  const back = ({ home }: Agent, ...more: string[]): Promise<Agent> => {
    const [first] = net.agents as [Agent]
    return startAgent(
      net.sandbox,
      home,
      agentArgs(home, '--network', net.name, '--authorize', net.line, '--bootstrap', first.address, ...more)
    )
  }

  /** Of each node the newest state of a CID. */
  const states = async (cid: CID): Promise<string[]> =>
    only((await net.as(['status', cid.toString()])).events, 'status')
      .map(({ node, status, source }) => `${node} ${status} ${source}`)
      .toSorted()
  const allSay = (status: string): string[] => net.agents.map(({ peer }) => `${peer} ${status} live`).toSorted()

  test('it pins what was sent meanwhile, from the others, and lets go of what was unpinned', LONG, async () => {
    const [, , third] = net.agents as [Agent, Agent, Agent]
    const [one, other] = await Promise.all([leaf('1'.repeat(600)), leaf('2'.repeat(600))])
    {
      const provider = await makePinPeer()
      await provider.provide([one, other])
      await third.process.end()
      expect((await net.as(['send', 'pin', one.cid.toString(), '--origin', provider.origin, '--wait', '2'])).code).toBe(0)
      const again = await back(third)
      await until('the third holds it', () => rows(third.home, 'SELECT cid FROM pins').includes(one.cid.toString()))
      await expect.poll(() => states(one.cid), PATIENT).toEqual(allSay('pinned'))
      await again.process.end()
      expect((await net.as(['send', 'unpin', one.cid.toString(), '--wait', '2'])).code).toBe(0)
      expect((await net.as(['send', 'pin', other.cid.toString(), '--origin', provider.origin, '--wait', '2'])).code).toBe(0)
      await provider.stop()
    }
    // There is room for only one of both: what was let go must make place.
    const file = ({ cid }: typeof one): string => blockFile(join(third.home, 'node', 'blocks'), cid)
    expect(existsSync(file(one))).toBe(true)
    await back(third, '--capacity', '1000')
    await until('the third holds the other one', () => rows(third.home, 'SELECT cid FROM pins').join() === other.cid.toString())
    expect([existsSync(file(one)), existsSync(file(other))]).toEqual([false, true])
    await expect.poll(() => states(one.cid), PATIENT).toEqual(allSay('unpinned'))
    await expect.poll(() => states(other.cid), PATIENT).toEqual(allSay('pinned'))
    const { events } = await net.as(['nodes'])
    expect(only(events, 'node').map(({ state, behind }) => ({ state, behind }))).toEqual(
      net.agents.map(() => ({ state: 'online', behind: 0 }))
    )
  })
})

test(`a newcomer to ${PINS} pins`, LONG, async () => {
  const { known, held } = await newcomer(PINS)
  console.log(`a newcomer to ${PINS} pins: known after ${Math.round(known)} ms, held after ${Math.round(held)} ms`)
})

test(`one that was off for ${OPERATIONS} operations`, LONG, async () => {
  const seed = Date.now() % 1_000_000
  console.log(`seed ${seed}`)
  const { known, held } = await missed(OPERATIONS, seed)
  console.log(`off for ${OPERATIONS} operations: known after ${Math.round(known)} ms, done after ${Math.round(held)} ms`)
})

test('news pass through a node that was behind itself', LONG, async () => {
  await using net = await createNetwork(1)
  const { sandbox, name, line } = net
  // The outer two are told of a port of each other where nobody listens: they meet only through the one between them.
  const [outerPort, middlePort, nobody] = await Promise.all([freePort(), freePort(), freePort()])
  const address = (port: number): string => `/ip4/127.0.0.1/tcp/${port}`
  const start = (letter: string, port: number, ...more: string[]): Promise<Agent> => {
    const home = sandbox.path(letter)
    const listen = ['--listen', address(port), '--backend', 'helia', '--network', name, '--authorize', line]
    return startAgent(sandbox, home, ['node', '--json', '--home', home, ...listen, ...more])
  }
  const hidden = ['--announce', address(nobody), '--bootstrap', address(middlePort)]
  const middle = await start('middle', middlePort)
  const [outer, far] = await Promise.all([start('outer', outerPort, ...hidden), start('far', 0, ...hidden)])
  await middle.process.end()

  const block = await leaf('said while the middle was off')
  const { signer } = await loadSigner(join(net.home, 'id_ed25519'))
  let said: Said
  {
    await using operator = await createOperator({ network: name })
    await operator.link(`${address(outerPort)}/p2p/${outer.peer}`)
    operator.provide([block])
    said = await operator.say(signer, [{ op: 'pin', cid: block.cid }])
    await operator.accepted([said], [outer.peer], 20_000)
    await until('it is held', () => rows(outer.home, 'SELECT cid FROM pins').length === 1)
  }
  expect(rows(far.home, 'SELECT id FROM commands')).toEqual([])
  const returned = await start('middle', middlePort)
  const began = performance.now()
  const seconds: string[] = []
  for (const { home } of [returned, far]) {
    await until(`${home} knows it`, () => rows(home, 'SELECT id FROM commands').includes(said.id))
    seconds.push(((performance.now() - began) / 1_000).toFixed(1))
  }
  console.log(`news passed to the one between after ${seconds[0]} s, and to the one behind it after ${seconds[1]} s`)
  for (const { home } of [returned, far]) {
    await until(`${home} holds it`, () => rows(home, 'SELECT cid FROM pins').includes(block.cid.toString()))
  }
})

test('what a key said in time is learned after it was closed, from a known node and from no other', LONG, async () => {
  await using sandbox = createSandbox()
  const network = 'closed-keys'
  const names = ['removed', 'expired', 'open'] as const
  const keys = await Promise.all(names.map((name) => generateKeyFile(sandbox.path(name), name)))
  const [removed, expired, open] = await Promise.all(names.map(async (name) => (await loadSigner(sandbox.path(name))).signer))
  const letters = ['teller', 'friend', 'stranger'] as const
  const homes = letters.map((letter) => sandbox.path(letter))
  const authorise = async (lines: readonly string[]): Promise<void> => {
    await Promise.all(homes.map((home) => writeFile(join(home, 'authorized_keys'), `${lines.join('\n')}\n`)))
  }
  const start = (home: string, ...more: string[]): Promise<Agent> =>
    startAgent(sandbox, home, agentArgs(home, '--network', network, ...more), { deadline: 60_000 })
  await Promise.all(homes.map((home) => mkdir(home, { mode: 0o700 })))
  await authorise(keys.map(({ line }) => line))
  const [teller, friend, stranger] = (await Promise.all(homes.map((home) => start(home)))) as [Agent, Agent, Agent]
  await Promise.all([friend.process.end(), stranger.process.end()])
  await addKnownNodes(join(friend.home, 'known_nodes'), new Map([[teller.peer, '']]))

  const blocks = await Promise.all(names.map((name) => leaf(`said by the key that is ${name}`)))
  const said: Said[] = []
  {
    await using operator = await createOperator({ network })
    await operator.link(teller.address)
    operator.provide(blocks)
    for (const [i, signer] of [removed, expired, open].entries()) {
      said.push(await operator.say(signer as NonNullable<typeof signer>, [{ op: 'pin', cid: (blocks[i] as (typeof blocks)[number]).cid }]))
    }
    await operator.accepted(said, [teller.peer], 20_000)
    await until('it is held', () => jobs(teller.home) === 0)
  }

  const ends = Math.ceil(Date.now() / 1_000) * 1_000
  const stamp = new Date(ends).toISOString().replace(/[-:T]|\.000Z/g, '')
  const since = teller.process.said()
  await authorise([`expiry-time="${stamp}Z" ${keys[1]?.line}`, keys[2]?.line as string])
  await teller.process.complaint(/authorized_keys changed: 2 keys may command/, since)
  // The key ends when it ends.
  await pause(Math.max(0, ends - Date.now()))

  const learned = async ({ home }: Agent): Promise<string[]> => {
    // With /p2p the address would itself make the teller a known node.
    const agent = await start(home, '--bootstrap', teller.address.replace(/\/p2p\/.*/, ''))
    await agent.process.complaint(/caught up \d+ commands?/)
    return rows(home, 'SELECT id FROM commands')
  }
  expect((await learned(friend)).toSorted()).toEqual(said.map(({ id }) => id).toSorted())
  expect(await learned(stranger)).toEqual([said[2]?.id])
  await until('the friend holds all of it', () => jobs(friend.home) === 0)
  expect(rows(friend.home, 'SELECT cid FROM pins').toSorted()).toEqual(blocks.map(({ cid }) => cid.toString()).toSorted())
})
