/** What a broken or hostile thing on the API port may do: each gives a clear error, and none makes the agent grow or hang. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { RequestListener } from 'node:http'
import { createServer as createTcpServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { CID } from 'multiformats/cid'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/network/clock.ts'
import { authorizationHeader, parseKuboApi } from '../../src/node/backend/kubo-address.ts'
import { createKuboBackend } from '../../src/node/backend/kubo.ts'
import type { PinBackend } from '../../src/node/ports.ts'

const CID_TEXT = 'bafkreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
const cid = CID.parse(CID_TEXT)
const plain = { signal: new AbortController().signal, origins: [] }
const said = (text: string): string => expect.stringContaining(text) as string

const ends: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

async function backendFor(server: Server): Promise<PinBackend> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const apiUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const backend = createKuboBackend({ apiUrl, name: 'pinsub:test', answerMs: 1_000, silenceMs: 1_000 }, { clock: systemClock })
  ends.push(
    () => backend.stop(),
    () => new Promise((resolve) => server.close(resolve))
  )
  return backend
}

/** A daemon of the right version that holds nothing, but for what `answer` does to the command named; `onDial` hears of dials. */
function kuboBut(command: string, answer: RequestListener, onDial = (): unknown => undefined): Promise<PinBackend> {
  return backendFor(
    createServer((request, response) => {
      const path = request.url?.split('?')[0]
      if (path === '/api/v0/swarm/connect') onDial()
      if (path === `/api/v0/${command}`) return answer(request, response)
      if (path === '/api/v0/version') return void response.end('{"Version":"0.40.1"}')
      if (path === '/api/v0/repo/stat') return void response.end('{}')
      response.writeHead(500).end(JSON.stringify({ Message: `path '${CID_TEXT}' is not pinned`, Code: 0, Type: 'error' }))
    })
  )
}

const pinAnswers = async (...lines: string[]): Promise<PinBackend> =>
  kuboBut('pin/add', (_, response) => void response.end(lines.join('\n')))

describe('what else may answer on the port', () => {
  test('a web page', async () => {
    const backend = await backendFor(
      createServer((_, response) => void response.setHeader('content-type', 'text/html').end('<!doctype html>\n<h1>Hi'))
    )
    await expect(backend.pin(cid, plain)).rejects.toMatchObject({ code: 'failed', message: said('not a Kubo RPC') })
    expect(await backend.health()).toEqual({ ok: false, reason: said('not a Kubo RPC'), answers: true })
    expect(await backend.peer()).toBeUndefined()
  })

  test('a web server that knows no such path', async () => {
    const backend = await backendFor(createServer((_, response) => void response.writeHead(404).end('nope\u0007\u001b[31m')))
    await expect(backend.stat(cid, plain)).rejects.toMatchObject({ code: 'failed', message: said('answered 404 to version (nope [31m)') })
  })

  test('a proxy without its daemon', async () => {
    const backend = await backendFor(createServer((_, response) => void response.writeHead(502).end('Bad Gateway')))
    await expect(backend.stat(cid, plain)).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('something that does not speak HTTP', async () => {
    const backend = await backendFor(
      createTcpServer(
        (socket) =>
          void socket
            .on('error', () => undefined)
            .resume()
            .end('/multistream/1.0.0\n')
      )
    )
    await expect(backend.stat(cid, plain)).rejects.toMatchObject({ code: 'failed', message: said('not HTTP') })
  })

  test('a Kubo that does not tell the names of single pins', async () => {
    const backend = await kuboBut('version', (_, response) => void response.end('{"Version":"0.37.0"}'))
    await expect(backend.pin(cid, plain)).rejects.toMatchObject({ code: 'failed', message: said('0.38') })
    expect(await backend.health()).toEqual({ ok: false, reason: said('0.37.0'), answers: true })
  })

  test.for(['null', '42', '{"Version":7}', '{"Version":"main"}'])('a version that is none: %s', async (text) => {
    const backend = await kuboBut('version', (_, response) => void response.end(text))
    await expect(backend.pin(cid, plain)).rejects.toMatchObject({ code: 'failed', message: said('not a Kubo RPC') })
    expect(await backend.health()).toMatchObject({ ok: false })
  })
})

describe('a pin/add', () => {
  test('that ends without "Pins" is no success', async () => {
    const backend = await pinAnswers('{}', '{"Progress":3,"Bytes":70}', '')
    await expect(backend.pin(cid, plain)).rejects.toMatchObject({ code: 'failed', message: said('without saying') })
  })

  test('is good with lines that came in pieces, and none at the end', async () => {
    const backend = await kuboBut('pin/add', (_, response) => {
      response.write('{"Progress":1,"By')
      setImmediate(() => response.end(`tes":5}\n\n{"Pins":["${CID_TEXT}"]}`))
    })
    expect(await backend.pin(cid, plain)).toEqual({ foreign: false, bytes: 5 })
  })

  test('reports only what grows', async () => {
    const backend = await pinAnswers('{}', ...[1, 1, 3, 2].map((n) => `{"Progress":${n},"Bytes":${n * 9}}`), `{"Pins":["${CID_TEXT}"]}`)
    const seen: number[] = []
    await backend.pin(cid, { ...plain, onProgress: ({ blocks }) => seen.push(blocks) })
    expect(seen).toEqual([1, 3])
  })

  test.for([
    ['pin: write /data/blocks: no space left on device', 'no-space'],
    ['pin: context deadline exceeded', 'timeout'],
    ['block was not found locally (offline): ipld: could not find bafy', 'not-found'],
    ['pin: could not choose a decoder: no decoder registered for multicodec code 1 (0x1)', 'invalid'],
    ['pin: promise channel was closed', 'unavailable'],
    ['something new', 'failed']
  ] as const)('that fails says why: %s', async ([message, code]) => {
    const expected = { code, message: said(message) }
    const early = await kuboBut(
      'pin/add',
      (_, response) => void response.writeHead(500).end(JSON.stringify({ Message: message, Code: 0, Type: 'error' }))
    )
    await expect(early.pin(cid, plain)).rejects.toMatchObject(expected)
    const line = await pinAnswers('{}', JSON.stringify({ Message: message, Code: 0, Type: 'error' }))
    await expect(line.pin(cid, plain)).rejects.toMatchObject(expected)
    const trailer = await kuboBut('pin/add', (_, response) => {
      response.setHeader('trailer', 'X-Stream-Error').write('{}\n')
      response.addTrailers({ 'X-Stream-Error': message })
      response.end()
    })
    await expect(trailer.pin(cid, plain)).rejects.toMatchObject(expected)
  })

  test.for(['{"Progress":', '[]', '7', 'null', '<html>'])('with a malformed line fails: %s', async (line) => {
    const backend = await pinAnswers('{"Progress":1}', line, `{"Pins":["${CID_TEXT}"]}`)
    await expect(backend.pin(cid, plain)).rejects.toMatchObject({ code: 'failed', message: said('not a Kubo RPC') })
  })

  test('that is cut short is "unavailable"', async () => {
    const backend = await kuboBut('pin/add', (_, response) => void response.write('{"Progress":1}\n', () => response.socket?.destroy()))
    await expect(backend.pin(cid, plain)).rejects.toMatchObject({ code: 'unavailable' })
  })

  test('that says nothing is "unavailable" when its time is over', async () => {
    const backend = await kuboBut('pin/add', (_, response) => void response.write('{}\n'))
    await expect(backend.pin(cid, plain)).rejects.toMatchObject({ code: 'unavailable', message: said('in 1 s') })
  })
})

test('a daemon that went away is told again where content is', async () => {
  let dials = 0
  let isAway = false
  const backend = await kuboBut(
    'pin/add',
    (_, response) => {
      if (isAway) response.socket?.destroy()
      else response.end(`{"Pins":["${CID_TEXT}"]}`)
    },
    () => dials++
  )
  const options = { ...plain, origins: ['/ip4/203.0.113.1/tcp/4001/p2p/12D3KooWN1DuSYvgQmvL3XSKNzFx6KQu9iNZk2ZU5Q8zzTXdKwpk'] }
  await backend.pin(cid, options)
  await backend.pin(cid, options)
  expect(dials).toBe(1)
  isAway = true
  await expect(backend.pin(cid, options)).rejects.toMatchObject({ code: 'unavailable' })
  isAway = false
  await backend.pin(cid, options)
  expect(dials).toBe(2)
})

describe('a flood', () => {
  /** Writes for ever; `sent` is how much the client took before it hung up. */
  function flood(piece: string): { answer: RequestListener; sent: Promise<number> } {
    const { promise, resolve } = Promise.withResolvers<number>()
    let sent = 0
    const answer: RequestListener = (_, response) => {
      const more = (): void => {
        while (!response.destroyed && response.write(piece)) sent += piece.length
      }
      response.on('drain', more).on('close', () => resolve(sent))
      more()
    }
    return { answer, sent: promise }
  }
  const limit = 16 * 1024 * 1024

  test.for(['pin/add', 'pin/ls'])('in one line of %s is hung up on', async (command) => {
    const { answer, sent } = flood('x'.repeat(16_384))
    const backend = await kuboBut(command, answer)
    await expect(backend.pin(cid, plain)).rejects.toMatchObject({ code: 'failed' })
    expect(await sent).toBeLessThan(limit)
  })

  test('in a listing is hung up on', async () => {
    const { answer, sent } = flood(' '.repeat(70_000))
    const backend = await kuboBut('pin/ls', answer)
    await expect(Array.fromAsync(backend.list(plain))).rejects.toMatchObject({ code: 'failed' })
    expect(await sent).toBeLessThan(limit)
  })

  test('as an error is hung up on', async () => {
    const { answer, sent } = flood('y'.repeat(16_384))
    const backend = await kuboBut('version', (request, response) => answer(request, response.writeHead(500)))
    expect(await backend.health()).toMatchObject({ ok: false, reason: said('500') })
    expect(await sent).toBeLessThan(limit)
  })
})

describe('an address', () => {
  test.for([
    ['http://127.0.0.1:5001', 'http://127.0.0.1:5001', { host: '127.0.0.1', port: 5001 }],
    ['http://kubo:5001/api/v0/', 'http://kubo:5001', { host: 'kubo', port: 5001 }],
    ['http://kubo:80', 'http://kubo:80', { host: 'kubo', port: 80 }],
    ['http://kubo', 'http://kubo:5001', { host: 'kubo', port: 5001 }],
    ['https://kubo.example', 'https://kubo.example:443', { host: 'kubo.example', port: 443 }],
    ['http://[::1]:5001', 'http://[::1]:5001', { host: '::1', port: 5001 }],
    ['/ip4/127.0.0.1/tcp/5001', 'http://127.0.0.1:5001', { host: '127.0.0.1', port: 5001 }],
    ['/ip6/::1/tcp/5001/http', 'http://[::1]:5001', { host: '::1', port: 5001 }],
    ['/dns4/kubo/tcp/443/https', 'https://kubo:443', { host: 'kubo', port: 443 }],
    ['/unix/run/ipfs.sock', '/unix/run/ipfs.sock', { socketPath: '/run/ipfs.sock' }]
  ] as const)('may be %s', ([text, url, target]) => {
    expect(parseKuboApi(text)).toEqual({ url, target, secure: url.startsWith('https') })
  })

  test.for([
    '',
    '127.0.0.1:5001',
    'ftp://a',
    'http://a/b',
    'http://a?x=1',
    '/ip4/127.0.0.1/udp/5001',
    '/ip4/127.0.0.1/tcp/99999',
    'http://a:b:c'
  ])('may not be "%s"', (text) => {
    expect(() => parseKuboApi(text)).toThrow(expect.objectContaining({ name: 'InvalidTextError', message: said(`"${text}"`) }))
  })

  test('holds no secret', () => {
    expect(() => parseKuboApi('http://me:sesame@kubo:5001')).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('sesame') as string })
    )
  })

  test.for([
    ['Bearer abc', 'Bearer abc'],
    ['bearer:abc', 'Bearer abc'],
    ['me:pass:word', `Basic ${btoa('me:pass:word')}`],
    ['basic:me:word', `Basic ${btoa('me:word')}`],
    ['basic bWU6d29yZA==', 'Basic bWU6d29yZA==']
  ] as const)('authorization %s', ([secret, header]) => {
    expect(authorizationHeader(secret)).toBe(header)
  })

  test.for(['', 'sesame', 'Bearer a\r\nX: y', 'schlüssel:x'])('authorization is not "%s"', (secret) => {
    expect(() => authorizationHeader(secret)).toThrow(expect.objectContaining({ name: 'InvalidTextError' }))
  })
})

test('a daemon on a unix socket', async () => {
  const backend = createKuboBackend({ apiUrl: '/unix/nowhere/ipfs.sock', name: 'pinsub:test' }, { clock: systemClock })
  expect(await backend.health()).toEqual({ ok: false, reason: said('no Kubo at /unix/nowhere/ipfs.sock (ENOENT)') })
  await backend.stop()
})
