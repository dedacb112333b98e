import { rm } from 'node:fs/promises'
import * as dagPb from '@ipld/dag-pb'
import { create } from 'kubo-rpc-client'
import type { KuboRPCClient } from 'kubo-rpc-client'
import { CID } from 'multiformats/cid'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { createKuboBackend } from '../../src/node/backend/kubo.ts'
import type { KuboOptions } from '../../src/node/backend/kubo.ts'
import type { PinBackend, PinProgress } from '../../src/node/ports.ts'
import { KUBOS } from '../support/kubo-under-test.ts'
import type { KuboUnderTest } from '../support/kubo-under-test.ts'

const NAME = 'pinsub:test'
const NOWHERE = CID.parse('bafkreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi')

/** The operator works with the public client of Kubo's RPC, and so checks our server from the other side too. */
function operatorOf(kubo: KuboUnderTest): KuboRPCClient {
  return create({ url: kubo.apiUrl })
}

let made = 0
async function content(operator: KuboRPCClient): Promise<CID> {
  return operator.block.put(new TextEncoder().encode(`content ${++made} ${process.pid}`), { format: 'raw', pin: false })
}

async function nameOf(operator: KuboRPCClient, cid: CID): Promise<string | undefined> {
  for await (const pin of operator.pin.ls({ type: 'recursive', names: true })) if (pin.cid.equals(cid)) return pin.name ?? ''
  return undefined
}

async function activePins(kubo: KuboUnderTest): Promise<number> {
  const response = await fetch(`${kubo.apiUrl}/api/v0/diag/cmds`, { method: 'POST' })
  const commands = (await response.json()) as { Active: boolean; Command: string }[]
  return commands.filter(({ Active, Command }) => Active && Command === 'pin/add').length
}

describe.for(KUBOS)('the Kubo backend on $kubo', ({ start, skipped }) => {
  if (skipped) {
    test.skip('needs an ipfs')
    return
  }
  const { signal } = new AbortController()
  const plain = { signal, origins: [] }
  const backends: PinBackend[] = []
  let kubo: KuboUnderTest
  let operator: KuboRPCClient
  let backend: PinBackend

  function connect(options: Partial<KuboOptions> = {}): PinBackend {
    const one = createKuboBackend({ apiUrl: kubo.apiUrl, name: NAME, ...options }, { clock: systemClock })
    backends.push(one)
    return one
  }

  beforeAll(async () => {
    kubo = await start()
    operator = operatorOf(kubo)
  }, 60_000)
  afterAll(() => kubo?.stop())
  beforeEach(async () => {
    backend = connect()
    await backend.start()
  })
  afterEach(async () => {
    for (const one of backends.splice(0)) await one.stop()
  })

  describe("the operator's pins", () => {
    test('stay without a name, and stay', async () => {
      const cid = await content(operator)
      await operator.pin.add(cid)
      expect(await backend.pin(cid, plain)).toEqual({ foreign: true })
      expect(await backend.stat(cid, plain)).toEqual({ foreign: true })
      expect(await nameOf(operator, cid)).toBe('')
      await backend.unpin(cid, plain)
      expect(await nameOf(operator, cid)).toBe('')
      expect(await Array.fromAsync(backend.list(plain))).not.toContainEqual(cid)
    })

    test('keep a name of their own, even one that holds ours', async () => {
      const cid = await content(operator)
      await operator.pin.add(cid, { name: `${NAME}-2` })
      expect(await backend.pin(cid, plain)).toEqual({ foreign: true })
      await backend.unpin(cid, plain)
      expect(await nameOf(operator, cid)).toBe(`${NAME}-2`)
      expect((await Array.fromAsync(backend.list(plain))).map(String)).not.toContain(cid.toString())
    })

    test('are theirs from the moment in which they pin again what we pinned', async () => {
      const cid = await content(operator)
      expect(await backend.pin(cid, plain)).toMatchObject({ foreign: false })
      expect(await nameOf(operator, cid)).toBe(NAME)
      expect((await Array.fromAsync(backend.list(plain))).map(String)).toContain(cid.toString())
      await operator.pin.add(cid)
      expect(await backend.stat(cid, plain)).toEqual({ foreign: true })
      expect((await Array.fromAsync(backend.list(plain))).map(String)).not.toContain(cid.toString())
      await backend.unpin(cid, plain)
      expect(await nameOf(operator, cid)).toBe('')
    })

    test('of one raw block hold all of it when direct', async () => {
      const cid = await content(operator)
      await operator.pin.add(cid, { recursive: false })
      expect(await backend.pin(cid, plain)).toEqual({ foreign: true })
      expect(await backend.stat(cid, plain)).toEqual({ foreign: true })
    })

    test('of a node with links are not replaced when direct, with a word on what to do', async () => {
      const cid = await operator.block.put(dagPb.encode({ Data: Buffer.from('direct'), Links: [] }), { format: 'dag-pb', pin: false })
      await operator.pin.add(cid, { recursive: false })
      await expect(backend.pin(cid, plain)).rejects.toMatchObject({
        code: 'failed',
        message: expect.stringContaining('ipfs pin add') as string
      })
      expect(await backend.stat(cid, plain)).toBeUndefined()
      await operator.pin.rm(cid)
      expect(await backend.pin(cid, plain)).toMatchObject({ foreign: false })
    })
  })

  test('the two spellings of a CID are two pins', async () => {
    const v1 = await operator.block.put(dagPb.encode({ Data: Buffer.from('twins'), Links: [] }), { format: 'dag-pb', pin: false })
    const v0 = v1.toV0()
    await operator.pin.add(v0)
    expect(await backend.pin(v1, plain)).toMatchObject({ foreign: false })
    await backend.unpin(v1, plain)
    expect(await backend.stat(v0, plain)).toEqual({ foreign: true })
    await operator.pin.rm(v0)
  })

  test("a block that is gone from the operator's pin is fetched once a check has seen it, and the pin stays theirs", async () => {
    await using other = await start()
    const low = Buffer.from(`low ${++made}`)
    const [leaf] = await Promise.all([operator, operatorOf(other)].map((at) => at.block.put(low, { format: 'raw', pin: false })))
    const links = [{ Hash: leaf as CID, Name: '', Tsize: low.length }]
    const root = await operator.block.put(dagPb.encode({ Data: Buffer.from('root'), Links: links }), { format: 'dag-pb', pin: false })
    await operator.pin.add(root)
    await rm(kubo.blockFile(leaf as CID))
    expect(await backend.check(root, plain)).toBe('missing')
    expect(await backend.pin(root, { signal, origins: other.addresses })).toEqual({ foreign: true })
    expect(await backend.check(root, plain)).toBe('held')
    expect(await nameOf(operator, root)).toBe('')
  }, 30_000)

  describe('a daemon that goes away', () => {
    test('fails a pin with "unavailable", and is used again when it is back', async () => {
      const cid = await content(operator)
      const pin = expect(backend.pin(NOWHERE, plain)).rejects.toMatchObject({ name: 'BackendError', code: 'unavailable' })
      await expect.poll(() => activePins(kubo)).toBe(1)
      await kubo.kill()
      await pin
      const refused = { code: 'unavailable', message: expect.stringContaining(kubo.apiUrl) as string }
      await expect(backend.pin(cid, plain)).rejects.toMatchObject(refused)
      await expect(backend.unpin(cid, plain)).rejects.toMatchObject(refused)
      await expect(backend.stat(cid, plain)).rejects.toMatchObject(refused)
      await expect(Array.fromAsync(backend.list(plain))).rejects.toMatchObject(refused)
      expect(await backend.health()).toEqual({ ok: false, reason: expect.stringContaining('ipfs daemon') as string })
      expect(await backend.peer()).toBeUndefined()
      await kubo.restart()
      expect(await backend.health()).toMatchObject({ ok: true })
      expect(await backend.pin(cid, plain)).toMatchObject({ foreign: false })
      expect(await backend.stat(NOWHERE, plain)).toBeUndefined()
    }, 60_000)

    test('need not be there at the start', async () => {
      await kubo.kill()
      const early = connect()
      await early.start()
      await expect(early.pin(NOWHERE, plain)).rejects.toMatchObject({ code: 'unavailable' })
      await kubo.restart()
      expect(await early.stat(NOWHERE, plain)).toBeUndefined()
    }, 60_000)
  })

  describe('a daemon that hangs', () => {
    test('is noticed by its silence, in pins as in health, and works again', async () => {
      const cid = await content(operator)
      const hasty = connect({ silenceMs: 1_500, answerMs: 700 })
      const pin = expect(hasty.pin(NOWHERE, plain)).rejects.toMatchObject({
        code: 'unavailable',
        message: expect.stringContaining('hang') as string
      })
      await expect.poll(() => activePins(kubo)).toBe(1)
      kubo.freeze()
      try {
        const started = performance.now()
        expect(await hasty.health()).toEqual({ ok: false, reason: expect.stringContaining('hang') as string })
        expect(performance.now() - started).toBeLessThan(2_000)
        await expect(hasty.stat(cid, plain)).rejects.toMatchObject({ code: 'unavailable' })
        await pin
      } finally {
        kubo.thaw()
      }
      expect(await backend.pin(cid, plain)).toMatchObject({ foreign: false })
    }, 30_000)
  })

  test('an abort cancels in the daemon, leaves no pin, and rejects with its reason', async () => {
    const reason = new Error('enough')
    const abort = new AbortController()
    const pin = expect(backend.pin(NOWHERE, { signal: abort.signal, origins: [] })).rejects.toBe(reason)
    await expect.poll(() => activePins(kubo)).toBe(1)
    abort.abort(reason)
    await pin
    await expect.poll(() => activePins(kubo)).toBe(0)
    expect(await backend.stat(NOWHERE, plain)).toBeUndefined()
    await expect(backend.pin(NOWHERE, { signal: abort.signal, origins: [] })).rejects.toBe(reason)
  })

  test('an abort at any moment leaves nothing pinned', async () => {
    const aborted: CID[] = []
    async function tryFor(ms: number): Promise<void> {
      const cid = await content(operator)
      const abort = new AbortController()
      const timer = setTimeout(() => abort.abort(new Error('enough')), ms)
      await backend.pin(cid, { signal: abort.signal, origins: [] }).catch(() => aborted.push(cid))
      clearTimeout(timer)
    }
    for (let ms = 0; ms < 25; ms += 5) await Promise.all(Array.from({ length: 16 }, (_, step) => tryFor(ms + step / 3)))
    expect(aborted.length).toBeGreaterThan(0)
    for (const cid of aborted) expect(await backend.stat(cid, plain)).toBeUndefined()
  }, 30_000)

  test('stop ends what is under way', async () => {
    const pin = expect(backend.pin(NOWHERE, plain)).rejects.toMatchObject({ code: 'unavailable' })
    await expect.poll(() => activePins(kubo)).toBe(1)
    await backend.stop()
    await pin
    await expect.poll(() => activePins(kubo)).toBe(0)
  })

  test('thirty-two pins at once', async () => {
    const cids = await Promise.all(Array.from({ length: 32 }, () => content(operator)))
    expect(backend.concurrency).toBe(32)
    const pinned = await Promise.all(cids.map((cid) => backend.pin(cid, plain)))
    for (const stat of pinned) expect(stat).toEqual({ foreign: false, bytes: expect.any(Number) as number })
    const listed = new Set((await Array.fromAsync(backend.list(plain))).map(String))
    for (const cid of cids) expect(listed).toContain(cid.toString())
    await Promise.all(cids.map((cid) => backend.unpin(cid, plain)))
    for (const cid of cids) expect(await backend.stat(cid, plain)).toBeUndefined()
  })

  test('keeps its connections', async () => {
    if (!('connections' in kubo)) return
    const before = kubo.connections as number
    for (let round = 0; round < 10; round++) await backend.pin(await content(operator), plain)
    // Two look-ups at a time are two connections; what remains is the operator's.
    expect((kubo.connections as number) - before).toBeLessThanOrEqual(4)
  })

  test('content comes from an origin that was not connected', async () => {
    await using other = await start()
    const bytes = new Uint8Array(700_000).map((_, at) => (at * at) % 251)
    const blocks = await Promise.all(
      [0, 1, 2].map((part) => operatorOf(other).block.put(bytes.slice(part * 200_000), { format: 'raw', pin: false }))
    )
    const nobody = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWN1DuSYvgQmvL3XSKNzFx6KQu9iNZk2ZU5Q8zzTXdKwpk'
    for (const [index, cid] of blocks.entries()) {
      const progress: PinProgress[] = []
      const stat = await backend.pin(cid, {
        signal,
        origins: [nobody, 'nonsense', ...other.addresses],
        onProgress: (now) => progress.push(now)
      })
      const size = bytes.length - index * 200_000
      expect(stat).toEqual({ foreign: false, bytes: size })
      expect(progress.at(-1)).toEqual({ blocks: 1, bytes: size })
    }
  }, 30_000)

  test('health and peer say what the daemon says', async () => {
    expect(await backend.health()).toEqual({
      ok: true,
      version: expect.stringMatching(/^0\./) as string,
      usedBytes: expect.any(Number) as number,
      freeBytes: expect.any(Number) as number
    })
    expect(await backend.peer()).toEqual({ peer: kubo.peer, addresses: kubo.addresses.map((address) => address.split('/p2p/')[0]) })
  })

  test('authorization: given, missing, wrong, and one for pins alone', async () => {
    await using locked = await start({ 'Bearer tok': ['/api/v0/pin'], [`Basic ${btoa('u:p')}`]: ['/api/v0'] })
    const as = (authorization?: string): PinBackend =>
      connect({ apiUrl: locked.apiUrl, ...(authorization !== undefined && { authorization }) })
    const refused = {
      code: 'failed',
      message: expect.stringContaining('set the authorization that its API.Authorizations asks for') as string
    }
    await expect(as().pin(NOWHERE, plain)).rejects.toMatchObject(refused)
    expect(await as().health()).toMatchObject({ ok: false, reason: refused.message })
    const wrong = as('Bearer sesame')
    await expect(wrong.stat(NOWHERE, plain)).rejects.toMatchObject(refused)
    expect(JSON.stringify(await wrong.health())).not.toContain('sesame')
    const full = as('u:p')
    expect(await full.stat(NOWHERE, plain)).toBeUndefined()
    expect(await full.peer()).toMatchObject({ peer: locked.peer })
    const pinsOnly = as('Bearer tok')
    expect(await pinsOnly.health()).toEqual({ ok: true, version: expect.any(String) as string })
    expect(await pinsOnly.stat(NOWHERE, plain)).toBeUndefined()
    expect(await pinsOnly.peer()).toBeUndefined()

    const client = create({ url: locked.apiUrl, headers: { authorization: `Basic ${btoa('u:p')}` } })
    const cid = await content(client)
    await pinsOnly.pin(cid, plain)
    // It may not look, so the word of the daemon counts for a pin, and a check says that it cannot.
    expect(await pinsOnly.pin(cid, plain)).toEqual({ foreign: false })
    await expect(pinsOnly.check(cid, plain)).rejects.toMatchObject(refused)
    expect(await full.check(cid, plain)).toBe('held')
  })
})
