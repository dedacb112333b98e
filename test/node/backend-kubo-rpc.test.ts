/** The subset of Kubo's RPC that pinsub relies on: held against a real daemon, and our server against the same expectations. */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { rm, writeFile } from 'node:fs/promises'
import http from 'node:http'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { KUBOS } from '../support/kubo-under-test.ts'
import type { KuboUnderTest } from '../support/kubo-under-test.ts'

const NOWHERE = 'bafkreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
const TOKEN = 'Bearer tok'
const DENIED = 'Kubo RPC Access Denied: Please provide a valid authorization token as defined in the API.Authorizations configuration.'

interface Answer {
  readonly status: number
  readonly type: string | null
  readonly text: string
}

async function rpc(kubo: KuboUnderTest, command: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(`${kubo.apiUrl}/api/v0/${command}`, { method: 'POST', ...init })
  return { status: response.status, type: response.headers.get('content-type'), text: (await response.text()).trim() }
}

async function putBlock(kubo: KuboUnderTest, text: string): Promise<string> {
  const body = new FormData()
  body.append('data', new Blob([text]))
  const { text: answer } = await rpc(kubo, 'block/put?cid-codec=raw', { body })
  return (JSON.parse(answer) as { Key: string }).Key
}

const json = (value: object): Answer => ({ status: 200, type: 'application/json', text: JSON.stringify(value) })
const failed = (message: string): Answer => ({
  status: 500,
  type: 'application/json',
  text: JSON.stringify({ Message: message, Code: 0, Type: 'error' })
})
const plain = (status: number, text: string): Answer => ({ status, type: 'text/plain; charset=utf-8', text })

describe.for(KUBOS)('the RPC of $kubo', ({ start, skipped }) => {
  let kubo: KuboUnderTest
  beforeAll(async () => {
    if (!skipped) kubo = await start()
  }, 60_000)
  afterAll(() => kubo?.stop())

  test.skipIf(skipped)('puts a block under the CID of its bytes', async () => {
    expect(await putBlock(kubo, 'hello')).toBe('bafkreibm6jg3ux5qumhcn2b3flc3tyu6dmlb4xa7u5bf44yegnrjhc4yeq')
  })

  test.skipIf(skipped)('streams progress and ends with the pins', async () => {
    const cid = await putBlock(kubo, 'progress')
    const answer = await rpc(kubo, `pin/add?arg=${cid}&recursive=true&progress=true&name=pinsub:a`)
    expect(answer.status).toBe(200)
    expect(answer.text.split('\n').slice(-2)).toEqual(['{"Progress":1,"Bytes":8}', `{"Pins":["${cid}"]}`])
  })

  test.skipIf(skipped)('names a pin in every kind of listing', async () => {
    const cid = await putBlock(kubo, 'names')
    await rpc(kubo, `pin/add?arg=${cid}&name=pinsub:names`)
    const keys = json({ Keys: { [cid]: { Type: 'recursive', Name: 'pinsub:names' } } })
    expect(await rpc(kubo, `pin/ls?arg=${cid}&type=recursive&names=true`)).toEqual(keys)
    const line = json({ Cid: cid, Name: 'pinsub:names', Type: 'recursive' })
    expect(await rpc(kubo, 'pin/ls?type=recursive&names=true&stream=true&name=pinsub:names')).toEqual(line)
    expect(await rpc(kubo, 'pin/ls?type=recursive&names=true&stream=true&name=sub:name')).toEqual(line)
    expect(await rpc(kubo, 'pin/ls?type=recursive&names=true&stream=true&name=other')).toEqual({ ...json({}), text: '' })
  })

  test.skipIf(skipped)('renames at the next pin/add, and clears the name at one without', async () => {
    const cid = await putBlock(kubo, 'rename')
    for (const name of ['one', 'two', '']) {
      expect(await rpc(kubo, `pin/add?arg=${cid}${name && `&name=${name}`}`)).toEqual(json({ Pins: [cid] }))
      expect(await rpc(kubo, `pin/ls?arg=${cid}&type=recursive&names=true`)).toEqual(
        json({ Keys: { [cid]: { Type: 'recursive', Name: name } } })
      )
    }
    expect(await rpc(kubo, `pin/ls?arg=${cid}&type=recursive&names=true&stream=true`)).toEqual(json({ Cid: cid, Type: 'recursive' }))
  })

  test.skipIf(skipped)('replaces a direct pin by a recursive one, and not the other way', async () => {
    const cid = await putBlock(kubo, 'direct')
    await rpc(kubo, `pin/add?arg=${cid}&recursive=false&name=d`)
    expect(await rpc(kubo, `pin/ls?arg=${cid}&type=direct&names=true`)).toEqual(json({ Keys: { [cid]: { Type: 'direct', Name: 'd' } } }))
    expect(await rpc(kubo, `pin/ls?arg=${cid}&type=recursive&names=true`)).toEqual(failed(`path '${cid}' is not pinned`))
    await rpc(kubo, `pin/add?arg=${cid}`)
    expect(await rpc(kubo, `pin/ls?arg=${cid}&type=direct&names=true`)).toEqual(failed(`path '${cid}' is not pinned`))
    expect(await rpc(kubo, `pin/add?arg=${cid}&recursive=false`)).toEqual(failed(`pin: ${cid} already pinned recursively`))
  })

  test.skipIf(skipped)('removes a pin once', async () => {
    const cid = await putBlock(kubo, 'remove')
    await rpc(kubo, `pin/add?arg=/ipfs/${cid}`)
    expect(await rpc(kubo, `pin/rm?arg=${cid}`)).toEqual(json({ Pins: [cid] }))
    expect(await rpc(kubo, `pin/rm?arg=${cid}`)).toEqual(failed('not pinned or pinned indirectly'))
  })

  test.skipIf(skipped)('fails before the first line with 500, after it in silence', async () => {
    expect(await rpc(kubo, `pin/add?arg=${NOWHERE}&timeout=100ms`)).toEqual(failed('pin: context deadline exceeded'))
    const late = await rpc(kubo, `pin/add?arg=${NOWHERE}&progress=true&timeout=900ms`)
    expect(late).toEqual({ ...json({}), text: '{}' })
  })

  test.skipIf(skipped)('names what it cannot read', async () => {
    const notCid = 'invalid path "notacid": path does not have enough components'
    expect(await rpc(kubo, 'pin/add?arg=notacid&progress=true')).toEqual(failed(notCid))
    expect(await rpc(kubo, 'pin/rm?arg=notacid')).toEqual(failed(notCid))
    expect(await rpc(kubo, 'pin/ls?arg=notacid&type=recursive&names=true')).toEqual(failed(notCid))
    expect(await rpc(kubo, `pin/add?arg=${NOWHERE}&name=${'a'.repeat(256)}`)).toEqual(failed('pin name is 256 bytes (max 255 bytes)'))
    expect(await rpc(kubo, 'pin/ls?type=bogus')).toEqual(failed("invalid type 'bogus', must be one of {direct, indirect, recursive, all}"))
    expect(await rpc(kubo, 'pin/add')).toEqual(plain(400, 'argument "ipfs-path" is required'))
    expect(await rpc(kubo, 'swarm/connect')).toEqual(plain(400, 'argument "address" is required'))
    expect(await rpc(kubo, 'swarm/connect?arg=xx')).toEqual(failed('failed to parse multiaddr "xx": must begin with /'))
    expect(await rpc(kubo, 'nosuch')).toEqual(plain(404, '404 page not found'))
    expect(await rpc(kubo, 'version', { method: 'GET' })).toEqual(plain(405, '405 - Method Not Allowed'))
  })

  test.skipIf(skipped)(
    'exports what is whole, and says what is gone or damaged in a trailer; `dag/stat` sees only what is gone',
    async () => {
      const low = await putBlock(kubo, 'exported')
      const bytes = dagPb.encode({ Data: new Uint8Array(1), Links: [{ Hash: CID.parse(low), Name: '', Tsize: 8 }] })
      const body = new FormData()
      body.append('data', new Blob([bytes]))
      const root = (JSON.parse((await rpc(kubo, 'block/put?cid-codec=dag-pb', { body })).text) as { Key: string }).Key
      // fetch does not show trailers.
      const exported = async (): Promise<{ type: string | undefined; digest: string; error: string | undefined }> => {
        const request = http.request(`${kubo.apiUrl}/api/v0/dag/export?arg=${root}&offline=true`, { method: 'POST' }).end()
        const [response] = (await once(request, 'response')) as [http.IncomingMessage]
        const car = Buffer.concat(await Array.fromAsync(response as AsyncIterable<Buffer>))
        const digest = createHash('sha256').update(car).digest('hex')
        return { type: response.headers['content-type'], digest, error: response.trailers['x-stream-error'] }
      }
      const stats = async (): Promise<unknown> => {
        const { text } = await rpc(kubo, `dag/stat?arg=${root}&offline=true`)
        return text.split('\n').map((line) => (JSON.parse(line) as { DagStats: unknown }).DagStats)
      }
      expect(await exported()).toEqual({
        type: 'application/vnd.ipld.car',
        digest: '24119676f678d4ca06893f18c469c7d98e7d01de2c2b164f351b38610a82a21c',
        error: undefined
      })
      const sizes = [bytes.length, bytes.length + 8, bytes.length + 8]
      const lines = sizes.map((Size, i) => [{ Cid: root, Size, NumBlocks: Math.min(i + 1, 2) }])
      expect(await stats()).toEqual(lines)

      const file = kubo.blockFile(CID.parse(low))
      await writeFile(file, 'EXPORTED')
      expect((await exported()).error).toContain('hash mismatch!')
      expect(await stats()).toEqual(lines)
      await rm(file)
      expect((await exported()).error).toContain(`block was not found locally (offline): ipld: could not find ${low}`)
      const gone = await rpc(kubo, `dag/stat?arg=${root}&offline=true&progress=false`)
      expect(gone.status).toBe(500)
      expect(gone.text).toContain(`ipld: could not find ${low}`)
      await rm(kubo.blockFile(CID.parse(root)))
      const none = await rpc(kubo, `dag/export?arg=${root}&offline=true`)
      expect(none).toEqual(failed(`block was not found locally (offline): ipld: could not find ${root}`))
    }
  )

  test.skipIf(skipped)('tells its id and its size', async () => {
    expect(JSON.parse((await rpc(kubo, 'id')).text)).toMatchObject({ ID: kubo.peer, Addresses: kubo.addresses })
    const { RepoSize, StorageMax } = JSON.parse((await rpc(kubo, 'repo/stat?size-only=true')).text) as Record<string, number>
    expect(RepoSize).toBeGreaterThan(0)
    expect(StorageMax).toBeGreaterThan(RepoSize ?? Infinity)
  })

  test.skipIf(skipped)('dials a peer, and says so when nobody is there', async () => {
    await using other = await start()
    const [address = ''] = other.addresses
    expect(await rpc(kubo, `swarm/connect?arg=${address}`)).toEqual(json({ Strings: [`connect ${other.peer} success`] }))
    await other.stop()
    const dead = '/ip4/127.0.0.1/tcp/1/p2p/12D3KooWN1DuSYvgQmvL3XSKNzFx6KQu9iNZk2ZU5Q8zzTXdKwpk'
    const { status, text } = await rpc(kubo, `swarm/connect?arg=${dead}`)
    expect(status).toBe(500)
    expect(text).toMatch(/^\{"Message":"connect 12D3KooWN1DuSYvgQmvL3XSKNzFx6KQu9iNZk2ZU5Q8zzTXdKwpk failure: failed to dial: /)
  })

  test.skipIf(skipped)('cancels a command whose client goes, and lists what is under way', async () => {
    const gone = new AbortController()
    const pin = rpc(kubo, `pin/add?arg=${NOWHERE}&progress=true`, { signal: gone.signal }).catch((error: Error) => error.name)
    const underWay = async (): Promise<boolean> => {
      const commands = JSON.parse((await rpc(kubo, 'diag/cmds')).text) as { Active: boolean; Command: string }[]
      return commands.some(({ Active, Command }) => Active && Command === 'pin/add')
    }
    await expect.poll(underWay).toBe(true)
    gone.abort()
    expect(await pin).toBe('AbortError')
    await expect.poll(underWay).toBe(false)
  })

  test.skipIf(skipped)('lets in who has the secret, to what it opens', async () => {
    await using locked = await start({ [TOKEN]: ['/api/v0/pin'], [`Basic ${btoa('u:p')}`]: ['/api/v0'] })
    const as = (authorization: string): RequestInit => ({ headers: { authorization } })
    expect(await rpc(locked, 'version')).toEqual(plain(403, DENIED))
    expect(await rpc(locked, 'version', as('Bearer wrong'))).toEqual(plain(403, DENIED))
    expect((await rpc(locked, 'version', as(TOKEN))).status).toBe(200)
    expect((await rpc(locked, 'pin/ls?type=recursive', as(TOKEN))).status).toBe(200)
    expect(await rpc(locked, 'id', as(TOKEN))).toEqual(plain(403, DENIED))
    expect((await rpc(locked, 'id', as(`Basic ${btoa('u:p')}`))).status).toBe(200)
  })
})
