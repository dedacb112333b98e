/** What nodes say, heard: verifies acks, presence and refusals, keeps receipts, and passes on what concerns this sender. */
import type { Verdict } from '../network/bus.ts'
import type { PresenceTable } from '../network/presence-table.ts'
import type { Refusal } from '../network/refusals.ts'
import { decodeAck, FINAL_STATUSES } from '../protocol/ack.ts'
import type { Clock } from '../protocol/clock.ts'
import { openEnvelope, verifyEnvelope, type CommandId } from '../protocol/envelope.ts'
import { InvalidMessageError } from '../protocol/errors.ts'
import type { NewReceipt } from '../protocol/records.ts'
import { nodeIdOf, type NodeId } from '../protocol/ssh-key.ts'
import type { Ledger } from './ledger.ts'
import type { TrackerEvent } from './tracker.ts'

/** The ear of a sender. */
export interface Words {
  /** Judges a message of the acks topic; a sender relays only what it can vouch for: presence, and acks of its own commands. */
  judge(bytes: Uint8Array): Verdict
  /** A refusal told by the peer itself, over a stream. */
  refused(node: NodeId, refusal: Refusal): void
  /** Calls `listener` with all that concerns commands of this run; the returned function ends that. */
  listen(listener: (event: TrackerEvent) => void): () => void
  /** These commands are ours: their acks are kept. */
  expect(commands: Iterable<CommandId>): void
  /** Writes what is still to be kept. */
  stop(): void
}

/** Receipts are written this long after they came, or when there are so many of them. */
const KEEP_MS = 100
const KEEP_MOST = 64

/** Makes an ear for one network. */
export function createWords(
  network: string,
  ports: {
    readonly presence: PresenceTable
    readonly ledger: Ledger
    readonly clock: Clock
    /** A node announced itself. */
    announced(node: NodeId): void
  }
): Words {
  const listeners = new Set<(event: TrackerEvent) => void>()
  const own = new Set<CommandId>()
  let unkept: NewReceipt[] = []
  let cancel: (() => void) | undefined
  const keep = (): void => {
    cancel?.()
    cancel = undefined
    if (unkept.length > 0) ports.ledger.keep(unkept.splice(0))
  }
  /** One commit for many: a receipt that is lost in a crash is given again when its command is offered again. */
  const keepSoon = (receipt: NewReceipt): void => {
    unkept.push(receipt)
    if (unkept.length >= KEEP_MOST) keep()
    else cancel ??= ports.clock.after(KEEP_MS, keep)
  }
  const tell = (event: TrackerEvent): void => listeners.forEach((listener) => listener(event))
  return {
    judge(bytes) {
      try {
        const envelope = openEnvelope(bytes)
        if (envelope.kind === 'command') return 'reject'
        const sound = verifyEnvelope(envelope)
        if (sound.kind === 'presence') {
          const isNew = ports.presence.offer(sound)
          ports.announced(nodeIdOf(sound.signer))
          return isNew ? 'accept' : 'ignore'
        }
        const ack = decodeAck(sound, network)
        if (!own.has(ack.command)) return 'ignore'
        const accepted = ack.states.some(({ status }) => status !== 'refused')
        const settled = ack.states.every(({ status }) => FINAL_STATUSES.has(status))
        keepSoon({ command: ack.command, node: ack.node, sequence: ack.sequence, envelope: bytes, accepted, settled })
        tell({ type: 'ack', node: ack.node, command: ack.command, sequence: ack.sequence, states: ack.states })
        return 'accept'
      } catch (err) {
        if (err instanceof InvalidMessageError) return 'reject'
        throw err
      }
    },
    refused(node, { command, code }) {
      if (own.has(command)) tell({ type: 'refusal', node, command, code })
    },
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    expect(commands) {
      for (const id of commands) own.add(id)
    },
    stop: keep
  }
}
