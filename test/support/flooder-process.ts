/**
 * A flooder as a process of its own, told over IPC whom and how to flood: sends all kinds in turn, and comes back as somebody else each time
 * it is cut off. Says how often that was and how much it sent.
 */
import { randomBytes } from 'node:crypto'
import { openEnvelope } from '../../src/protocol/envelope.ts'
import { startFlooder, type Target } from './flooder.ts'

/** What it is told. */
export interface FloodOrder {
  readonly network: string
  readonly address: string
  /** A command that the nodes have, hex. */
  readonly said: { readonly id: string; readonly envelope: string }
  /** Names of what is sent, in turn. */
  readonly kinds: readonly string[]
  readonly perSecond: number
  readonly ms: number
}

/** What it says at the end. */
export interface FloodReport {
  readonly sent: number
  /** How often it was cut off and not let in again. */
  readonly cuts: number
}

process.once('message', (order: FloodOrder) => void run(order))

async function run({ network, address, said, kinds, perSecond, ms }: FloodOrder): Promise<void> {
  const envelope = new Uint8Array(Buffer.from(said.envelope, 'hex'))
  const { signer: blob, author: name } = openEnvelope(envelope)
  // Knows the key that may command, and has not its private half.
  const author = { blob, author: name, sign: async () => new Uint8Array(randomBytes(64)) }
  const target: Target = { network, author, said: { id: said.id, envelope } }
  const signal = AbortSignal.timeout(ms)
  const report = { sent: 0, cuts: 0 }
  while (!signal.aborted) {
    await using flooder = await startFlooder(network, address)
    const wasCut = await flooder.flood(target, kinds, perSecond, signal)
    report.sent += flooder.sent
    if (!wasCut) continue
    // A link that was merely lost can be had again.
    await flooder.dial().catch(() => report.cuts++)
  }
  process.send?.(report satisfies FloodReport)
  process.disconnect()
}
