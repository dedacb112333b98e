import { expect, test } from 'vitest'
import { gatherRows } from '../../src/node/checked-rows.ts'
import { createManualClock } from '../support/clock.ts'

/** Lets what waits for nothing but promises run. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('rows come in the order of the items, a page when it is full', async () => {
  const clock = createManualClock()
  const rowsOf = async (item: number): Promise<string[]> => Array.from({ length: item }, (_, i) => `${item}.${i}`)
  const pages = await Array.fromAsync(gatherRows([2, 0, 1, 3, 1], { width: 2, most: 3, everyMs: 1_000, clock, rowsOf }))
  expect(pages).toEqual([['2.0', '2.1', '1.0', '3.0', '3.1', '3.2'], ['1.0']])
  expect(await Array.fromAsync(gatherRows([], { width: 2, most: 3, everyMs: 1_000, clock, rowsOf }))).toEqual([])
  expect(clock.pending()).toBe(0)
})

test('what takes long is announced by empty pages, and what is known is not kept back', async () => {
  const clock = createManualClock()
  const gates = new Map([1, 2].map((item) => [item, Promise.withResolvers<readonly number[]>()]))
  const rowsOf = (item: number): Promise<readonly number[]> => gates.get(item)?.promise ?? Promise.reject(new Error('unknown'))
  const pages = gatherRows([1, 2], { width: 1, most: 100, everyMs: 1_000, clock, rowsOf })
  const next = async (): Promise<unknown> => {
    const page = pages.next()
    await turn()
    clock.advance(1_000)
    return (await page).value
  }
  expect(await next()).toEqual([])
  expect(await next()).toEqual([])
  gates.get(1)?.resolve([1])
  expect(await next()).toEqual([1])
  gates.get(2)?.resolve([2])
  expect(await next()).toEqual([2])
  expect(await pages.next()).toEqual({ done: true, value: undefined })
  expect(clock.pending()).toBe(0)
})

test('leaving early ends the work, and a failure ends the answer', async () => {
  const clock = createManualClock()
  const signals: AbortSignal[] = []
  const rowsOf = (_: number, signal: AbortSignal): Promise<readonly number[]> => {
    signals.push(signal)
    return new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)))
  }
  const pages = gatherRows([1, 2, 3], { width: 2, most: 1, everyMs: 1_000, clock, rowsOf })
  const first = pages.next()
  await turn()
  clock.advance(1_000)
  expect((await first).value).toEqual([])
  await pages.return(undefined)
  expect(signals.map(({ aborted }) => aborted)).toEqual([true, true])

  const failing = gatherRows([1], { width: 1, most: 1, everyMs: 1_000, clock, rowsOf: () => Promise.reject(new Error('closed')) })
  await expect(failing.next()).rejects.toThrow('closed')
  expect(clock.pending()).toBe(0)
})
