/** Says how far commands have come: the whole state of each under a growing sequence, batched, after it is durable. */
import { encodeAck, type OperationState } from '../protocol/ack.ts'
import type { Clock } from '../protocol/clock.ts'
import { sealEnvelope, type CommandId, type Envelope, type Verified } from '../protocol/envelope.ts'
import {
  ACK_BURST,
  ACK_GATHER_MS,
  ACK_INTERVAL_MAX_MS,
  ACK_INTERVAL_PER_NODE_MS,
  ACK_INTERVAL_PER_THOUSAND_MS
} from '../protocol/limits.ts'
import type { StoredOperation } from '../protocol/records.ts'
import type { Signer } from '../protocol/signature.ts'
import type { Store } from './store.ts'

/** A command of no more operations than this is acknowledged as soon as all are done. */
const FEW_OPERATIONS = 32

/** What the book works with. */
export interface AckBookPorts {
  readonly store: Store
  /** The node's own key. */
  readonly signer: Signer
  readonly clock: Clock
  /** Hands an ack to whoever listens; its failure is nobody's loss, as the next state replaces it. */
  publish(bytes: Uint8Array): Promise<void>
  /** Bytes fetched by a pin that runs now. */
  progress(cid: string): number | undefined
  /** Nodes that share the topic, this one too: the more, the rarer each speaks. */
  speakers(): number
}

/** The book. */
export interface AckBook {
  /** These commands (`seq`) have news; quiet ones are not spoken of. */
  changed(commands: Iterable<number>): void
  /** Answers a command that was not stored, every operation alike. */
  answer(id: CommandId, states: readonly OperationState[]): void
  /** A signed ack of how far a stored command has come now; undefined when it is not known. */
  current(id: CommandId): Promise<Verified<Envelope> | undefined>
  /** Publishes what is due, then nothing more. */
  stop(): Promise<void>
}

/** Makes an ack book for one network. */
export function createAckBook(options: { readonly network: string }, ports: AckBookPorts): AckBook {
  const { store, signer, clock } = ports
  const due = new Set<number>()
  const notBefore = new Map<number, number>()
  let answers: { id: CommandId; states: readonly OperationState[] }[] = []
  let tokens = ACK_BURST
  let refilledAt = clock.now()
  let timer: { readonly at: number; readonly cancel: () => void } | undefined
  let sending = Promise.resolve()
  let stopped = false

  /** Too many operations to look through at each change. */
  const isLarge = (seq: number): boolean => store.operation(seq, FEW_OPERATIONS) !== undefined

  const interval = (): number => Math.min(ACK_INTERVAL_MAX_MS, ACK_INTERVAL_PER_NODE_MS * ports.speakers())

  const refill = (): void => {
    const now = clock.now()
    tokens = Math.min(ACK_BURST, tokens + (now - refilledAt) / interval())
    refilledAt = now
  }

  /** Sets the timer for what is due, or brings it forward. */
  const schedule = (gather: number): void => {
    if (stopped || (due.size === 0 && answers.length === 0)) return
    refill()
    const now = clock.now()
    let spaced = answers.length > 0 ? 0 : Infinity
    for (const seq of due) spaced = Math.min(spaced, (notBefore.get(seq) ?? 0) - now)
    const at = now + Math.max(gather, spaced, (1 - tokens) * interval())
    if (timer !== undefined && timer.at <= at) return
    timer?.cancel()
    timer = { at, cancel: clock.after(at - now, flush) }
  }

  const flush = (): void => {
    timer = undefined
    refill()
    tokens = Math.max(0, tokens - 1)
    const now = clock.now()
    const commands = [...due].filter((seq) => stopped || (notBefore.get(seq) ?? 0) <= now)
    const extra = answers
    commands.forEach((seq) => due.delete(seq))
    answers = []
    sending = sending
      .then(async () => {
        for (const seq of commands) {
          const command = store.commandBySeq(seq)
          if (command === undefined) continue
          const states = statesOf(store.operations(seq))
          space(seq, states.length)
          await send(command.id, states)
        }
        for (const { id, states } of extra) await send(id, states)
        schedule(ACK_GATHER_MS)
      })
      .catch(() => {
        // A number that cannot be reserved on a full disk: whole states are said anew, so repeating some is harmless.
        commands.forEach((seq) => due.add(seq))
        schedule(ACK_INTERVAL_MAX_MS)
      })
  }

  /** A large ack costs all who relay it, so a command of many operations is spoken of more rarely. */
  const space = (seq: number, operations: number): void => {
    const now = clock.now()
    notBefore.delete(seq)
    for (const [other, at] of notBefore) {
      if (at > now) break
      notBefore.delete(other)
    }
    notBefore.set(seq, now + Math.min(ACK_INTERVAL_MAX_MS, (operations * ACK_INTERVAL_PER_THOUSAND_MS) / 1_000))
  }

  const statesOf = (operations: readonly StoredOperation[]): OperationState[] =>
    operations.map(({ cid, state }) => {
      if (state.status !== 'queued' || cid === undefined) return state
      const bytes = ports.progress(cid)
      return bytes === undefined ? state : { status: 'pinning', bytes }
    })

  const seal = (id: CommandId, states: readonly OperationState[]): Promise<Verified<Envelope>> => {
    const ack = { command: id, sequence: store.next('ack'), time: clock.now(), states }
    return sealEnvelope('ack', encodeAck(options.network, ack), signer)
  }

  const send = async (id: CommandId, states: readonly OperationState[]): Promise<void> => {
    await ports.publish((await seal(id, states)).bytes)
  }

  return {
    changed(commands) {
      let gather = ACK_GATHER_MS
      for (const seq of commands) {
        if (store.isQuiet(seq)) continue
        due.add(seq)
        // A first word that the last one follows at once would cost everybody twice.
        if (gather > 0 && !isLarge(seq) && !store.isOpen(seq)) gather = 0
      }
      schedule(gather)
    },
    answer(id, states) {
      answers.push({ id, states })
      schedule(0)
    },
    async current(id) {
      const command = store.command(id)
      return command === undefined ? undefined : seal(id, statesOf(store.operations(command.seq)))
    },
    async stop() {
      stopped = true
      timer?.cancel()
      flush()
      await sending
    }
  }
}
