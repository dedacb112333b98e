/** `pinsub send pin|unpin`: what it takes, what it says, and how it ends. */
import { existsSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { CID } from 'multiformats/cid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { leaf } from '../support/dags.ts'
import { createNetwork, only, startAgent, agentArgs, type TestNetwork } from './network.ts'

const FILES = 3_000
/** Nobody has what this names. */
const ABSENT = (await leaf('nobody has this')).cid.toString()

let net: TestNetwork
/** CIDs of content that every node holds. */
let held: string[]
beforeAll(async () => {
  net = await createNetwork()
  const dir = net.sandbox.path('many')
  await mkdir(dir)
  const blocks = await Promise.all(Array.from({ length: FILES }, (_, i) => leaf(`file ${i}\n`)))
  await Promise.all(blocks.map(({ bytes }, i) => writeFile(join(dir, `${i}.txt`), bytes)))
  held = blocks.map(({ cid }) => cid.toString())
  const added = await net.as(['add', dir, '--pinset', 'source'], { deadline: 50_000 })
  if (added.code !== 0) throw new Error(`add: ${added.stdout.slice(-2_000)}${added.stderr}`)
})
afterAll(() => net[Symbol.asyncDispose]())

const cid = (i: number): string => held[i] as string

/** CIDs that the network wants in a pinset. */
async function listed(pinset: string): Promise<string[]> {
  const { events } = await net.as(['ls', '--pinset', pinset])
  return only(events, 'pin').map((pin) => pin['cid'] as string)
}

test('a pin and its unpin, told as the contract says', async () => {
  const pin = await net.as(['send', 'pin', cid(0), '--pinset', 'p1', '--name', 'first'])
  expect(pin).toMatchObject({ code: 0, stderr: '' })
  expect(pin.events[0]).toEqual({ event: 'sent', command: expect.stringMatching(/^[0-9a-f]{64}$/), cids: 1, nodes: expect.any(Array) })
  expect(pin.events.at(-1)).toEqual({ event: 'done', cid: cid(0), op: 'pin', replicas: 3, wanted: 3, result: 'ok' })
  expect(only(pin.events, 'ack').findLast(({ status }) => status === 'pinned')).toMatchObject({
    cid: cid(0),
    op: 'pin',
    bytes: 7,
    trusted: true
  })
  expect(only((await net.as(['ls', '--pinset', 'p1'])).events, 'pin')).toMatchObject([{ cid: cid(0), name: 'first', pinset: 'p1' }])

  const unpin = await net.as(['send', 'unpin', cid(0), '--pinset', 'p1'])
  expect(unpin.code).toBe(0)
  expect(unpin.events.at(-1)).toEqual({ event: 'done', cid: cid(0), op: 'unpin', replicas: 3, wanted: 3, result: 'ok' })
  expect(await listed('p1')).toEqual([])
})

test('every spelling of a CID is taken, and told as it was meant', async () => {
  const v0 = CID.parse('QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn')
  const { code, events } = await net.as([
    'send',
    'pin',
    v0.toString(),
    `/ipfs/${cid(1)}`,
    `ipfs://${cid(2)}`,
    cid(1),
    '--detach',
    '--pinset',
    'p2'
  ])
  expect(code).toBe(0)
  expect(only(events, 'sent')).toMatchObject([{ cids: 3 }])
  expect(only(events, 'done').map((done) => done['cid'])).toEqual([v0.toString(), cid(1), cid(2)])
  // A CIDv1 of the same content is the same wish.
  expect((await net.as(['send', 'unpin', v0.toV1().toString(), cid(1), cid(2), '--pinset', 'p2'])).code).toBe(0)
  expect(await listed('p2')).toEqual([])
})

describe('-', () => {
  test('reads the first field of each line; blank lines, comments and repetitions are passed over', async () => {
    const stdin = `# a list\n\n${cid(3)} recursive name\r\n   ${cid(4)}\n${cid(3)}\n  # more\n${cid(5)}`
    const { code, events } = await net.as(['send', 'pin', '-', '--pinset', 'p3'], { stdin })
    expect(code).toBe(0)
    expect(only(events, 'done').map((done) => done['cid'])).toEqual([cid(3), cid(4), cid(5)])
    expect((await listed('p3')).toSorted()).toEqual([cid(3), cid(4), cid(5)].toSorted())
  })

  test('one bad line: nothing is sent, and the line is named', async () => {
    const home = await net.stranger('careless')
    const stdin = `${cid(6)}\nnot-a-cid\n${cid(7)}\n`
    const { code, events } = await net.sandbox.run(['send', 'pin', '-', '--home', home, '--json'], { stdin })
    expect(code).toBe(2)
    expect(events).toEqual([
      { event: 'error', code: 'cid', message: expect.stringMatching(/line 2: "not-a-cid"/), hint: 'nothing was sent' }
    ])
    expect(existsSync(join(home, 'sender'))).toBe(false)
  })

  test('nothing in it is a usage error', async () => {
    const { code, events } = await net.as(['send', 'unpin', '-'], { stdin: '# nothing\n' })
    expect({ code, kinds: events.map(({ event }) => event) }).toEqual({ code: 2, kinds: ['error'] })
  })

  test('thousands go out in few envelopes and none is lost', async () => {
    const { code, events } = await net.as(['send', 'pin', '-', '--pinset', 'bulk'], { stdin: held.join('\n'), deadline: 60_000 })
    expect(code).toBe(0)
    const sent = only(events, 'sent')
    expect(sent.length).toBeLessThanOrEqual(5)
    expect(sent.reduce((sum, each) => sum + (each['cids'] as number), 0)).toBe(FILES)
    const done = only(events, 'done')
    expect(done.map((each) => each['cid'])).toEqual(held)
    expect(done.every(({ replicas, result }) => replicas === 3 && result === 'ok')).toBe(true)
    expect((await listed('bulk')).toSorted()).toEqual(held.toSorted())
  }, 90_000)
})

test('too few in time: 3, and the command stands', async () => {
  const { code, events } = await net.as(['send', 'pin', ABSENT, '--timeout', '1s', '--pinset', 'p4'])
  expect(code).toBe(3)
  expect(events.at(-1)).toEqual({ event: 'done', cid: ABSENT, op: 'pin', replicas: 0, wanted: 3, result: 'short' })
  const shown = await net.sandbox.run(['send', 'pin', ABSENT, '--timeout', '1s', '--pinset', 'p4', '--home', net.home])
  expect(shown).toMatchObject({ code: 3, stdout: expect.stringContaining('The command stands') })
  expect(await listed('p4')).toEqual([ABSENT])
  expect((await net.as(['send', 'unpin', ABSENT, '--pinset', 'p4'])).code).toBe(0)
})

test('--detach ends at the first acceptance', async () => {
  const { code, events } = await net.as(['send', 'pin', ABSENT, '--detach', '--pinset', 'p5'])
  expect(code).toBe(0)
  expect(events.at(-1)).toMatchObject({ event: 'done', replicas: 0, result: 'ok' })
  await net.as(['send', 'unpin', ABSENT, '--pinset', 'p5'])
})

test('--wait says how many nodes are enough, else --replicas does', async () => {
  const two = await net.as(['send', 'pin', cid(8), '--replicas', '2', '--pinset', 'p6'])
  expect(two.events.at(-1)).toMatchObject({ wanted: 2, result: 'ok' })
  const one = await net.as(['send', 'pin', cid(8), '--replicas', '2', '--wait', '1', '--pinset', 'p6'])
  expect(one.events.at(-1)).toMatchObject({ wanted: 1, result: 'ok' })
  const all = await net.as(['send', 'pin', cid(8), '--replicas', '2', '--wait', 'all', '--pinset', 'p6'])
  expect(all.events.at(-1)).toMatchObject({ wanted: 3, replicas: 3, result: 'ok' })
  const four = await net.as(['send', 'pin', cid(8), '--wait', '4', '--timeout', '1s', '--pinset', 'p6'])
  expect(four).toMatchObject({ code: 3 })
  expect(four.events.at(-1)).toMatchObject({ wanted: 4, replicas: 3, result: 'short' })
})

test('an origin is dialled for the content', async () => {
  const { makePinPeer } = await import('../support/pin-peer.ts')
  const provider = await makePinPeer()
  try {
    const block = await leaf('only the origin has this')
    await provider.provide([block])
    const { code } = await net.as(['send', 'pin', block.cid.toString(), '--origin', provider.origin])
    expect(code).toBe(0)
  } finally {
    await provider.stop()
  }
})

test('two sends at once from one home both arrive, with times of their own', async () => {
  const sends = await Promise.all([10, 11, 12].map((i) => net.as(['send', 'pin', cid(i), '--pinset', 'p7'])))
  expect(sends.map(({ code }) => code)).toEqual([0, 0, 0])
  expect((await listed('p7')).toSorted()).toEqual([cid(10), cid(11), cid(12)].toSorted())
  using ledger = new DatabaseSync(join(net.home, 'sender', 'ledger.db'), { readOnly: true })
  const rows = ledger.prepare("SELECT ms, counter FROM commands WHERE pinset = 'p7'").all()
  expect(rows).toHaveLength(3)
  expect(new Set(rows.map(({ ms, counter }) => `${String(ms)} ${String(counter)}`)).size).toBe(3)
})

test('with no node to reach nothing is signed, and nothing is sent later', async () => {
  const home = net.sandbox.path('alone')
  await net.sandbox.run(['init', '--home', home])
  const none = await net.sandbox.run(['send', 'pin', cid(0), '--home', home, '--json'])
  expect(none.code).toBe(5)
  expect(none.events).toEqual([expect.objectContaining({ event: 'error', code: 'no-bootstrap' })])
  expect(none.stdout).toContain('--bootstrap')
  const other = net.sandbox.path('gone')
  const agent = await startAgent(net.sandbox, other, agentArgs(other, '--network', 'x'))
  await agent.process.end()
  const gone = await net.sandbox.run(['send', 'pin', cid(0), '--home', home, '--bootstrap', agent.address, '--json'])
  expect(gone.code).toBe(5)
  expect(gone.events).toEqual([
    expect.objectContaining({ event: 'error', code: 'no-node', message: expect.stringMatching(/127\.0\.0\.1:\d+ refused the connection/) })
  ])
  using ledger = new DatabaseSync(join(home, 'sender', 'ledger.db'), { readOnly: true })
  expect(ledger.prepare('SELECT * FROM commands').all()).toEqual([])
})

test('Ctrl-C while it waits: 130, and the command stands', async () => {
  const sending = net.sandbox.start(['send', 'pin', ABSENT, '--pinset', 'p8', '--home', net.home, '--json'])
  await sending.event(({ event }) => event === 'ack')
  const { code, stderr } = await sending.end('SIGINT')
  expect({ code, stderr }).toEqual({ code: 130, stderr: '' })
  expect(await listed('p8')).toEqual([ABSENT])
  await net.as(['send', 'unpin', ABSENT, '--pinset', 'p8'])
})
