/** Judges what comes on the acks topic: presence, and acks of commands that were accepted here. */
import type { Verdict } from '../network/bus.ts'
import type { PresenceTable } from '../network/presence-table.ts'
import { decodeAck } from '../protocol/ack.ts'
import { openEnvelope, verifyEnvelope } from '../protocol/envelope.ts'
import { InvalidMessageError } from '../protocol/errors.ts'
import { MAX_PRESENCE_BYTES } from '../protocol/limits.ts'
import type { Intake } from './intake.ts'

/** Makes the judge of the acks topic of one network. */
export function createReplyJudge(
  network: string,
  ports: { readonly presence: PresenceTable; readonly intake: Pick<Intake, 'knows'> }
): (bytes: Uint8Array) => Verdict {
  return (bytes) => {
    try {
      const envelope = openEnvelope(bytes)
      if (envelope.kind === 'command') throw new InvalidMessageError('shape', 'a command among the replies')
      if (envelope.kind === 'presence') {
        if (bytes.byteLength > MAX_PRESENCE_BYTES) throw new InvalidMessageError('size', 'a presence that is too large')
        return ports.presence.offer(verifyEnvelope(envelope)) ? 'accept' : 'ignore'
      }
      const ack = decodeAck(verifyEnvelope(envelope), network)
      // Relaying acks of unknown commands would carry a stranger's traffic.
      return ports.intake.knows(ack.command) ? 'accept' : 'ignore'
    } catch (err) {
      if (err instanceof InvalidMessageError) return 'reject'
      throw err
    }
  }
}
