/** `pinsub adopt`: pins in one's own name what is held and nobody who counts wants. */
import type { Sender } from '../../sender/sender.ts'
import type { Outcome, StatusEvent } from '../../sender/types.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { count } from '../format.ts'
import { exitOf } from '../admin-view.ts'
import { showSending } from '../sending-view.ts'
import { openSender } from '../sender.ts'

/** CIDs of one pinset that nobody who counts wants, with the name that each had. */
export type Unowned = ReadonlyMap<string, string | undefined>

/** Runs the command. */
export async function adopt(context: Context, flags: { readonly pinset?: string }): Promise<number> {
  const { output } = context
  await using sender = await openSender(context)
  const unowned = await findUnowned(sender, context, (row) => flags.pinset === undefined || row.pinset === flags.pinset)
  if (unowned.size === 0) {
    output.result('Nothing is unowned: all that the nodes hold is wanted by a key that counts.')
    return EXIT.ok
  }
  return exitOf(await overPinsets(unowned, (pinset, pins) => show(context, sender, 'pin', pinset, pins)))
}

/** What nodes hold for nobody, by pinset: CIDs and the names that they had. */
export async function findUnowned(
  sender: Sender,
  { signal }: Context,
  isMeant: (row: StatusEvent) => boolean
): Promise<Map<string, Map<string, string | undefined>>> {
  const found = new Map<string, Map<string, string | undefined>>()
  for await (const row of sender.status(undefined, { signal })) {
    if (row.status !== 'unowned' || row.source !== 'live' || !isMeant(row)) continue
    const pins = found.get(row.pinset) ?? new Map<string, string | undefined>()
    found.set(row.pinset, pins.set(row.cid, row.name ?? pins.get(row.cid)))
  }
  return found
}

/** Does something for one pinset after the other; the worst outcome of them. */
export async function overPinsets(
  found: ReadonlyMap<string, Unowned>,
  act: (pinset: string, pins: Unowned) => Promise<Outcome>
): Promise<Outcome> {
  const outcomes: Outcome[] = []
  for (const [pinset, pins] of found) outcomes.push(await act(pinset, pins))
  return worst(outcomes)
}

/** The worst of some outcomes. */
export function worst(outcomes: readonly Outcome[]): Outcome {
  return outcomes.find((one) => one === 'refused') ?? outcomes.find((one) => one === 'short') ?? 'reached'
}

/** Pins or unpins CIDs in a pinset, and shows it. */
export function show(context: Context, sender: Sender, op: 'pin' | 'unpin', pinset: string, pins: Unowned): Promise<Outcome> {
  const cids = [...pins.keys()]
  const names = new Map([...pins].flatMap(([cid, name]) => (name === undefined ? [] : [[cid, name] as const])))
  const { config, output, signal } = context
  output.note(`${op === 'pin' ? 'Taking over' : 'Dropping'} ${count(cids.length, 'CID')} in pinset ${pinset}`)
  const options = { pinset, names, signal, timeout: config.timeout, ...(config.wait === undefined ? {} : { wait: config.wait }) }
  return showSending(sender, op === 'pin' ? sender.pin(cids, options) : sender.unpin(cids, options), context)
}
