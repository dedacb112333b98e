/** One swarm key or none on both sides: else both learn it at once, and not from a time-out. */
import { createConnection, createServer, type AddressInfo, type Server } from 'node:net'
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { generateKeyPair } from '@libp2p/crypto/keys'
import { preSharedKey } from '@libp2p/pnet'
import { noise } from '@libp2p/noise'
import { yamux } from '@libp2p/yamux'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createHost, type Host } from '../../src/network/host.ts'
import { reach } from '../../src/network/reach.ts'
import { findIpfs, NO_IPFS, startKuboDaemon } from '../support/kubo-daemon.ts'
import { formatSwarmKey } from '../../src/protocol/swarm-key.ts'
import { LOOPBACK, within } from './helpers.ts'

const KEY = randomBytes(32)

async function startHost(swarmKey?: Uint8Array, listen = [LOOPBACK]): Promise<Host> {
  const host = await createHost({ privateKey: await generateKeyPair('Ed25519'), listen, ...(swarmKey === undefined ? {} : { swarmKey }) })
  onTestFinished(() => host.stop())
  await host.start()
  return host
}

const addressOf = (host: Host): string => host.addresses()[0] as string

/** A dial with a time so long that nobody waits for its end: what comes before is no time-out. */
const dial = (from: Host, address: string) => reach(from, [address], { signal: within(20_000), ms: 15_000 })

describe('between hosts', () => {
  test.each([undefined, KEY])('with the same key, or none, they speak', async (key) => {
    const [a, b] = [await startHost(key), await startHost(key, [])]
    const { remotePeer } = await dial(b, addressOf(a))
    expect(remotePeer.toString()).toBe(a.id)
    expect(await b.libp2p.services.ping.ping(remotePeer)).toBeGreaterThanOrEqual(0)
  })

  test.each([
    ['another key', KEY, randomBytes(32), /answers, but not with the swarm key given here: it has another one or none/],
    ['none', KEY, undefined, /answers, but not with the swarm key given here: it has another one or none/],
    [
      'a key, and the dialler has none',
      undefined,
      KEY,
      /answers as a node of a private network does: name the swarm key .* --swarm-key FILE/
    ]
  ])('they have %s: the dialler is told, and nobody is connected', async (_, ours, theirs, message) => {
    const [a, b] = [await startHost(theirs), await startHost(ours, [])]
    const failure = await dial(b, addressOf(a)).catch((err: unknown) => err)
    expect(failure).toMatchObject({ name: 'NetworkError', code: 'swarm-key', message: expect.stringMatching(message) })
    expect([...a.libp2p.getConnections(), ...b.libp2p.getConnections()]).toEqual([])
  })

  test('a megabyte passes either way', async () => {
    const [a, b] = [await startHost(KEY), await startHost(KEY, [])]
    await a.libp2p.handle('/echo', async (stream) => {
      for await (const data of stream) if (!stream.send(data)) await stream.onDrain()
      await stream.close()
    })
    const stream = await (await dial(b, addressOf(a))).newStream('/echo')
    const sent = randomBytes(1024 * 1024)
    const got: Buffer[] = []
    const reading = (async () => {
      for await (const data of stream) got.push(Buffer.from(data.subarray()))
    })()
    for (let at = 0; at < sent.length; at += 65_536) if (!stream.send(sent.subarray(at, at + 65_536))) await stream.onDrain()
    await stream.close()
    await reading
    expect(Buffer.concat(got).equals(sent)).toBe(true)
  })
})

describe('with a libp2p that does not look at first bytes', () => {
  async function plain(key?: Uint8Array) {
    const node = await createLibp2p({
      addresses: { listen: [LOOPBACK] },
      transports: [tcp()],
      connectionEncrypters: [noise()],
      streamMuxers: [yamux()],
      ...(key === undefined ? {} : { connectionProtector: preSharedKey({ psk: new TextEncoder().encode(formatSwarmKey(key)) }) })
    })
    onTestFinished(async () => {
      await node.stop()
    })
    return String(node.getMultiaddrs()[0])
  }

  test.each([undefined, KEY])('the same key, or none, works', async (key) => {
    expect((await dial(await startHost(key, []), await plain(key))).status).toBe('open')
  })

  test.each([
    ['another', KEY, randomBytes(32)],
    ['none', KEY, undefined],
    ['one, and we have none', undefined, KEY]
  ])('%s is told long before the dial ends', async (_, ours, theirs) => {
    await expect(dial(await startHost(ours, []), await plain(theirs))).rejects.toMatchObject({ code: 'swarm-key' })
  })
})

const ipfs = findIpfs()
if (ipfs === undefined) console.warn(`${NO_IPFS}: swarm keys are tested between js-libp2p hosts only`)

test.skipIf(ipfs === undefined)(
  'a real Kubo with the same file is reached and reaches us; with another it is told',
  { timeout: 60_000 },
  async () => {
    await using kubo = await startKuboDaemon(ipfs as string, { AutoConf: { Enabled: false } })
    await kubo.terminate()
    await writeFile(join(kubo.repo, 'swarm.key'), formatSwarmKey(KEY), { mode: 0o600 })
    await kubo.restart()
    const [address] = kubo.addresses as [string]
    const host = await startHost(KEY)
    const connect = (to: Host) => fetch(`${kubo.apiUrl}/api/v0/swarm/connect?arg=${addressOf(to)}`, { method: 'POST' })
    expect((await connect(host)).status).toBe(200)
    expect((await dial(await startHost(KEY, []), address)).remotePeer.toString()).toBe(kubo.peer)
    await expect(dial(await startHost(randomBytes(32), []), address)).rejects.toMatchObject({ code: 'swarm-key' })
    await expect(dial(await startHost(undefined, []), address)).rejects.toMatchObject({ code: 'swarm-key' })
    for (const key of [undefined, randomBytes(32)]) expect((await connect(await startHost(key))).status).toBe(500)
  }
)

describe('with something else', () => {
  async function listening(greet: string): Promise<string> {
    const server: Server = createServer((socket) => {
      socket.on('error', () => {})
      if (greet === '') socket.end()
      else socket.write(greet)
      socket.on('data', () => socket.end())
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    onTestFinished(() => void server.close())
    return `/ip4/127.0.0.1/tcp/${(server.address() as AddressInfo).port}`
  }

  test.each(['SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n', ''])('that says %j: without a key it is no pinsub node', async (greet) => {
    await expect(dial(await startHost(undefined, []), await listening(greet))).rejects.toMatchObject({ code: 'protocol' })
  })

  test('a stranger who connects to a private network gets a random number and nothing else', async () => {
    const host = await startHost(KEY)
    const port = Number(/tcp\/(\d+)/.exec(addressOf(host))?.[1])
    const socket = createConnection(port, '127.0.0.1')
    onTestFinished(() => void socket.destroy())
    const got: Buffer[] = []
    const closed = new Promise<void>((resolve) => socket.on('close', () => resolve()))
    socket.on('data', (data: Buffer) => got.push(data))
    socket.on('error', () => {})
    socket.write('\x13/multistream/1.0.0\n\x07/noise\n')
    await closed
    expect(Buffer.concat(got).length).toBeLessThanOrEqual(24)
  })
})
