/** `pinsub send pin|unpin`: signs, publishes, and counts who did it. */
import type { Op, SendOptions } from '../../sender/types.ts'
import { readCids } from '../cids.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { openSender } from '../sender.ts'
import { showSending } from '../sending-view.ts'

/** Flags of the command that are no settings. */
export interface SendFlags {
  readonly name?: string
  readonly origin?: readonly string[]
  readonly detach?: boolean
}

/** Runs the command. */
export async function send(context: Context, op: Op, args: readonly string[], flags: SendFlags): Promise<number> {
  const cids = await readCids(args, context, 'nothing was sent')
  await using sender = await openSender(context)
  const options = sendOptions(context, flags)
  const outcome = await showSending(sender, op === 'pin' ? sender.pin(cids, options) : sender.unpin(cids, options), context)
  return { reached: EXIT.ok, short: EXIT.short, refused: EXIT.refused }[outcome]
}

/** The options of a send from settings and flags. */
export function sendOptions({ config, signal }: Context, flags: SendFlags): SendOptions {
  return {
    signal,
    pinset: config.pinset,
    timeout: config.timeout,
    detach: flags.detach ?? false,
    ...(flags.name === undefined ? {} : { name: flags.name }),
    ...(flags.origin === undefined ? {} : { origins: flags.origin }),
    ...(config.replicas === undefined ? {} : { replicas: config.replicas }),
    ...(config.wait === undefined ? {} : { wait: config.wait })
  }
}
