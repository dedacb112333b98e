import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createFirstContact } from '../../src/node/first-contact.ts'
import { createKnownNodes } from '../../src/node/known-nodes.ts'
import { watchKnownNodes } from '../../src/node/known-nodes-watch.ts'
import { parseKnownNodes } from '../../src/protocol/known-nodes.ts'
import { nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { author } from '../support/author.ts'
import { createManualClock } from '../support/clock.ts'
import { keepLog } from '../support/log.ts'

const [a, b, c] = ['a', 'b', 'c'].map((name) => nodeIdOf(author(name).blob)) as [string, string, string]
const none: ReadonlySet<string> = new Set()

async function newFile(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-known-'))
  onTestFinished(() => rm(dir, { recursive: true }))
  return join(dir, 'known_nodes')
}

test('the given, those of the file and those of messages are known; distrust beats who names them', () => {
  const known = createKnownNodes([a])
  let changes = 0
  known.onChange(() => changes++)
  known.setFile(parseKnownNodes(`${b}\n`))
  known.setFile(parseKnownNodes(`${b} another comment\n`))
  expect([[...known.all()], known.size, changes]).toEqual([[a, b], 2, 1])
  known.setFile(parseKnownNodes(`${b}\n# distrusted 2026-11-28 ${a}\n`))
  expect([known.has(a), known.has(b)]).toEqual([false, true])
  known.setMessages(new Set([c]), new Set([b]))
  expect([[...known.all()], changes]).toEqual([[c], 3])
  known.setMessages(none, none)
  expect([...known.all()]).toEqual([b])
})

test('a first contact alone is no choice: strangers are still heard', () => {
  const known = createKnownNodes([])
  expect(known.isChosen()).toBe(false)
  known.setFile(parseKnownNodes(`${a} first contact 2026-11-28 203.0.113.1:4101\n`))
  expect([known.has(a), known.isChosen()]).toEqual([true, false])
  known.setFile(parseKnownNodes(`${a} first contact 2026-11-28 203.0.113.1:4101\n${b} trusted\n`))
  expect(known.isChosen()).toBe(true)
})

test('the file is followed: made, edited, replaced, unreadable, gone', async () => {
  const file = await newFile()
  const known = createKnownNodes([])
  const log = keepLog()
  const watch = watchKnownNodes({ file }, { known, clock: systemClock, log })
  await watch.start()
  onTestFinished(() => watch.stop())
  const now = (): readonly string[] => [...known.all()]
  expect(now()).toEqual([])
  await writeFile(file, `${a}\n`)
  await expect.poll(now, { timeout: 2_000 }).toEqual([a])
  await writeFile(`${file}.other`, `${a}\n${b}\nnonsense\n`)
  await rename(`${file}.other`, file)
  await expect.poll(now, { timeout: 2_000 }).toEqual([a, b])
  expect(log.lines).toContainEqual(expect.stringMatching(/^warn .*known_nodes:3: /))

  await writeFile(file, Buffer.alloc(5_000_000, 'x'))
  await watch.reload()
  expect([now(), log.lines.at(-1)]).toEqual([[a, b], expect.stringMatching(/^warn .*stay known/)])
  await rm(file)
  await expect.poll(now, { timeout: 4_000 }).toEqual([])
})

test('who answers at an address is written down once; another is told of loudly, and not more than once a minute', async () => {
  const file = await newFile()
  const clock = createManualClock()
  const log = keepLog()
  const met = createFirstContact({ file }, { clock, log })
  const address = '/ip4/203.0.113.1/tcp/4101'
  await met(address, a)
  await met(address, a)
  expect(log.lines).toEqual([expect.stringMatching(new RegExp(`^info first contact: 203.0.113.1:4101 is ${a}`))])
  for (const node of [b, b, c]) await met(address, node)
  expect(log.lines.slice(1)).toEqual([
    expect.stringMatching(new RegExp(`^warn 203.0.113.1:4101 ANSWERS AS ANOTHER NODE: as ${b}.*was ${a}`))
  ])
  clock.advance(60_000)
  await met(address, c)
  expect(log.lines.at(-1)).toContain(`as ${c}`)
  const met2 = createFirstContact({ file: join(file, 'no', 'folder') }, { clock, log })
  await met2(address, a)
  expect(log.lines.at(-1)).toMatch(/^warn cannot note the first contact with 203.0.113.1:4101: /)
})
