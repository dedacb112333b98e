/** Peers that send what no node asked for, as fast as they are told to. */
import { randomBytes } from 'node:crypto'
import { setTimeout as wait } from 'node:timers/promises'
import { multiaddr } from '@multiformats/multiaddr'
import { freshHostKey } from '../../src/identity/host-key.ts'
import { createBus, type Topic } from '../../src/network/bus.ts'
import { systemClock } from '../../src/network/clock.ts'
import { createHost } from '../../src/network/host.ts'
import { encodeAck } from '../../src/protocol/ack.ts'
import { encodeCommand } from '../../src/protocol/command.ts'
import { sealEnvelope, type CommandId } from '../../src/protocol/envelope.ts'
import { MAX_ENVELOPE_BYTES } from '../../src/protocol/limits.ts'
import { encodePresence } from '../../src/protocol/presence.ts'
import { createSeedSigner, type Signer } from '../../src/protocol/signature.ts'
import { cidOf } from './author.ts'

/** What a flooder knows of the network that it floods. */
export interface Target {
  readonly network: string
  /** A key that may command; what it signs need not be right. */
  readonly author: Signer
  /** The id and the bytes of a command that the nodes have. */
  readonly said: { readonly id: CommandId; readonly envelope: Uint8Array }
}

/** A message to flood with: the n-th of its kind. */
interface Kind {
  readonly topic: Topic
  make(target: Target, n: number): Uint8Array | Promise<Uint8Array>
}

const stranger = (): Signer => createSeedSigner(randomBytes(32))
const oneStranger = stranger()
const fresh = (n: number): number => Date.now() * 1_000 + n

const commandOf = async (signer: Signer, network: string, n: number): Promise<Uint8Array> => {
  const operations = [{ op: 'unpin', cid: cidOf(`flood ${n}`) }] as const
  const command = { network, pinset: 'default', time: { ms: Date.now(), counter: n }, operations }
  return (await sealEnvelope('command', encodeCommand(command, signer.blob), signer)).bytes
}

const ackOf = async (signer: Signer, network: string, command: CommandId, sequence: number): Promise<Uint8Array> => {
  const ack = { command, sequence, time: Date.now(), states: [{ status: 'pinned', bytes: 1 }] } as const
  return (await sealEnvelope('ack', encodeAck(network, ack), signer)).bytes
}

const presenceOf = async (signer: Signer, network: string, sequence: number, filler = 0): Promise<Uint8Array> => {
  const described = {
    addresses: [],
    tags: {},
    queue: 0,
    version: 'pinsub/0.1.0',
    backend: { kind: 'helia', up: true, addresses: [] }
  } as const
  const payload = encodePresence(network, {
    ...described,
    sequence,
    time: Date.now(),
    ...(filler > 0 ? { filler: new Uint8Array(filler) } : {})
  })
  return (await sealEnvelope('presence', payload, signer)).bytes
}

/** What no node of this version could accept: it costs score. */
export const REJECTED: Readonly<Record<string, Kind>> = {
  garbage: { topic: 'commands', make: () => randomBytes(200) },
  'the largest garbage': { topic: 'commands', make: () => randomBytes(MAX_ENVELOPE_BYTES) },
  'a wrong signature': {
    topic: 'commands',
    make: async ({ network, author }, n) => {
      const bytes = await commandOf(author, network, n)
      bytes[bytes.length - 100] = (bytes.at(-100) as number) ^ 1
      return bytes
    }
  },
  'another network': { topic: 'commands', make: ({ author }, n) => commandOf(author, 'elsewhere', n) },
  'garbage among acks': { topic: 'acks', make: () => randomBytes(200) },
  'an ack of another network': { topic: 'acks', make: ({ said }, n) => ackOf(oneStranger, 'elsewhere', said.id, fresh(n)) },
  'a huge presence': { topic: 'acks', make: ({ network }, n) => presenceOf(oneStranger, network, fresh(n), 9_000) }
}

/** What another node might have a use for: it costs no score. */
export const IGNORED: Readonly<Record<string, Kind>> = {
  'a stranger signed': { topic: 'commands', make: ({ network }, n) => commandOf(oneStranger, network, n) },
  'strangers signed': { topic: 'commands', make: ({ network }, n) => commandOf(stranger(), network, n) },
  'an old command': { topic: 'commands', make: ({ said }) => said.envelope },
  'an ack of no command': {
    topic: 'acks',
    make: ({ network }, n) => ackOf(oneStranger, network, n.toString(16).padStart(64, '0'), fresh(n))
  },
  'an ack by a stranger': { topic: 'acks', make: ({ network, said }, n) => ackOf(oneStranger, network, said.id, fresh(n)) },
  'a presence of the same stranger': { topic: 'acks', make: ({ network }, n) => presenceOf(oneStranger, network, fresh(n)) },
  'presences of strangers': { topic: 'acks', make: ({ network }, n) => presenceOf(stranger(), network, fresh(n)) }
}

/** All of them by name. */
export const KINDS: Readonly<Record<string, Kind>> = { ...REJECTED, ...IGNORED }

/** A peer that floods. */
export interface Flooder extends AsyncDisposable {
  readonly id: string
  /** Messages that were handed to somebody. */
  readonly sent: number
  /** Whether a link is up. */
  isLinked(): boolean
  /** Dials; rejects where it is not let in. */
  dial(): Promise<void>
  /** Sends the named kinds in turn, so many a second in all, until it is cut off or the signal ends. Resolves with whether it was cut off. */
  flood(target: Target, kinds: readonly string[], perSecond: number, signal: AbortSignal): Promise<boolean>
}

const TURN_MS = 20
/** A message that nobody takes for so long is given up: the link is gone. */
const PUBLISH_MS = 1_000

/** Starts one that is linked to `address` (a multiaddr with /p2p). */
export async function startFlooder(network: string, address: string): Promise<Flooder> {
  const host = await createHost({ privateKey: await freshHostKey(), listen: [] })
  const bus = createBus({ network }, { host, clock: systemClock })
  await host.start()
  await bus.start()
  let sent = 0
  const dial = async (): Promise<void> => {
    const connection = await host.libp2p.dial(multiaddr(address), { signal: AbortSignal.timeout(5_000) })
    // A peer that is not let in is told after the handshake.
    await connection.newStream('/ipfs/ping/1.0.0', { signal: AbortSignal.timeout(5_000) })
  }
  const isLinked = (): boolean => host.libp2p.getConnections().some(({ status }) => status === 'open')
  await dial()
  return {
    id: host.id,
    get sent() {
      return sent
    },
    isLinked,
    dial,
    async flood(target, kinds, perSecond, signal) {
      const begun = Date.now()
      const first = sent
      let made = 0
      while (!signal.aborted) {
        if (!isLinked()) return true
        const due = Math.floor(((Date.now() - begun) * perSecond) / 1_000)
        for (; made < due && isLinked(); made++) {
          const { topic, make } = KINDS[kinds[made % kinds.length] as string] as Kind
          await bus.publish(topic, await make(target, first + made), { signal: AbortSignal.timeout(PUBLISH_MS) }).then(
            () => sent++,
            () => undefined
          )
        }
        await wait(TURN_MS)
      }
      return !isLinked()
    },
    async [Symbol.asyncDispose]() {
      await bus.stop()
      await host.stop()
    }
  }
}
