/** How long it takes until a key that is taken away counts no more: by an edit of the file, and by a message to five nodes. */
import { setTimeout as wait } from 'node:timers/promises'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyFile } from '../src/identity/key-file.ts'
import { createSender } from '../src/sender/sender.ts'
import type { Figure } from './support/figure.ts'
import { createStage, median } from './support/stage.ts'

const ROUNDS = 10
/** Between two commands: the figure is not finer than this and the time of an answer. */
const PAUSE_MS = 10
/** A key that still counts after this long is a failure. */
const GIVE_UP_MS = 10_000

/** Nodes that hear the message. */
const NODES = 5

/** Runs both. */
export async function keys(): Promise<Figure[]> {
  return [...(await byFile()), ...(await byMessage())]
}

/** From the call that signs the message to the last node's signed word that it is in force there. */
async function byMessage(): Promise<Figure[]> {
  await using stage = await createStage(NODES)
  const sender = await stage.sender()
  const times: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const { line, author } = await generateKeyFile(join(stage.dir, `key-${round}`), 'other')
    for await (const _ of sender.admin([{ op: 'authorize', line }], { wait: NODES })) continue
    const begun = performance.now()
    let reached = 0
    for await (const event of sender.admin([{ op: 'revoke', key: author }], { wait: NODES })) {
      if (event.event === 'done') reached = event.replicas
    }
    if (reached !== NODES) throw new Error(`in force on ${reached} of ${NODES} nodes`)
    times.push(performance.now() - begun)
  }
  return [
    { name: `a revoke by message, in force on ${NODES} nodes`, value: median(times.slice(1)), unit: 'ms', target: 2_000, best: 'low' },
    { name: 'the same, the slowest', value: Math.max(...times.slice(1)), unit: 'ms', target: 2_000, best: 'low' }
  ]
}

/** From an edit that takes a key away to the node's first refusal of it, with the key sending all the while. */
async function byFile(): Promise<Figure[]> {
  await using stage = await createStage(1)
  const [agent] = stage.agents
  const cids = await stage.provide(1, 'keys')
  // Not the key of the stage, which counts by a flag of the agent besides its file.
  const key = join(stage.dir, 'other-key')
  const { line } = await generateKeyFile(key, 'other')
  const bootstrap = [agent?.address as string]
  await using sender = await createSender({ network: stage.network, key, bootstrap })
  const changes = agent?.log[Symbol.asyncIterator]() as AsyncIterator<string>
  const changed = async (): Promise<void> => {
    for (let said = ''; !said.includes('authorized_keys changed');) said = ((await changes.next()) as IteratorYieldResult<string>).value
  }
  const file = join(stage.dir, 'node-0', 'authorized_keys')
  const closed = await readFile(file, 'utf8')
  const open = `${closed}${line}\n`
  await writeFile(file, open)
  await sender.connect()

  /** Sends until the node refuses. */
  const refused = async (): Promise<void> => {
    for (const end = performance.now() + GIVE_UP_MS; performance.now() < end; await wait(PAUSE_MS)) {
      for await (const event of sender.unpin(cids, { detach: true })) if (event.event === 'ack' && event.status === 'refused') return
    }
    throw new Error(`not refused for ${GIVE_UP_MS} ms`)
  }

  const times: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    // A node tells a peer of ten refusals, and then of one a second: none is spent on waiting until it listens.
    await changed()
    await writeFile(file, closed)
    const begun = performance.now()
    await refused()
    times.push(performance.now() - begun)
    await changed()
    await writeFile(file, open)
  }
  return [
    { name: 'a line is removed, first refusal of its key', value: median(times.slice(1)), unit: 'ms', target: 1_000, best: 'low' },
    { name: 'the same, the slowest', value: Math.max(...times.slice(1)), unit: 'ms', target: 1_000, best: 'low' }
  ]
}
