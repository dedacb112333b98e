/** Keys with `max-pins` and `max-size`, through the command line: refused in clear words, and nobody else notices. */
import { randomBytes } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Ended } from '../support/cli.ts'
import { createNetwork, only, type Agent, type TestNetwork } from './network.ts'

let net: TestNetwork
let agent: Agent
/** Homes of keys with caps. */
let ci: string
let guest: string

const run = (home: string, ...args: string[]): Promise<Ended> => net.sandbox.run([...args, '--home', home, '--json'])

/** Adds a file of so many random bytes; how it ended, and its CID. */
async function add(home: string, size: number, ...more: string[]): Promise<{ ended: Ended; cid: string; file: string }> {
  const file = join(home, `${randomBytes(6).toString('hex')}.bin`)
  await writeFile(file, randomBytes(size))
  const ended = await run(home, 'add', file, ...more)
  return { ended, cid: only(ended.events, 'imported')[0]?.['cid'] as string, file }
}

const refusals = ({ events }: Ended): unknown[] => only(events, 'ack').flatMap(({ status, code }) => (status === 'refused' ? [code] : []))

/** Rewrites the agent's authorized_keys, and waits until it says that the change counts. */
async function rewrite(edit: (text: string) => string): Promise<void> {
  const since = agent.process.said()
  const file = join(agent.home, 'authorized_keys')
  await writeFile(file, edit(await readFile(file, 'utf8')))
  await agent.process.complaint(/authorized_keys changed/, since)
}

/** What `keys list` on the node says of keys with caps. */
async function listed(): Promise<{ text: string; of: (cap: string) => Record<string, unknown> | undefined }> {
  const { events } = await run(agent.home, 'keys', 'list')
  const { stdout: text } = await net.sandbox.run(['keys', 'list', '--home', agent.home])
  return { text, of: (cap) => only(events, 'authorized').find((key) => typeof key[cap] === 'number') }
}

beforeAll(async () => {
  net = await createNetwork(1)
  ;[agent] = net.agents as [Agent]
  ci = await net.stranger('ci')
  guest = await net.stranger('guest')
  const line = async (home: string): Promise<string> => (await net.sandbox.run(['keys', 'show', '--home', home])).stdout.trim()
  const lines = [`max-pins="2" ${await line(ci)}`, `max-size="100kB" ${await line(guest)}`]
  const shown = await net.sandbox.run(['keys', 'add', ...lines, '--home', agent.home])
  expect(shown.code).toBe(0)
  await agent.process.complaint(/authorized_keys changed/)
})
afterAll(() => net[Symbol.asyncDispose]())

test('max-pins: one more is refused with exit code 4 and words that say why; after an unpin there is room', async () => {
  const [first, second] = [await add(ci, 1_000), await add(ci, 1_000)]
  expect([first.ended.code, second.ended.code]).toEqual([0, 0])
  const third = await add(ci, 1_000)
  expect([third.ended.code, refusals(third.ended)]).toEqual([4, ['quota']])
  const shown = await net.sandbox.run(['send', 'pin', third.cid, '--home', ci])
  expect(shown).toMatchObject({
    code: 4,
    stdout: expect.stringMatching(/refused by every node reached: SHA256:\S+ has used up its share of pins there/)
  })
  const keys = await listed()
  expect(keys.of('max_pins')).toMatchObject({ max_pins: 2, max_bytes: null, used_pins: 2 })
  expect(keys.text).toContain('2 of 2 pins')

  expect((await run(ci, 'send', 'unpin', first.cid)).code).toBe(0)
  expect((await run(ci, 'add', third.file)).code).toBe(0)
  expect((await run(ci, 'status', third.cid)).code).toBe(0)
  expect((await listed()).of('max_pins')).toMatchObject({ used_pins: 2 })
})

test('others notice nothing: they pin, and what they pinned stays theirs', async () => {
  const { ended, cid } = await add(net.home, 1_000)
  expect(ended.code).toBe(0)
  const taken = await run(ci, 'send', 'pin', cid)
  expect([taken.code, refusals(taken)]).toEqual([4, ['quota']])
  expect((await net.as(['status', cid])).code).toBe(0)
  expect(only((await net.as(['ls'])).events, 'pin').map((pin) => pin['cid'])).toContain(cid)
})

test('max-size: what is too large is stopped as it comes, and what fits is pinned', async () => {
  const large = await add(guest, 3_000_000)
  expect([large.ended.code, refusals(large.ended)]).toEqual([4, ['size']])
  expect((await listed()).of('max_bytes')).toMatchObject({ used_bytes: 0 })
  const small = await add(guest, 60_000)
  expect(small.ended.code).toBe(0)
  const keys = await listed()
  expect(keys.of('max_bytes')).toMatchObject({ max_pins: null, max_bytes: 100_000, used_pins: 1, used_bytes: expect.any(Number) })
  expect(keys.text).toMatch(/60\.\d kB of 100 kB/)
})

test('what a cap refused is pinned once the line is raised, without being said again', async () => {
  const { ended, cid } = await add(net.home, 80_000)
  expect(ended.code).toBe(0)
  const sent = await run(guest, 'send', 'pin', cid, '--pinset', 'guests')
  expect([sent.code, refusals(sent)]).toEqual([4, ['size']])
  const shown = await net.sandbox.run(['send', 'pin', cid, '--pinset', 'guests', '--home', guest])
  expect(shown).toMatchObject({
    code: 4,
    stdout: expect.stringMatching(/refused by every node reached: SHA256:\S+ has no room for so much there/)
  })
  const guests = async (): Promise<unknown[]> => only((await net.as(['ls', '--pinset', 'guests'])).events, 'pin').map((pin) => pin['cid'])
  expect(await guests()).toEqual([])
  await rewrite((text) => text.replace('max-size="100kB"', 'max-size="1MB"'))
  await expect.poll(guests, { timeout: 10_000 }).toEqual([cid])
  expect((await listed()).of('max_bytes')).toMatchObject({ max_bytes: 1_000_000, used_pins: 2 })
})

test('a cap that is lowered lets go of nothing', async () => {
  const before = only((await net.as(['ls'])).events, 'pin')
  const draft = join(agent.home, 'draft')
  const text = (await readFile(join(agent.home, 'authorized_keys'), 'utf8')).replace('max-pins="2"', 'max-pins="1"')
  await writeFile(draft, text)
  const checked = await net.sandbox.run(['keys', 'check', draft, '--home', agent.home])
  expect(checked).toMatchObject({ code: 0, stdout: expect.stringMatching(/other options .*max-pins="2" {2}→ {2}max-pins="1"/) })
  await rewrite(() => text)
  expect(only((await net.as(['ls'])).events, 'pin')).toEqual(before)
  expect((await listed()).text).toContain('2 of 1 pin')
})
