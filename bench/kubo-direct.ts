/**
 * The floor for the Kubo backend: real daemons on loopback, driven over their RPC with nothing in between.
 * Small blocks lie on the first daemon; all daemons pin all of them at the same time, each with 32 requests under way.
 * Prints one JSON object a line, medians of rounds: plain `pin/add`; the same behind the look-ups that keep an operator's pins safe; and our
 * backend, for comparison. Each way gets blocks of its own. Usage: node bench/kubo-direct.ts [daemons=3] [pins=5000]
 */
import { Agent, request } from 'node:http'
import { CID } from 'multiformats/cid'
import { createKuboBackend } from '../src/node/backend/kubo.ts'
import { findIpfs, NO_IPFS, startKuboDaemon } from '../test/support/kubo-daemon.ts'
import type { KuboDaemon } from '../test/support/kubo-daemon.ts'

const AT_ONCE = 32
const ROUNDS = 8
const NAME = 'pinsub:bench'
const clock = {
  now: () => Date.now(),
  after(ms: number, fn: () => void) {
    const timer = setTimeout(fn, ms)
    return () => clearTimeout(timer)
  },
}
const agent = new Agent({ keepAlive: true, maxSockets: 256 })

function rpc(daemon: KuboDaemon, command: string, body?: Buffer): Promise<{ status: number; text: string }> {
  const boundary = 'pinsub-bench'
  const head = `--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="b"\r\nContent-Type: application/octet-stream\r\n\r\n`
  const payload = body === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.from(head), body, Buffer.from(`\r\n--${boundary}--\r\n`)])
  const type = body === undefined ? {} : { 'content-type': `multipart/form-data; boundary=${boundary}` }
  const headers = { ...type, 'content-length': payload.length }
  return new Promise((resolve, reject) => {
    const call = request(`${daemon.apiUrl}/api/v0/${command}`, { method: 'POST', agent, headers }, (response) => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('error', reject).on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    call.on('error', reject).end(payload)
  })
}

async function must(daemon: KuboDaemon, command: string, body?: Buffer): Promise<string> {
  const { status, text } = await rpc(daemon, command, body)
  if (status !== 200) throw new Error(`${command}: ${status} ${text}`)
  return text
}

async function each<T>(items: readonly T[], work: (item: T, index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) await work(items[at] as T, at)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

async function putBlocks(source: KuboDaemon, label: string, count: number): Promise<string[]> {
  const cids: string[] = []
  await each(Array.from({ length: count }), async (_, index) => {
    const answer = await must(source, 'block/put?cid-codec=raw&pin=false', Buffer.from(`${label} ${index}`.padEnd(200, '.')))
    cids[index] = (JSON.parse(answer) as { Key: string }).Key
  })
  return cids
}

type Way = (daemon: KuboDaemon, cid: string) => Promise<unknown>

const plain: Way = (daemon, cid) => must(daemon, `pin/add?arg=${cid}&recursive=true&name=${NAME}`)
const lookOnce: Way = async (daemon, cid) => {
  await rpc(daemon, `pin/ls?arg=${cid}&type=recursive&names=true`)
  await plain(daemon, cid)
}
const lookBoth: Way = async (daemon, cid) => {
  await Promise.all(['recursive', 'direct'].map((type) => rpc(daemon, `pin/ls?arg=${cid}&type=${type}&names=true`)))
  await plain(daemon, cid)
}

function viaBackend(daemons: readonly KuboDaemon[]): Way {
  const backends = new Map(daemons.map((daemon) => [daemon, createKuboBackend({ apiUrl: daemon.apiUrl, name: NAME }, { clock })]))
  const { signal } = new AbortController()
  return (daemon, cid) => (backends.get(daemon) as ReturnType<typeof createKuboBackend>).pin(CID.parse(cid), { signal, origins: [] })
}

const binary = findIpfs()
if (binary === undefined) throw new Error(NO_IPFS)
const daemonCount = Number(process.argv[2] ?? 3)
const pins = Number(process.argv[3] ?? 5_000)
await using stack = new AsyncDisposableStack()
const daemons: KuboDaemon[] = []
for (let i = 0; i < daemonCount; i++) daemons.push(stack.use(await startKuboDaemon(binary)))
const [source] = daemons
if (source === undefined) throw new Error('at least one daemon')
for (const daemon of daemons.slice(1)) await must(daemon, `swarm/connect?arg=${source.addresses[0]}`)

const ways: Readonly<Record<string, Way>> = { plain, lookOnce, lookBoth, backend: viaBackend(daemons) }

interface Measured {
  readonly rate: number
  readonly cpu: number
}

/** The rate of the slowest daemon, and the time that this process worked for one pin on one daemon (ms). */
async function measure(way: string, count: number): Promise<Measured> {
  const pin = ways[way] as Way
  const cids = await putBlocks(source as KuboDaemon, `${way} ${performance.now()}`, count)
  const before = process.cpuUsage()
  const started = performance.now()
  await Promise.all(daemons.map((daemon) => each(cids, (cid) => pin(daemon, cid))))
  const rate = (count * 1_000) / (performance.now() - started)
  const { user, system } = process.cpuUsage(before)
  return { rate, cpu: (user + system) / 1_000 / count / daemonCount }
}

// Pins slow down as their number grows, and the machine has moods: many short rounds, each beginning with another way.
const names = Object.keys(ways)
const results = new Map<string, Measured[]>(names.map((way) => [way, []]))
for (const way of names) await measure(way, 100)
for (let round = 0; round < ROUNDS; round++) {
  for (const index of names.keys()) {
    const way = names[(index + round) % names.length] as string
    results.get(way)?.push(await measure(way, Math.ceil(pins / ROUNDS)))
  }
}
const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] as number
for (const [way, rounds] of results) {
  const rate = Math.round(median(rounds.map((one) => one.rate)))
  const cpu = Number(median(rounds.map((one) => one.cpu)).toFixed(2))
  console.log(JSON.stringify({ bench: 'kubo-direct', way, daemons: daemonCount, pins, at_once: AT_ONCE, pins_per_second: rate, cpu_ms_per_pin: cpu }))
}
agent.destroy()
