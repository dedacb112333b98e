/** What a network must come to, from nothing but what was said: for authors that may do everything, the highest rank decides. */
import { cidKey } from '../../src/protocol/cid.ts'
import { decodeCommand, type Operation } from '../../src/protocol/command.ts'
import { commandId, openEnvelope, verifyEnvelope, type CommandId } from '../../src/protocol/envelope.ts'
import { compareRank, type Rank } from '../../src/protocol/order.ts'
import type { Author } from '../../src/protocol/ssh-key.ts'

/** One wish for a CID, by one command. */
export interface Word {
  readonly cid: string
  readonly pinset: string
  readonly author: Author
  readonly kind: 'pin' | 'unpin'
  readonly rank: Rank
}

/** What stands. */
export interface Expected {
  /** `cid pinset`, sorted, of all that is wanted. */
  readonly holds: readonly string[]
  /** CIDs that are wanted in any pinset, sorted. */
  readonly pins: readonly string[]
  /** Of each author, pinset, CID and kind the highest rank, by `author pinset cid kind`. */
  readonly registers: ReadonlyMap<string, Word>
  /** The words of a command that pin, as far as nobody said anything later about their CIDs in any pinset. */
  lastPins(command: CommandId): readonly Word[]
}

/** The words of a command; throws for a command that is not in order. */
function wordsOf(envelope: Uint8Array, network: string): readonly Word[] {
  const { author, pinset = '', time, operations, id } = decodeCommand(verifyEnvelope(openEnvelope(envelope)), network)
  const rank = { at: time, time, command: id }
  return operations.flatMap(namedBy).map(([kind, cid]) => ({ cid, pinset, author, kind, rank }))
}

function namedBy(operation: Operation): readonly (readonly ['pin' | 'unpin', string])[] {
  switch (operation.op) {
    case 'pin':
      return [['pin', cidKey(operation.cid)]]
    case 'unpin':
      return [['unpin', cidKey(operation.cid)]]
    case 'update':
      return [
        ['pin', cidKey(operation.to)],
        ['unpin', cidKey(operation.from)]
      ]
    default:
      return []
  }
}

/** Takes commands in, in whatever order; each is verified once. */
export interface Hearing {
  add(envelopes: Iterable<Uint8Array>): void
  /** The outcome of all that was taken in. */
  outcome(): Expected
}

/** Starts with nothing said. */
export function createHearing(network: string): Hearing {
  const heard = new Map<CommandId, readonly Word[]>()
  const registers = new Map<string, Word>()
  const last = new Map<string, Word>()
  const latest = new Map<string, Word>()
  const keep = (map: Map<string, Word>, key: string, word: Word): void => {
    const known = map.get(key)
    if (known === undefined || compareRank(known.rank, word.rank) < 0) map.set(key, word)
  }
  return {
    add(envelopes) {
      for (const envelope of envelopes) {
        const id = commandId(openEnvelope(envelope).payload)
        if (heard.has(id)) continue
        const words = wordsOf(envelope, network)
        heard.set(id, words)
        for (const word of words) {
          keep(registers, `${word.author} ${word.pinset} ${word.cid} ${word.kind}`, word)
          keep(last, `${word.cid} ${word.pinset}`, word)
          keep(latest, word.cid, word)
        }
      }
    },
    outcome() {
      const holds = [...last].flatMap(([key, { kind }]) => (kind === 'pin' ? [key] : []))
      return {
        holds: holds.toSorted(),
        pins: [...new Set(holds.map((hold) => hold.split(' ')[0] as string))].toSorted(),
        registers,
        lastPins: (command) => (heard.get(command) ?? []).filter((word) => word.kind === 'pin' && latest.get(word.cid) === word)
      }
    }
  }
}
