import type { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { encodeCancels } from '../../src/content/cancels.ts'
import { createGuards } from '../../src/content/guards.ts'
import { createSlots } from '../../src/content/slots.ts'
import { walk } from '../../src/content/walk.ts'
import { leaf } from '../support/dags.ts'

const { signal } = new AbortController()

test('a walk visits several at a time and never more than its width', async () => {
  const { cid } = await leaf('x')
  let [now, most, visits] = [0, 0, 0]
  await walk(cid, {
    width: 7,
    signal,
    async visit() {
      most = Math.max(most, ++now)
      visits += 1
      const links = visits <= 50 ? [cid, cid, cid] : []
      await new Promise((resolve) => setImmediate(resolve))
      now -= 1
      return links
    }
  })
  expect(most).toBe(7)
  expect(visits).toBe(151)
})

test('a walk ends with the first error, after all visits have ended', async () => {
  const { cid } = await leaf('x')
  const other = (await leaf('y')).cid
  let [begun, ended] = [0, 0]
  const visit = async (at: CID, within: AbortSignal): Promise<CID[]> => {
    if (at === cid) return [other, other, other]
    begun += 1
    if (begun === 3) throw new Error('third')
    await new Promise((resolve) => within.addEventListener('abort', resolve, { once: true }))
    ended += 1
    return []
  }
  await expect(walk(cid, { width: 3, signal, visit })).rejects.toThrow('third')
  expect(ended).toBe(2)
})

test('a chain deeper than the limit is refused', async () => {
  const { cid } = await leaf('x')
  await expect(walk(cid, { width: 1, signal, visit: async () => [cid] })).rejects.toMatchObject({ code: 'invalid' })
})

test('places are given in turn, and once each', async () => {
  const slots = createSlots(1)
  const first = await slots.acquire(signal)
  const order: string[] = []
  const controller = new AbortController()
  const gone = slots.acquire(controller.signal).catch((err: Error) => void order.push(err.message))
  const second = slots.acquire(signal).then((release) => {
    order.push('second')
    return release
  })
  controller.abort(new Error('gone'))
  await gone
  first()
  first()
  const release = await second
  expect(order).toEqual(['gone', 'second'])
  release()
  await slots.acquire(signal)
})

test('a held key cannot be taken, and who wants to hold a taken one waits', async () => {
  const guards = createGuards()
  const release = await guards.hold('key')
  const other = await guards.hold('key')
  expect(guards.tryTake('key')).toBeUndefined()
  release()
  expect(guards.tryTake('key')).toBeUndefined()
  other()
  const give = guards.tryTake('key')
  expect(give).toBeDefined()
  let held = false
  const holding = guards.hold('key').then(() => {
    held = true
  })
  await Promise.resolve()
  expect(held).toBe(false)
  give?.()
  await holding
})

test('a cancel is the message that bitswap 1.2 describes', async () => {
  const { cid } = await leaf('x')
  const bytes = encodeCancels([cid])
  // length ‖ wantlist(1) { entries(1) { block(1): CID, cancel(3): true } }
  const entry = Buffer.concat([Buffer.from([0x0a, 36]), cid.bytes, Buffer.from([0x18, 1])])
  expect(Buffer.from(bytes)).toEqual(Buffer.concat([Buffer.from([44, 0x0a, 42, 0x0a, 40]), entry]))
})
