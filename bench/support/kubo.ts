/** Real Kubo daemons driven over their RPC with nothing in between: the floor for the Kubo backend. */
import { Agent, request } from 'node:http'
import type { KuboDaemon } from '../../test/support/kubo-daemon.ts'

/** Requests under way at each daemon: what Kubo serves best. */
const AT_ONCE = 32

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

/** Calls a command; throws with what the daemon says unless it succeeds. */
export async function must(daemon: KuboDaemon, command: string, body?: Buffer): Promise<string> {
  const { status, text } = await rpc(daemon, command, body)
  if (status !== 200) throw new Error(`${command}: ${status} ${text}`)
  return text
}

/** Works on all items, {@link AT_ONCE} at a time. */
export async function each<T>(items: readonly T[], work: (item: T, index: number) => Promise<unknown>): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    for (let at = next++; at < items.length; at = next++) await work(items[at] as T, at)
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
}

/** Makes small blocks on a daemon, not pinned. */
export async function putBlocks(source: KuboDaemon, label: string, count: number): Promise<string[]> {
  const cids: string[] = []
  await each(Array.from({ length: count }), async (_, index) => {
    const answer = await must(source, 'block/put?cid-codec=raw&pin=false', Buffer.from(`${label} ${index}`.padEnd(200, '.')))
    cids[index] = (JSON.parse(answer) as { Key: string }).Key
  })
  return cids
}
