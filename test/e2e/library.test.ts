/** The public API against real agents. */
import { mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  createSender,
  openKey,
  type AddEvent,
  type Outcome,
  type SendEvent,
  type Sender,
  type SenderOptions,
  SenderError
} from '../../src/index.ts'
import { decodeAck } from '../../src/protocol/ack.ts'
import { openEnvelope, verifyEnvelope } from '../../src/protocol/envelope.ts'
import { leaf } from '../support/dags.ts'
import { makePinPeer } from '../support/pin-peer.ts'
import { createNetwork, type TestNetwork } from './network.ts'

let net: TestNetwork
beforeAll(async () => {
  net = await createNetwork(2)
})
afterAll(() => net[Symbol.asyncDispose]())

function options(): SenderOptions {
  return {
    network: net.name,
    key: join(net.home, 'id_ed25519'),
    bootstrap: net.agents.map(({ address }) => address),
    knownNodes: net.agents.map(({ peer }) => peer)
  }
}

/** Consumes a send; `onEvent` may take its time. */
async function follow(
  events: AsyncGenerator<AddEvent, Outcome>,
  onEvent: (event: AddEvent) => void | Promise<void> = () => {}
): Promise<Outcome> {
  for (;;) {
    const next = await events.next()
    if (next.done === true) return next.value
    await onEvent(next.value)
  }
}

async function statuses(sender: Sender, cid: string): Promise<string[]> {
  const rows = await Array.fromAsync(sender.status([cid]))
  return rows.map(({ status }) => status)
}

/** What the nodes said last, as a sender's ledger has it. */
function receipts(ledger: string): unknown[] {
  using db = new DatabaseSync(ledger, { readOnly: true })
  const rows = db.prepare('SELECT envelope FROM receipts').all()
  return rows.map(({ envelope }) => decodeAck(verifyEnvelope(openEnvelope(envelope as Uint8Array)), net.name).states[0]?.status)
}

test('a key with a passphrase is opened by openKey, which names what is wrong with others', async () => {
  const dir = net.sandbox.path('keys')
  await mkdir(dir)
  const secret = net.sandbox.path('keys', 'passphrase')
  await writeFile(secret, 'secret', { mode: 0o600 })
  await net.sandbox.run(['keys', 'gen', join(dir, 'locked'), '--key-passphrase-file', secret])
  await expect(createSender({ ...options(), key: join(dir, 'locked') })).rejects.toMatchObject({ code: 'encrypted' })
  const { signer } = await openKey(join(dir, 'locked'), { ask: async () => 'secret' })
  await using sender = await createSender({ ...options(), key: signer })
  expect(sender.author).toBe(signer.author)
  expect(await sender.connect()).toMatchObject({ authorised: false })
  await expect(openKey('agent:nobody', { socket: join(dir, 'no-agent') })).rejects.toMatchObject({ name: 'AgentError', code: 'no-agent' })
})

test('add, status, pins, nodes, unpin, stop', async () => {
  await using sender = await createSender(options())
  const file = net.sandbox.path('library.txt')
  await writeFile(file, 'from the library')
  let cid = ''
  const added = await follow(sender.add(file, { name: 'library' }), (event) => {
    if (event.event === 'imported') cid = event.cid
  })
  expect(added).toBe('reached')
  expect(await statuses(sender, cid)).toEqual(['pinned', 'pinned'])
  expect(await sender.pins()).toMatchObject([{ cid, name: 'library', author: sender.author }])
  expect(sender.nodes().map(({ state, trusted }) => ({ state, trusted }))).toEqual(
    Array.from({ length: 2 }, () => ({ state: 'online', trusted: true }))
  )
  expect(await follow(sender.unpin([cid]))).toBe('reached')
  expect(await sender.pins()).toEqual([])
})

test('what a node says while the consumer is busy is not lost', async () => {
  const provider = await makePinPeer()
  try {
    const block = await leaf('for a slow consumer')
    const cid = block.cid.toString()
    const ledger = net.sandbox.path('slow-ledger.db')
    await using sender = await createSender({ ...options(), ledger })
    const acks: string[] = []
    const outcome = await follow(sender.pin([cid], { origins: [provider.origin], timeout: 5_000 }), async (event: SendEvent | AddEvent) => {
      if (event.event !== 'ack') return
      acks.push(event.status)
      if (acks.length > 1) return
      // Everything that is to be said of it has arrived before the next word is taken.
      await provider.provide([block])
      await expect.poll(() => receipts(ledger), { timeout: 10_000 }).toEqual(['pinned', 'pinned'])
    })
    expect(outcome).toBe('reached')
    expect(acks.filter((status) => status === 'pinned')).toHaveLength(2)
    await follow(sender.unpin([cid]))
  } finally {
    await provider.stop()
  }
})

test('errors have stable names and codes', async () => {
  await using nowhere = await createSender({ ...options(), bootstrap: [] })
  await expect(nowhere.connect()).rejects.toMatchObject({ name: 'SenderError', code: 'no-bootstrap' })
  await using sender = await createSender(options())
  await expect(sender.pin([]).next()).rejects.toBeInstanceOf(SenderError)
  const { signal } = new AbortController()
  await expect(
    follow(
      sender.pin(['bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'], {
        signal: AbortSignal.any([signal, AbortSignal.abort(new Error('changed my mind'))])
      })
    )
  ).rejects.toThrow('changed my mind')
})

test('after stop nothing keeps the process alive', async () => {
  const program = `
    import { createSender } from ${JSON.stringify(resolve(import.meta.dirname, '../../dist/index.js'))}
    const sender = await createSender(JSON.parse(process.argv[1]))
    for await (const event of sender.pin(['bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'], { detach: true })) console.log(JSON.stringify(event))
    for await (const event of sender.unpin(['bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'])) console.log(JSON.stringify(event))
    await sender.stop()
  `
  const { code, events, stderr } = await net.sandbox.spawn(
    process.execPath,
    ['--input-type=module', '-e', program, JSON.stringify(options())],
    { deadline: 15_000 }
  ).ended
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(events.filter(({ event }) => event === 'done').map(({ result }) => result)).toEqual(['ok', 'ok'])
})
