/** `pinsub ls`: what is wanted on the network. */
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { count, table } from '../format.ts'
import { leftOut } from '../left-out.ts'
import { openReader } from '../sender.ts'

/** Runs the command; shows one pinset where `--pinset` names it. */
export async function ls(context: Context, flags: { readonly pinset?: string }): Promise<number> {
  const { output, signal } = context
  await using sender = await openReader(context)
  const pins = await sender.pins({ signal, onLeftOut: leftOut(output), ...(flags.pinset === undefined ? {} : { pinset: flags.pinset }) })
  pins.forEach((pin) => output.event(pin))
  const rows = pins.map(({ cid, pinset, name, nodes, at }) => [cid, pinset, count(nodes.length, 'node'), at.slice(0, 10), name ?? ''])
  table(rows).forEach((line) => output.result(line))
  const where = flags.pinset === undefined ? 'on this network yet: pinsub add PATH, or pinsub send pin CID' : `in pinset ${flags.pinset}`
  if (pins.length === 0) output.note(`Nothing is pinned ${where}`)
  return EXIT.ok
}
