import { readFile, rm, writeFile } from 'node:fs/promises'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { PinBackend, PinOptions, PinProgress } from '../../src/node/ports.ts'
import { cidKey } from '../../src/protocol/cid.ts'
import { leaf, node, record, tree, type TestBlock } from '../support/dags.ts'

/** A peer that serves blocks; no backend knows it until it is given its origin. */
export interface ProviderPeer {
  /** Its multiaddr with /p2p. */
  readonly origin: string
  provide(blocks: readonly TestBlock[]): Promise<void>
  /** Serves a block no more. */
  lose(cid: CID): Promise<void>
}

/** What the suite needs around a backend; made afresh for every test. */
export interface PinBackendHarness {
  /** The backend under test, started. After `restart` it is the new one. */
  readonly backend: PinBackend
  /** Makes a peer that serves blocks. */
  makePeer(): Promise<ProviderPeer>
  /** Stops the backend and starts another one on the same data. */
  restart(): Promise<void>
  /** Frees everything that no pin holds, however young. Left out where that is the daemon's affair and cannot be asked for. */
  free?(): Promise<void>
  /** Whether a block is on the backend's disk. */
  hasBlock?(cid: CID): Promise<boolean>
  /** The file of a block, to be broken as a disk would. */
  blockFile(cid: CID): string
  /** Pins as the operator would, past the backend. The blocks are there already. Left out where there is no operator. */
  foreignPin?(cid: CID): Promise<void>
  /** Whether the daemon holds a pin, whoever made it. */
  pinned?(cid: CID): Promise<boolean>
  stop(): Promise<void>
}

/** Blocks that nobody has: their pins end by their signal. */
const forever = (): AbortSignal => new AbortController().signal

/** The suite that every {@link PinBackend} passes. `make` starts a backend with empty data. */
export function describePinBackend(name: string, make: () => Promise<PinBackendHarness>): void {
  describe(`PinBackend: ${name}`, { timeout: 60_000 }, () => {
    let harness: PinBackendHarness
    let peer: ProviderPeer

    beforeEach(async () => {
      harness = await make()
      peer = await harness.makePeer()
    })
    afterEach(() => harness.stop())

    const pin = (cid: CID, options: Partial<PinOptions> = {}) =>
      harness.backend.pin(cid, { signal: forever(), origins: [peer.origin], ...options })
    const unpin = (cid: CID) => harness.backend.unpin(cid, { signal: forever() })
    const stat = (cid: CID) => harness.backend.stat(cid, { signal: forever() })
    async function list(): Promise<string[]> {
      const keys = []
      for await (const cid of harness.backend.list({ signal: forever() })) keys.push(cidKey(cid))
      return keys.sort()
    }
    async function expectHeld(blocks: readonly TestBlock[], held: boolean): Promise<void> {
      if (harness.hasBlock === undefined) return
      const there = await Promise.all(blocks.map(async ({ cid }) => harness.hasBlock?.(cid)))
      expect(there).toEqual(blocks.map(() => held))
    }

    test('a pin is listed, has a size, and may be repeated', async () => {
      const block = await leaf('one block')
      await peer.provide([block])
      expect(await list()).toEqual([])
      expect(await stat(block.cid)).toBeUndefined()
      const first = await pin(block.cid)
      expect(first.foreign).toBe(false)
      await pin(block.cid)
      expect(await list()).toEqual([cidKey(block.cid)])
      const held = await stat(block.cid)
      expect(held?.foreign).toBe(false)
      if (held?.bytes !== undefined) expect(held.bytes).toBe(block.bytes.byteLength)
      await expectHeld([block], true)
    })

    test('an unpin may be repeated, and of what was never pinned', async () => {
      const block = await leaf('short-lived')
      await peer.provide([block])
      await unpin(block.cid)
      await pin(block.cid)
      await unpin(block.cid)
      await unpin(block.cid)
      expect(await list()).toEqual([])
      expect(await stat(block.cid)).toBeUndefined()
      await harness.free?.()
      if (harness.free !== undefined) await expectHeld([block], false)
    })

    test('a DAG is fetched whole, with progress that only grows', async () => {
      const blocks = await tree('whole', 12)
      const root = blocks[0] as TestBlock
      await peer.provide(blocks)
      const seen: PinProgress[] = []
      await pin(root.cid, { onProgress: (progress) => void seen.push(progress) })
      await expectHeld(blocks, true)
      expect(seen.length).toBeGreaterThan(0)
      for (const [i, { blocks: count, bytes }] of seen.entries()) {
        expect(count).toBeGreaterThanOrEqual(seen[i - 1]?.blocks ?? 0)
        expect(bytes).toBeGreaterThanOrEqual(seen[i - 1]?.bytes ?? 0)
      }
      expect(await list()).toEqual([cidKey(root.cid)])
    })

    test('links of dag-cbor are followed', async () => {
      const leaves = [await leaf('a'), await leaf('b')]
      const inner = await node('inner', leaves)
      const root = await record('root', [inner])
      await peer.provide([root, inner, ...leaves])
      await pin(root.cid)
      await expectHeld([root, inner, ...leaves], true)
    })

    test('a block in two DAGs stays while one of them is pinned', async () => {
      const shared = await leaf('shared')
      const a = await node('a', [shared, await leaf('only a')])
      const b = await node('b', [shared])
      await peer.provide([shared, a, b, await leaf('only a')])
      await pin(a.cid)
      await pin(b.cid)
      await unpin(a.cid)
      await harness.free?.()
      await expectHeld([b, shared], true)
      await pin(a.cid)
      await unpin(b.cid)
      await harness.free?.()
      await expectHeld([a, shared, await leaf('only a')], true)
      expect(await list()).toEqual([cidKey(a.cid)])
      await unpin(a.cid)
      await harness.free?.()
      if (harness.free !== undefined) await expectHeld([a, b, shared], false)
    })

    test('a DAG below another that is pinned too outlives it', async () => {
      const inner = await node('inner', [await leaf('deep')])
      const outer = await node('outer', [inner])
      await peer.provide([await leaf('deep'), inner, outer])
      await pin(outer.cid)
      await pin(inner.cid)
      await unpin(outer.cid)
      await harness.free?.()
      expect(await list()).toEqual([cidKey(inner.cid)])
      await expectHeld([inner, await leaf('deep')], true)
    })

    test('an abort midway rejects with its reason, pins nothing and leaves nothing for ever', async () => {
      const blocks = await tree('half', 6)
      const missing = blocks.at(-1) as TestBlock
      const root = blocks[0] as TestBlock
      await peer.provide(blocks.slice(0, -1))
      const controller = new AbortController()
      const reason = new Error('enough')
      const pinning = pin(root.cid, {
        signal: controller.signal,
        onProgress: ({ blocks: count }) => {
          if (count >= 10) controller.abort(reason)
        }
      })
      await expect(pinning).rejects.toBe(reason)
      expect(await list()).toEqual([])
      expect(await stat(root.cid)).toBeUndefined()
      await harness.free?.()
      if (harness.free !== undefined) await expectHeld(blocks, false)
      await peer.provide([missing])
      await pin(root.cid)
      await expectHeld(blocks, true)
    })

    test('a pin that nobody can serve ends by its signal, at once', async () => {
      const nowhere = await leaf('nobody has this')
      const controller = new AbortController()
      const pinning = pin(nowhere.cid, { signal: controller.signal })
      const reason = new Error('no provider')
      setTimeout(() => controller.abort(reason), 300)
      const began = performance.now()
      await expect(pinning).rejects.toBe(reason)
      expect(performance.now() - began).toBeLessThan(3_000)
      expect(await list()).toEqual([])
    })

    test('a signal that has ended is not begun', async () => {
      const block = await leaf('never begun')
      await peer.provide([block])
      await expect(pin(block.cid, { signal: AbortSignal.abort(new Error('before')) })).rejects.toThrow('before')
      expect(await list()).toEqual([])
    })

    test('content that comes late is still fetched', async () => {
      const late = await leaf('late')
      const pinning = pin(late.cid)
      await new Promise((resolve) => setTimeout(resolve, 500))
      await peer.provide([late])
      await pinning
      await expectHeld([late], true)
    })

    test('origins are dialled, and those that do not answer are ignored', async () => {
      const other = await harness.makePeer()
      const block = await leaf('elsewhere')
      await other.provide([block])
      const dead = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp'
      await pin(block.cid, { origins: [dead, other.origin] })
      expect(await list()).toEqual([cidKey(block.cid)])
    })

    test('peers that are reached are asked for what is wanted already', async () => {
      const other = await harness.makePeer()
      const block = await leaf('reached')
      await other.provide([block])
      const pinning = harness.backend.pin(block.cid, { signal: forever(), origins: [] })
      harness.backend.reach([other.origin])
      await pinning
      expect(await list()).toEqual([cidKey(block.cid)])
    })

    test('pins outlive a restart', async () => {
      const blocks = await tree('kept', 4)
      await peer.provide(blocks)
      const root = blocks[0] as TestBlock
      await pin(root.cid)
      await harness.restart()
      expect(await list()).toEqual([cidKey(root.cid)])
      expect((await stat(root.cid))?.foreign).toBe(false)
      await harness.free?.()
      await expectHeld(blocks, true)
      await unpin(root.cid)
      expect(await list()).toEqual([])
    })

    test('a restart midway leaves no pin, and the next try completes it', async () => {
      const blocks = await tree('interrupted', 6)
      const root = blocks[0] as TestBlock
      await peer.provide(blocks.slice(0, -1))
      const { promise: underWay, resolve } = Promise.withResolvers<void>()
      const pinning = pin(root.cid, { onProgress: ({ blocks: count }) => void (count >= 10 && resolve()) })
      pinning.catch(() => undefined)
      await underWay
      await harness.restart()
      expect(await list()).toEqual([])
      await peer.provide(blocks)
      await pin(root.cid)
      await harness.free?.()
      await expectHeld(blocks, true)
    })

    test('a codec that cannot be read is an error and no pin', async () => {
      const { bytes, cid } = await leaf('what is it')
      const odd = CID.createV1(0x300539, cid.multihash)
      await peer.provide([{ cid: odd, bytes }])
      const error = await pin(odd, { signal: AbortSignal.timeout(20_000) }).catch((err: unknown) => err)
      expect(error).toMatchObject({ name: 'BackendError' })
      expect(await list()).toEqual([])
    })

    test('a CIDv0 is pinned as spelled and listed under its key; so is its CIDv1 twin', async () => {
      const child = await leaf('child')
      const root = await node('twin', [child])
      const v0 = CID.createV0(root.cid.multihash as Parameters<typeof CID.createV0>[0])
      await peer.provide([root, child])
      await pin(v0)
      expect(await list()).toEqual([cidKey(root.cid)])
      expect(await stat(v0)).toBeDefined()
      await pin(root.cid)
      expect(new Set(await list())).toEqual(new Set([cidKey(root.cid)]))
      expect(await stat(root.cid)).toBeDefined()
      await unpin(v0)
      await unpin(root.cid)
      expect(await list()).toEqual([])
    })

    test('equal pins at a time all resolve, and are one', async () => {
      const blocks = await tree('equal', 5)
      const root = blocks[0] as TestBlock
      await peer.provide(blocks)
      await Promise.all(Array.from({ length: 5 }, () => pin(root.cid)))
      expect(await list()).toEqual([cidKey(root.cid)])
      await unpin(root.cid)
      expect(await list()).toEqual([])
    })

    test('one of two equal pins may be aborted', async () => {
      const block = await leaf('of two')
      const controller = new AbortController()
      const aborted = pin(block.cid, { signal: controller.signal })
      const kept = pin(block.cid)
      controller.abort(new Error('not this one'))
      await expect(aborted).rejects.toThrow('not this one')
      await peer.provide([block])
      await kept
      expect(await list()).toEqual([cidKey(block.cid)])
    })

    test('500 small pins, as many at a time as it serves best', async () => {
      const blocks = await Promise.all(Array.from({ length: 500 }, (_, i) => leaf(`small ${i}`)))
      await peer.provide(blocks)
      const todo = [...blocks]
      const work = async (): Promise<void> => {
        for (let next = todo.pop(); next !== undefined; next = todo.pop()) await pin(next.cid)
      }
      await Promise.all(Array.from({ length: harness.backend.concurrency }, work))
      expect(await list()).toEqual(blocks.map(({ cid }) => cidKey(cid)).sort())
      await Promise.all(blocks.slice(0, 250).map(({ cid }) => unpin(cid)))
      await harness.free?.()
      expect((await list()).length).toBe(250)
      await expectHeld(blocks.slice(250), true)
    })

    describe('a check', () => {
      const check = (cid: CID, signal = forever()) => harness.backend.check(cid, { signal })
      /** Pins again, from a peer that has sent nothing yet: nobody sends the same twice within some seconds. */
      async function pinAgain(blocks: readonly TestBlock[]): Promise<void> {
        const other = await harness.makePeer()
        await other.provide(blocks)
        await pin((blocks[0] as TestBlock).cid, { origins: [other.origin] })
      }
      /** A file that is written in place keeps its name, as on a disk that forgets. */
      async function damage(cid: CID): Promise<void> {
        const file = harness.blockFile(cid)
        const bytes = await readFile(file)
        bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
        await writeFile(file, bytes)
      }

      test('finds what is pinned, and what is not', async () => {
        const blocks = await tree('looked at', 5)
        const root = blocks[0] as TestBlock
        await peer.provide(blocks)
        expect(await check(root.cid)).toBe('missing')
        await pin(root.cid)
        expect(await check(root.cid)).toBe('held')
        await unpin(root.cid)
        expect(await check(root.cid)).toBe('missing')
      })

      test.for(['the root', 'a node', 'a leaf'])('sees that %s is gone; the pin stays, and pinning again fetches it', async (which) => {
        const blocks = await tree(`without ${which}`, 5)
        const [root, inner, low] = blocks as [TestBlock, TestBlock, TestBlock]
        const gone = { 'the root': root, 'a node': inner, 'a leaf': low }[which] as TestBlock
        await peer.provide(blocks)
        await pin(root.cid)
        await rm(harness.blockFile(gone.cid))
        expect(await check(root.cid)).toBe('missing')
        expect(await list()).toEqual([cidKey(root.cid)])
        await pinAgain(blocks)
        expect(await check(root.cid)).toBe('held')
        expect(await readFile(harness.blockFile(gone.cid))).toEqual(Buffer.from(gone.bytes))
      })

      test.for(['a node', 'a leaf'])('sees that %s is damaged; a pin that resolves has mended it', async (which) => {
        const blocks = await tree(`damaged ${which}`, 5)
        const [root, inner, low] = blocks as [TestBlock, TestBlock, TestBlock]
        await peer.provide(blocks)
        await pin(root.cid)
        await damage((which === 'a leaf' ? low : inner).cid)
        expect(await check(root.cid)).toBe('damaged')
        const mended = await pinAgain(blocks).then(
          () => true,
          (err: unknown) => {
            expect(err).toMatchObject({ name: 'BackendError', code: 'failed', message: expect.stringContaining('are damaged') as string })
            return false
          }
        )
        expect(await check(root.cid)).toBe(mended ? 'held' : 'damaged')
        expect(await list()).toEqual([cidKey(root.cid)])
      })

      test('what cannot be fetched again costs nothing else', async () => {
        const blocks = await tree('nobody has the last', 4)
        const [root, last] = [blocks[0] as TestBlock, blocks.at(-1) as TestBlock]
        await peer.provide(blocks)
        await pin(root.cid)
        await rm(harness.blockFile(last.cid))
        await peer.lose(last.cid)
        const controller = new AbortController()
        const pinning = pin(root.cid, { signal: controller.signal })
        setTimeout(() => controller.abort(new Error('nobody')), 500)
        await expect(pinning).rejects.toThrow('nobody')
        expect(await list()).toEqual([cidKey(root.cid)])
        await harness.free?.()
        await expectHeld(blocks.slice(0, -1), true)
      })

      test('ends by its signal', async () => {
        const block = await leaf('not looked at')
        await peer.provide([block])
        await pin(block.cid)
        await expect(check(block.cid, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
      })
    })

    test('health and peer answer', async () => {
      expect(await harness.backend.health()).toMatchObject({ ok: true })
      const self = await harness.backend.peer()
      if (self !== undefined) {
        expect(self.peer.length).toBeGreaterThan(0)
        for (const address of self.addresses) expect(address).not.toContain('/p2p/')
      }
    })

    test('what the operator pinned is not ours: not listed, not unpinned', async ({ skip }) => {
      if (harness.foreignPin === undefined) return skip('no operator')
      const block = await leaf('the operator has this')
      await peer.provide([block])
      await pin(block.cid)
      await unpin(block.cid)
      await harness.foreignPin(block.cid)
      expect(await list()).toEqual([])
      expect(await stat(block.cid)).toMatchObject({ foreign: true })
      expect(await pin(block.cid)).toMatchObject({ foreign: true })
      expect(await list()).toEqual([])
      await unpin(block.cid)
      expect(await harness.pinned?.(block.cid)).toBe(true)
    })

    test('an unknown hash is an error and no pin', async () => {
      const { digest } = await sha256.digest(new Uint8Array(1))
      const odd = CID.createV1(raw.code, {
        code: 0xb201,
        digest: digest.slice(),
        size: 32,
        bytes: Uint8Array.from([0x81, 0xe4, 0x02, 32, ...digest])
      })
      await expect(pin(odd, { signal: AbortSignal.timeout(5_000) })).rejects.toBeDefined()
      expect(await list()).toEqual([])
    })
  })
}
