import { generateKeyPair } from '@libp2p/crypto/keys'
import type { MessageStream } from '@libp2p/interface'
import { multiaddr } from '@multiformats/multiaddr'
import { expect, onTestFinished, test } from 'vitest'
import { createHost, type Host } from '../../src/network/host.ts'
import { gatherWindowUpdates } from '../../src/network/window-updates.ts'
import { createHeaderReader, headerIn, RST, WINDOW_UPDATE, windowUpdate, type YamuxHeader } from '../../src/network/yamux-frames.ts'
import { MAX_HELD_UPDATES, MIN_WINDOW_UPDATE_BYTES } from '../../src/protocol/limits.ts'
import { LOOPBACK, until } from './helpers.ts'

const MIB = 1024 * 1024

/** A connection that notes what is sent. */
function connection(): { send(frame: Uint8Array): boolean; readonly sent: YamuxHeader[] } {
  const sent: YamuxHeader[] = []
  const noted = { send: (frame: Uint8Array): boolean => sent.push(headerIn(frame)) > 0, sent }
  gatherWindowUpdates(noted as unknown as MessageStream)
  return noted
}

test('a stream has its window renewed once half of it was used, by all that is owed', () => {
  const { send, sent } = connection()
  for (let i = 0; i < 3; i++) send(windowUpdate(1, MIN_WINDOW_UPDATE_BYTES / 2 - 1))
  expect(sent).toEqual([{ type: WINDOW_UPDATE, flags: 0, stream: 1, length: 3 * (MIN_WINDOW_UPDATE_BYTES / 2 - 1) }])
  send(windowUpdate(1, 1))
  send(windowUpdate(3, MIN_WINDOW_UPDATE_BYTES))
  expect(sent.slice(1)).toEqual([{ type: WINDOW_UPDATE, flags: 0, stream: 3, length: MIN_WINDOW_UPDATE_BYTES }])
})

test('what says more than that is sent at once, and a reset cancels what is owed', () => {
  const { send, sent } = connection()
  send(windowUpdate(1, 5))
  const reset = windowUpdate(1, 0)
  reset[3] = RST
  send(reset)
  expect(sent).toEqual([{ type: WINDOW_UPDATE, flags: RST, stream: 1, length: 0 }])
  send(windowUpdate(1, MIN_WINDOW_UPDATE_BYTES - 1))
  expect(sent.length).toBe(1)
})

test('of very many streams the first is told', () => {
  const { send, sent } = connection()
  for (let i = 0; i <= MAX_HELD_UPDATES; i++) send(windowUpdate(i, 7))
  expect(sent).toEqual([{ type: WINDOW_UPDATE, flags: 0, stream: 0, length: 7 }])
})

test('between hosts, small messages cost few frames back, and large ones flow', async () => {
  const startHost = async (listen: string[]): Promise<Host> => {
    const host = await createHost({ privateKey: await generateKeyPair('Ed25519'), listen })
    await host.start()
    onTestFinished(() => host.stop())
    return host
  }
  const [node, peer] = [await startHost([LOOPBACK]), await startHost([])]
  let got = 0
  const read = (stream: { addEventListener(type: 'message', listener: (event: { data: { byteLength: number } }) => void): void }): void =>
    stream.addEventListener('message', ({ data }) => void (got += data.byteLength))
  await node.libp2p.handle('/x', read)
  const link = await peer.libp2p.dial(multiaddr(node.addresses()[0] as string))
  const stream = await link.newStream('/x')
  const reader = createHeaderReader()
  let updates = 0
  const count = ({ type, flags }: YamuxHeader): void => void (updates += type === WINDOW_UPDATE && flags === 0 ? 1 : 0)
  const { muxer } = link as unknown as { muxer: { maConn: MessageStream } }
  muxer.maConn.addEventListener('message', ({ data }) => reader.take(data.subarray(), count))
  for (let i = 1; i <= 30; i++) {
    stream.send(new Uint8Array(100))
    await until('it is read', () => got === 100 * i)
  }
  // The window doubles to its largest in four steps, each of which is told.
  expect(updates).toBeLessThanOrEqual(4)
  got = 0
  for (let i = 0; i < 64; i++) if (!stream.send(new Uint8Array(MIB / 8))) await stream.onDrain()
  await until('all is read', () => got === 8 * MIB)
  expect(updates).toBeGreaterThan(0)
  expect(updates).toBeLessThanOrEqual(4 + (8 * MIB) / MIN_WINDOW_UPDATE_BYTES)
})
