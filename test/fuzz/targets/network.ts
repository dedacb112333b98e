/** Frames of streams, and answers of a Kubo RPC that is none. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Stream } from '@libp2p/interface'
import { systemClock } from '../../../src/network/clock.ts'
import { NetworkError } from '../../../src/network/errors.ts'
import { createFrameStream } from '../../../src/network/frames.ts'
import { createHeaderReader, DATA, HEADER, PING, RST, SYN, WINDOW_UPDATE, type YamuxHeader } from '../../../src/network/yamux-frames.ts'
import { createKuboBackend } from '../../../src/node/backend/kubo.ts'
import { BackendError, type PinBackend } from '../../../src/node/ports.ts'
import { InvalidMessageError } from '../../../src/protocol/errors.ts'
import { rawCid } from '../../vectors/source/make.ts'
import { requireSame, textOf, utf8, type Target } from '../target.ts'

const MAX_FRAME = 1_024

/** A stream that hands over these bytes in pieces and then ends; nothing more of one is needed to read it. */
function streamOf(bytes: Uint8Array, size: number): Stream {
  const events = new EventTarget()
  let at = 0
  const feed = (): void => {
    const data = bytes.subarray(at, (at += size))
    if (data.byteLength > 0) events.dispatchEvent(Object.assign(new Event('message'), { data }))
    if (at < bytes.byteLength) return queueMicrotask(feed)
    state.remoteWriteStatus = 'closed'
    events.dispatchEvent(new Event('remoteCloseWrite'))
  }
  const state = {
    status: 'open',
    readStatus: 'readable',
    remoteWriteStatus: 'writable',
    readBufferLength: 0,
    addEventListener: events.addEventListener.bind(events),
    pause: () => undefined,
    resume: () => undefined
  }
  queueMicrotask(feed)
  return state as unknown as Stream
}

/** Each frame as it is written, up to the end mark, the first that is too long, or the end. */
async function readFrames(bytes: Uint8Array): Promise<string> {
  const stream = createFrameStream(
    streamOf(bytes, 1 + (bytes.byteLength % 37)),
    { maxFrame: MAX_FRAME, idleMs: 60_000 },
    { clock: systemClock }
  )
  for (let at = 0; ;) {
    const length = at + 4 <= bytes.byteLength ? Buffer.from(bytes).readUInt32BE(at) : -1
    const frame = await stream.read()
    if (frame === undefined) {
      requireSame(length, 0)
      return 'end'
    }
    assert.ok(frame.byteLength === length && length <= MAX_FRAME)
    requireSame(frame, bytes.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
}

const frame = (bytes: Uint8Array): Uint8Array => Buffer.concat([Uint8Array.of(0, 0, 0, bytes.byteLength), bytes])

/** The headers of what one side sends over yamux are the same however it is cut. */
function readHeaders(bytes: Uint8Array): string {
  const headers = (size: number): YamuxHeader[] => {
    const found: YamuxHeader[] = []
    const reader = createHeaderReader()
    for (let at = 0; at < bytes.byteLength; at += size) reader.take(bytes.subarray(at, at + size), (header) => found.push(header))
    return found
  }
  const whole = headers(bytes.byteLength)
  requireSame(headers(1 + (bytes.byteLength % 37)), whole)
  assert.ok(whole.length <= bytes.byteLength / HEADER)
  return `${Math.min(whole.length, 3)} ${whole.at(-1)?.type ?? ''}`
}

const yamux = (type: number, flags: number, length: number, body = 0): Uint8Array => {
  const bytes = new Uint8Array(HEADER + body)
  const view = new DataView(bytes.buffer)
  view.setUint8(1, type)
  view.setUint16(2, flags)
  view.setUint32(4, 1)
  view.setUint32(8, length)
  return bytes
}

const NAME = 'pinsub:net'
const cid = rawCid('a')

/** What a sound daemon says, by command. */
const SOUND: Readonly<Record<string, string>> = {
  version: '{"Version":"0.44.0"}',
  'repo/stat': '{"RepoSize":5,"StorageMax":50}',
  id: '{"ID":"12D3KooW","Addresses":["/ip4/127.0.0.1/tcp/4001"]}',
  'pin/ls': `{"Keys":{"${cid}":{"Type":"recursive","Name":"${NAME}"}}}`,
  'pin/add': `{"Progress":1,"Bytes":5}\n{"Pins":["${cid}"]}`,
  'pin/rm': `{"Pins":["${cid}"]}`,
  'dag/export': 'car',
  'dag/stat': '{"DagStats":[{"Size":5,"NumBlocks":1}]}'
}
const NOT_PINNED = `{"Message":"path '${cid}' is not pinned","Code":0,"Type":"error"}`
const COMMANDS = Object.keys(SOUND)

const USES: readonly ((backend: PinBackend, signal: AbortSignal) => Promise<unknown>)[] = [
  (backend) => backend.health(),
  async (backend) => {
    const peer = await backend.peer()
    assert.ok(peer === undefined || (typeof peer.peer === 'string' && peer.addresses.every((address) => typeof address === 'string')))
  },
  (backend, signal) => backend.stat(cid, { signal }),
  (backend, signal) => backend.check(cid, { signal }),
  (backend, signal) => backend.pin(cid, { signal, origins: [] }),
  (backend, signal) => backend.unpin(cid, { signal }),
  async (backend, signal) => {
    for await (const each of backend.list({ signal })) assert.ok(each.toString().length > 0)
  }
]

let answer: (command: string, response: ServerResponse) => void = (_command, response) => response.end()
let listening: Promise<{ server: Server; url: string }> | undefined

async function listen(): Promise<{ server: Server; url: string }> {
  const server = createServer((request, response) => answer(/^\/api\/v0\/([^?]*)/.exec(request.url ?? '')?.[1] ?? '', response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

/** The first byte says to which command, the second with what status; the rest is the answer. Other commands are answered soundly. */
async function useKubo(bytes: Uint8Array): Promise<string> {
  const [which = 0, how = 0] = bytes
  const lying = COMMANDS[which % COMMANDS.length] as string
  const body = bytes.subarray(2)
  answer = (command, response) => {
    if (command !== lying) {
      // Else nothing is ever added.
      if (command === 'pin/ls' && how & 4) response.statusCode = 500
      return void response.end(response.statusCode === 500 ? NOT_PINNED : (SOUND[command] ?? '{}'))
    }
    response.statusCode = how % 4 === 3 ? 500 : 200
    if (how % 4 === 2) response.setHeader('Trailer', 'X-Stream-Error')
    response.write(body)
    if (how % 4 === 2)
      response.addTrailers({
        'X-Stream-Error': textOf(body)
          .replace(/[^\x20-\x7e]/g, '?')
          .slice(0, 200)
      })
    response.end()
  }
  listening ??= listen()
  const backend = createKuboBackend({ apiUrl: (await listening).url, name: NAME }, { clock: systemClock })
  try {
    const outcomes: string[] = []
    for (const use of USES) {
      const outcome = await use(backend, AbortSignal.timeout(10_000)).then(
        () => 'did',
        (err: unknown) => {
          if (err instanceof BackendError) return err.code
          throw err
        }
      )
      outcomes.push(outcome)
    }
    return `${lying} ${outcomes.join(' ')}`
  } finally {
    await backend.stop()
  }
}

/** What comes over streams and from a daemon. */
export const NETWORK_TARGETS: readonly Target[] = [
  {
    name: 'frames',
    form: 'bytes',
    errors: [InvalidMessageError, NetworkError],
    seeds: [Buffer.concat([frame(utf8('one')), frame(utf8('two')), new Uint8Array(4)]), frame(new Uint8Array(200))],
    cost: 4,
    run: readFrames
  },
  {
    name: 'yamux-headers',
    form: 'bytes',
    errors: [],
    seeds: [
      Buffer.concat([yamux(WINDOW_UPDATE, SYN, 0), yamux(DATA, 0, 30, 30), yamux(PING, SYN, 7), yamux(DATA, RST, 0)]),
      yamux(DATA, 0, 2 ** 32 - 1, 100)
    ],
    run: readHeaders
  },
  {
    name: 'kubo-rpc',
    form: 'text',
    errors: [BackendError],
    seeds: COMMANDS.flatMap((command, i) =>
      [0, 3, 4].map((how) =>
        Buffer.concat([
          Uint8Array.of(i, how),
          utf8(how !== 3 ? (SOUND[command] as string) : '{"Message":"not found","Code":0,"Type":"error"}')
        ])
      )
    ),
    words: ['"Keys":', '"Pins":', '"Progress":', '"Bytes":', '"Message":', '"Code":0', '"Cid":"x"', `"Name":"${NAME}"`, '"DagStats":'],
    cost: 600,
    run: useKubo,
    stop: async () => {
      const running = await listening
      running?.server.closeAllConnections()
      running?.server.close()
    }
  }
]
