/** What is open to the outside: the address of an agent, and nothing else. */
import { readFile, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createNetwork, type TestNetwork } from './network.ts'

let net: TestNetwork
beforeAll(async () => {
  net = await createNetwork(1)
})
afterAll(() => net[Symbol.asyncDispose]())

/** Local addresses, as the kernel writes them, on which a process listens (TCP) or waits for datagrams. */
async function openPorts(pid: number): Promise<string[]> {
  const fds = await readdir(join('/proc', `${pid}`, 'fd'))
  const links = await Promise.all(fds.map((fd) => readlink(join('/proc', `${pid}`, 'fd', fd)).catch(() => '')))
  const inodes = new Set(links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []))
  const found: string[] = []
  for (const kind of ['tcp', 'tcp6', 'udp', 'udp6']) {
    for (const line of (await readFile(join('/proc', `${pid}`, 'net', kind), 'utf8')).split('\n').slice(1)) {
      const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/)
      if (inodes.has(inode) && (kind.startsWith('udp') || state === '0A')) found.push(`${kind} ${local}`)
    }
  }
  return found
}

const hex = (port: number): string => port.toString(16).toUpperCase().padStart(4, '0')

describe.skipIf(process.platform !== 'linux')('on this machine', () => {
  test('an agent listens where it was told, and nowhere else; a sender nowhere', async () => {
    const [agent] = net.agents
    const port = Number(/tcp\/(\d+)/.exec(agent?.address ?? '')?.[1])
    expect(await openPorts(agent?.process.child.pid as number)).toEqual([`tcp 0100007F:${hex(port)}`])
    const absent = 'bafkreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
    await using sender = net.sandbox.start(['send', 'pin', absent, '--home', net.home, '--json'])
    await sender.event(({ event }) => event === 'sent')
    expect(await openPorts(sender.child.pid as number)).toEqual([])
  })
})

test('a page in a browser gets nothing from an agent, whatever it sends', async () => {
  const [agent] = net.agents
  const port = Number(/tcp\/(\d+)/.exec(agent?.address ?? '')?.[1])
  const url = `http://127.0.0.1:${port}/api/v0/pin/add?arg=bafkqaaa`
  for (const init of [
    {},
    { method: 'POST', body: '\x13/multistream/1.0.0\n' },
    { method: 'POST', headers: { Origin: 'https://evil.example' } }
  ])
    await expect(fetch(url, init)).rejects.toThrow('fetch failed')
  // And goes on.
  expect((await net.as(['nodes'])).code).toBe(0)
})
