/** `pinsub status`: how each node stands with each CID. */
import { parseCid, cidKey } from '../../protocol/cid.ts'
import { clockWarning } from '../../sender/clock-hints.ts'
import type { StatusEvent } from '../../sender/types.ts'
import { readCids } from '../cids.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { ago, bytes, shortCid, shortNode, table } from '../format.ts'
import { leftOut } from '../left-out.ts'
import { openReader } from '../sender.ts'

/** Runs the command; with `check` only what a node has just looked at counts as held. */
export async function status(
  context: Context,
  args: readonly string[],
  { check = false }: { readonly check?: boolean } = {}
): Promise<number> {
  const { config, output, signal } = context
  const cids = args.length === 0 ? undefined : await readCids(args, context, 'nothing was asked')
  await using sender = await openReader(context)
  if (check) output.note('Every node reads all of what it holds first: that takes as long as its disk does.')
  const looked = new Map<string, number>()
  const onProgress = (node: string, n: number): void => {
    looked.set(node, n)
    output.live(table([...looked].map(([each, done]) => [`  ${shortNode(each)}`, `${done} checked`])))
  }
  const rows: StatusEvent[] = []
  // Without CIDs every pinset is shown; a CID is looked for in the pinset that send would use, unless it is elsewhere only.
  for await (const row of sender.status(cids, { signal, check, onLeftOut: leftOut(output), ...(check ? { onProgress } : {}) })) {
    rows.push(row)
    output.event(row)
  }
  output.settle()
  const warning = clockWarning(sender.clockOffset())
  if (warning !== undefined) output.note(warning)
  const groups = Map.groupBy(rows, ({ cid, pinset }) => `${cidKey(parseCid(cid))} ${pinset}`)
  const wanted = typeof config.wait === 'number' ? config.wait : (config.replicas ?? sender.all())
  let isShort = false
  const lines: string[][] = []
  for (const group of groups.values()) {
    const [first] = group as [StatusEvent]
    const op = group.some((row) => row.op === 'pin') || group.every((row) => row.op === null) ? 'pin' : 'unpin'
    const there = group.filter((row) => (op === 'pin' ? isHeld(row, check) : row.status === 'unpinned')).map(({ node }) => node)
    const replicas = op === 'pin' ? sender.replicas(there) : there.length
    const result = op === 'unpin' || replicas >= wanted ? 'ok' : 'short'
    isShort ||= result === 'short'
    const goal = op === 'pin' ? wanted : group.length
    output.event({ event: 'done', cid: first.cid, op, pinset: first.pinset, replicas, wanted: goal, result })
    lines.push([shortCid(first.cid), first.pinset, op === 'pin' ? `${replicas}/${goal} replicas` : `let go on ${replicas}/${goal}`])
    for (const row of group) {
      const state = [row.code === undefined ? row.status : `${row.status}: ${row.code}`, ...remark(row, check)].join(', ')
      const when = `${ago(Date.now() - Date.parse(row.at))}${row.source === 'receipt' ? ' (its last word; it does not answer now)' : ''}`
      lines.push([`  ${shortNode(row.node)}`, state, row.bytes === undefined ? '' : bytes(row.bytes), when])
    }
  }
  const known = new Set(rows.map(({ cid }) => cidKey(parseCid(cid))))
  for (const cid of cids ?? []) {
    if (known.has(cidKey(parseCid(cid)))) continue
    isShort = true
    output.event({ event: 'done', cid, op: 'pin', replicas: 0, wanted, result: 'short' })
    lines.push([shortCid(cid), '', `0/${wanted} replicas: no node has heard of it`])
  }
  if (lines.length === 0) output.note('Nothing is pinned on this network yet: pinsub add PATH, or pinsub send pin CID')
  else table(lines).forEach((line) => output.result(line))
  return isShort ? EXIT.short : EXIT.ok
}

function isHeld(row: StatusEvent, check: boolean): boolean {
  return row.status === 'pinned' && (!check || row.check === 'held')
}

/** What to say of a look into the storage. */
function remark(row: StatusEvent, check: boolean): string[] {
  const isFetched = row.op === 'pin' ? ': fetched again' : ''
  switch (row.check) {
    case 'held':
      return ['looked at']
    case 'missing':
      return [`blocks were gone${isFetched}`]
    case 'damaged':
      return [`blocks were damaged${isFetched}`]
    case 'unknown':
      return ['could not be looked at']
    default:
      return check && row.status === 'pinned' ? ['not looked at'] : []
  }
}
