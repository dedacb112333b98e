import { setImmediate } from 'node:timers/promises'
import { expect, test } from 'vitest'
import type { Bus } from '../../src/network/bus.ts'
import type { OperationState } from '../../src/protocol/ack.ts'
import type { CommandId } from '../../src/protocol/envelope.ts'
import { itemsOf, send, type SendingPorts } from '../../src/sender/sending.ts'
import type { TrackerEvent } from '../../src/sender/tracker.ts'
import type { AddEvent, Outcome } from '../../src/sender/types.ts'
import { openLedger } from '../../src/storage/ledger.ts'
import { author, cidOf } from '../support/author.ts'
import { createManualClock, type ManualClock } from '../support/clock.ts'

interface Bench extends Disposable {
  readonly clock: ManualClock
  readonly outcome: Promise<Outcome>
  readonly events: AddEvent[]
  /** To whom the command was handed, each time. */
  readonly handed: (readonly string[])[]
  /** A node is linked from now on. */
  link(node: string): void
  refuse(node: string): void
  say(node: string, state: OperationState): void
}

/** A send of one pin while `linked` of the nodes that are there are linked. */
async function begin(present: readonly string[], linked: readonly string[]): Promise<Bench> {
  const clock = createManualClock()
  const ledger = openLedger(':memory:')
  const listeners = new Set<(event: TrackerEvent) => void>()
  const newcomers = new Set<Parameters<Bus['onSubscribe']>[0]>()
  const here = [...linked]
  const handed: (readonly string[])[] = []
  let command: CommandId = ''
  let sequence = 0
  const bus: Bus = {
    start: async () => {},
    stop: async () => {},
    handle() {},
    publish: async () => {
      handed.push([...here])
      return [...here]
    },
    subscribers: () => here,
    onSubscribe: (listener) => {
      newcomers.add(listener)
      return () => newcomers.delete(listener)
    }
  }
  const ports: SendingPorts = {
    bus,
    ledger,
    clock,
    signer: author('alice'),
    census: {
      counts: () => true,
      backend: (node) => node,
      trusted: () => true,
      all: () => present.length,
      present: () => present.length,
      replicas: (nodes) => [...nodes].length
    },
    clocks: () => ({ offset: undefined, nodes: new Map() }),
    newest: () => undefined,
    expect: (id) => void (command = id),
    onWord: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    askAgain() {}
  }
  const events: AddEvent[] = []
  const outcome = (async () => {
    const sending = send('net', itemsOf('pin', [cidOf('x')], {}, []), { wait: 1 }, ports)
    for (;;) {
      const next = await sending.next()
      if (next.done === true) return next.value
      events.push(next.value)
    }
  })()
  while (events.length === 0) await setImmediate()
  const tell = (event: TrackerEvent): void => listeners.forEach((listener) => listener(event))
  return {
    clock,
    outcome,
    events,
    handed,
    link(node) {
      here.push(node)
      newcomers.forEach((listener) => listener(node, 'commands'))
    },
    refuse: (node) => tell({ type: 'refusal', node, command, code: 'skew' }),
    say: (node, state) => tell({ type: 'ack', node, command, sequence: ++sequence, states: [state] }),
    [Symbol.dispose]: () => ledger.close()
  }
}

const isOver = async ({ outcome }: Bench): Promise<boolean> => {
  await setImmediate()
  return Promise.race([outcome.then(() => true), setImmediate(false)])
}

test('one node that refuses does not decide for those that are there and not linked yet: they are handed it', async () => {
  using bench = await begin(['a', 'b'], ['a'])
  bench.refuse('a')
  expect(await isOver(bench)).toBe(false)
  expect(bench.handed).toEqual([['a']])
  bench.link('b')
  await setImmediate()
  expect(bench.handed).toEqual([['a'], ['a', 'b']])
  bench.say('b', { status: 'pinned', bytes: 1 })
  expect(await bench.outcome).toBe('reached')
  expect(bench.clock.pending()).toBe(0)
})

test('it is handed on as well when the refusal comes after the link', async () => {
  using bench = await begin(['a', 'b'], ['a'])
  bench.link('b')
  await setImmediate()
  expect(bench.handed).toHaveLength(1)
  bench.refuse('a')
  await setImmediate()
  expect(bench.handed).toEqual([['a'], ['a', 'b']])
  bench.refuse('b')
  expect(await bench.outcome).toBe('refused')
})

test('refused by all that are there ends it at once, by all that spoke after a second', async () => {
  using all = await begin(['a', 'b'], ['a', 'b'])
  all.refuse('a')
  all.refuse('b')
  expect(await all.outcome).toBe('refused')
  expect(all.handed).toHaveLength(1)

  using some = await begin(['a', 'b'], ['a'])
  some.refuse('a')
  some.clock.advance(999)
  expect(await isOver(some)).toBe(false)
  some.clock.advance(1)
  expect(await some.outcome).toBe('refused')
  expect(some.events.at(-1)).toMatchObject({ event: 'done', result: 'refused' })
})

test('what every node holds to be outranked ends at once, short', async () => {
  using bench = await begin(['a'], ['a'])
  bench.say('a', { status: 'superseded', by: 'c2' })
  expect(await bench.outcome).toBe('short')
})
