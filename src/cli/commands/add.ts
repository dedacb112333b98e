/** `pinsub add PATH`: imports, publishes, and serves the content until it is held. */
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { openSender } from '../sender.ts'
import { showSending } from '../sending-view.ts'
import { sendOptions } from './send.ts'

/** Runs the command. */
export async function add(context: Context, path: string, flags: { readonly name?: string; readonly hidden?: boolean }): Promise<number> {
  await using sender = await openSender(context)
  const options = { ...sendOptions(context, flags), hidden: flags.hidden ?? false }
  const outcome = await showSending(sender, sender.add(path, options), context)
  return { reached: EXIT.ok, short: EXIT.short, refused: EXIT.refused }[outcome]
}
