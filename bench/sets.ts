/** A million commands: the index of a node that starts, and what two nodes with a hundred differences say to each other. */
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openCommandSets } from '../src/node/sets.ts'
import { createItemSet, type ItemSet } from '../src/protocol/sync/item-set.ts'
import { createInitiator, respond } from '../src/protocol/sync/negentropy.ts'
import { openNodeStore } from '../src/storage/node-store.ts'
import type { Figure } from './support/figure.ts'

const COMMANDS = 1_000_000
const DIFFERENCES = 100
/** Bytes of an envelope with one pin. */
const ENVELOPE = 260
const BATCH = 1_000
const AUTHOR = `SHA256:${'A'.repeat(43)}` as const
const START = 1_700_000_000_000

const idOf = (i: number): Buffer => createHash('sha256').update(String(i)).digest()
const resident = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().rss / 1e6
}

async function index(): Promise<Figure[]> {
  const dir = await mkdtemp(join(tmpdir(), 'pinsub-bench-'))
  try {
    const file = join(dir, 'state.db')
    const filling = openNodeStore(file)
    for (let at = 0; at < COMMANDS; at += BATCH) {
      filling.transaction(() => {
        for (let i = at; i < at + BATCH; i++) {
          const id = idOf(i).toString('hex')
          const time = { ms: START + i * 10, counter: 0 }
          filling.addCommand({ id, author: AUTHOR, pinset: 'default', time, acceptedAt: time.ms, envelope: new Uint8Array(ENVELOPE) })
        }
      })
    }
    filling.close()
    const store = openNodeStore(file)
    const before = resident()
    const begun = performance.now()
    const sets = openCommandSets(store)
    const [digest] = sets.digests()
    const ms = performance.now() - begun
    const after = resident()
    store.close()
    if (digest?.count !== COMMANDS) throw new Error('the index is not whole')
    return [
      { name: 'index of 1M commands rebuilt, root included', value: ms / 1_000, unit: 's', target: 3, best: 'low' },
      { name: 'index of 1M commands, memory', value: after - before, unit: 'MB', target: 120, best: 'low' }
    ]
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
}

function talk(one: ItemSet, other: ItemSet): { bytes: number; rounds: number; found: number; ms: number } {
  const begun = performance.now()
  const initiator = createInitiator(one)
  let [bytes, rounds] = [0, 0]
  for (let message: Uint8Array | undefined = initiator.start(); message !== undefined; rounds++) {
    const answer = respond(other, message)
    bytes += message.byteLength + answer.byteLength
    message = initiator.next(answer)
  }
  return { bytes, rounds, found: [...initiator.need].length + [...initiator.have].length, ms: performance.now() - begun }
}

function differences(): Figure[] {
  const [one, other] = [createItemSet(), createItemSet()]
  for (let i = 0; i < COMMANDS; i++) {
    const isOdd = i % (COMMANDS / DIFFERENCES) === 7
    if (!isOdd || i % 2 === 0) one.add(START + i * 10, idOf(i))
    if (!isOdd || i % 2 === 1) other.add(START + i * 10, idOf(i))
  }
  const scattered = talk(one, other)
  const equal = talk(one, one)
  if (scattered.found !== DIFFERENCES) throw new Error(`${scattered.found} differences were found`)
  return [
    { name: '1M commands, 100 differences: both ways', value: scattered.bytes / 1024, unit: 'KiB', target: 250, best: 'low' },
    { name: '1M commands, 100 differences: round trips', value: scattered.rounds, unit: 'count', target: 4, best: 'low' },
    { name: '1M commands, 100 differences: CPU of both', value: scattered.ms, unit: 'ms' },
    { name: '1M commands, equal: round trips', value: equal.rounds, unit: 'count', target: 1, best: 'low' },
    { name: '1M commands, equal: both ways', value: equal.bytes / 1024, unit: 'KiB', target: 1, best: 'low' }
  ]
}

/** Runs it. */
export async function sets(): Promise<Figure[]> {
  return [...(await index()), ...differences()]
}
