/** What becomes of gossip: of commands, as the intake judges, and of presence and acks of commands that were accepted here. */
import type { Heard, Verdict } from '../network/bus.ts'
import type { PresenceTable } from '../network/presence-table.ts'
import { decodeAck, type Ack } from '../protocol/ack.ts'
import { openEnvelope, verifyEnvelope } from '../protocol/envelope.ts'
import { InvalidMessageError } from '../protocol/errors.ts'
import { MAX_PRESENCE_BYTES, MAX_REMEMBERED_ACKS } from '../protocol/limits.ts'
import { nodeIdOf } from '../protocol/ssh-key.ts'
import type { Intake, Judgement } from './intake.ts'
import type { StrangerWords } from './stranger-words.ts'

/** The verdict on a command; what this node had no time for is nobody's fault. */
export function verdictOf(judgement: Judgement): Verdict {
  const isOurs = judgement.verdict === 'ignore' && (judgement.reason === 'busy' || judgement.reason === 'starting')
  return isOurs ? 'busy' : judgement.verdict
}

/** Makes the judge of the acks topic of one network. */
export function createReplyJudge(
  network: string,
  ports: { readonly presence: PresenceTable; readonly intake: Pick<Intake, 'knows'>; readonly strangers: StrangerWords }
): (message: Pick<Heard, 'bytes' | 'via'>) => Verdict {
  const { presence, intake, strangers } = ports
  /** Node and command → the highest sequence, in the order of hearing. */
  const newest = new Map<string, number>()

  const isNews = ({ node, command, sequence }: Ack): boolean => (newest.get(`${node} ${command}`) ?? -1) < sequence

  const remember = ({ node, command, sequence }: Ack): void => {
    const name = `${node} ${command}`
    newest.delete(name)
    newest.set(name, sequence)
    if (newest.size > MAX_REMEMBERED_ACKS) newest.delete(newest.keys().next().value as string)
  }

  return ({ bytes, via }) => {
    try {
      const envelope = openEnvelope(bytes)
      if (envelope.kind === 'command') throw new InvalidMessageError('shape', 'a command among the replies')
      if (envelope.kind === 'presence') {
        if (bytes.byteLength > MAX_PRESENCE_BYTES) throw new InvalidMessageError('size', 'a presence that is too large')
        const sound = verifyEnvelope(envelope)
        return strangers.hasRoom(nodeIdOf(sound.signer), via) && presence.offer(sound) ? 'accept' : 'ignore'
      }
      const ack = decodeAck(verifyEnvelope(envelope), network)
      // Relaying acks of unknown commands would carry a stranger's traffic.
      if (!intake.knows(ack.command) || !isNews(ack) || !strangers.hasRoom(ack.node, via)) return 'ignore'
      remember(ack)
      return 'accept'
    } catch (err) {
      if (err instanceof InvalidMessageError) return 'reject'
      throw err
    }
  }
}
