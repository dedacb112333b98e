import { multiaddr } from '@multiformats/multiaddr'
import { CID } from 'multiformats/cid'
import { describe, expect, test } from 'vitest'
import { makeContentHome } from '../support/content-home.ts'
import { tree, type TestBlock } from '../support/dags.ts'
import { findIpfs, NO_IPFS, startKuboDaemon } from '../support/kubo-daemon.ts'
import { bytesOf } from './trees.ts'

const ipfs = findIpfs()
if (ipfs === undefined) console.warn(`${NO_IPFS}: bitswap is tested between our own hosts only`)

/** Calls the daemon's RPC and gives the last line of its answer. */
async function rpc(api: string, command: string, body?: FormData): Promise<Record<string, unknown>> {
  const answer = await fetch(`${api}/api/v0/${command}`, { method: 'POST', ...(body === undefined ? {} : { body }) })
  const text = await answer.text()
  if (!answer.ok) throw new Error(text)
  return JSON.parse(text.trim().split('\n').at(-1) as string) as Record<string, unknown>
}

describe.skipIf(ipfs === undefined)('bitswap with a real Kubo', { timeout: 60_000 }, () => {
  test('fetches what it has, and serves it what it wants', async () => {
    await using kubo = await startKuboDaemon(ipfs as string)
    await using home = await makeContentHome()
    const { signal } = new AbortController()

    const form = new FormData()
    form.append('file', new Blob([bytesOf('from kubo', 20_000_000)]), 'file')
    const { Hash } = await rpc(kubo.apiUrl, 'add?cid-version=1', form)
    const theirs = CID.parse(Hash as string)
    await home.content.pin(theirs, { signal: AbortSignal.timeout(30_000), origins: kubo.addresses })
    expect(await home.content.verify(theirs, { signal })).toMatchObject({ blocks: 78, missing: 0, corrupt: 0 })

    const blocks = await tree('for kubo', 10)
    const ours = (blocks[0] as TestBlock).cid
    await home.peer.provide(blocks)
    await home.peer.libp2p.dial(multiaddr(kubo.addresses[0] as string))
    expect(await rpc(kubo.apiUrl, `pin/add?arg=${ours}`)).toEqual({ Pins: [ours.toString()] })
  })
})
