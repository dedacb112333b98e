/** Shows a send or an add as it goes: live lines on a terminal, a table at the end, or JSON lines. */
import { clockWarning } from '../sender/clock-hints.ts'
import type { Sender } from '../sender/sender.ts'
import type { AckEvent, AddEvent, DoneEvent, NodeEvent, Outcome } from '../sender/types.ts'
import type { Context } from './context.ts'
import { bytes, count, duration, shortNode, table } from './format.ts'
import { silentRows } from './silent.ts'

interface NodeLine {
  readonly node: string
  /** CID → its newest state on the node, and when it came. */
  readonly states: Map<string, { readonly ack: AckEvent; readonly at: number }>
}

/** While nothing is heard, the lines are drawn anew this often, milliseconds. */
const TICK_MS = 500

/** Consumes the events of a send, shows them, and returns how it ended. */
export async function showSending(
  sender: Pick<Sender, 'author' | 'clockOffset' | 'countsAll' | 'nodes'>,
  events: AsyncGenerator<AddEvent, Outcome>,
  { output, signal }: Context
): Promise<Outcome> {
  const begun = performance.now()
  const nodes = new Map<string, NodeLine>()
  const done: DoneEvent[] = []
  let drawnAt = -Infinity
  let root: string | undefined
  let warning: string | undefined
  let isSent = false
  let sentAt = 0

  const elapsed = (): number => performance.now() - begun
  const lines = (): string[] => {
    const all = sender.nodes()
    const notes = new Map(all.map((node) => [node.node, obstacle(node)]))
    const rows = [...nodes.values()].map((line) => nodeRow(line, notes.get(line.node)))
    const isWaiting = done.length === 0 || done.some(({ result }) => result === 'short')
    return table([
      ...rows,
      ...(isWaiting && isSent ? silentRows(all, (node) => nodes.has(node), { elapsed: elapsed() - sentAt, now: Date.now() }) : [])
    ])
  }
  const draw = (): void => {
    // Ten times a second is smooth, and 5,000 CIDs on 3 nodes make 45,000 events.
    if (!isSent || elapsed() < 300 || elapsed() - drawnAt < 100) return
    drawnAt = elapsed()
    output.live(lines())
  }
  // What a node says of itself comes without an ack.
  using ticking = new DisposableStack()
  ticking.adopt(setInterval(draw, TICK_MS), clearInterval)

  for (;;) {
    const next = await events.next().catch(stopped)
    if (next.done === true) {
      output.settle()
      if (signal.aborted) stopped(signal.reason)
      if (!output.json) conclude(next.value)
      return next.value
    }
    const event = next.value
    output.event(event)
    switch (event.event) {
      case 'progress':
        if (elapsed() > 300) output.live([`importing  ${bytes(event.bytes)} of ${bytes(event.total)}`])
        break
      case 'imported':
        root = event.cid
        output.note(`${count(event.files, 'file')}, ${bytes(event.bytes)} imported  ${duration(elapsed())}`)
        break
      case 'ack': {
        const line = nodes.get(event.node) ?? { node: event.node, states: new Map() }
        line.states.set(event.cid, { ack: event, at: elapsed() })
        nodes.set(event.node, line)
        draw()
        break
      }
      case 'done':
        done.push(event)
        break
      case 'sent':
        if (!isSent) sentAt = elapsed()
        isSent = true
        // Not before: whoever adds connects while the import runs.
        if (warning === undefined) warn()
        break
    }
  }

  function warn(): void {
    warning = clockWarning(sender.clockOffset())
    if (warning !== undefined) output.note(warning)
  }

  /** Whoever interrupts is told what is left of it. */
  function stopped(err: unknown): never {
    if (signal.aborted) {
      if (isSent) noteLines()
      output.note(interruption(isSent, root !== undefined))
    }
    throw err
  }

  function noteLines(): void {
    const shown = lines()
    if (shown.length > 0) output.note(shown.join('\n'))
  }

  function conclude(outcome: Outcome): void {
    noteLines()
    const worst = done.reduce((least, event) => (event.replicas - event.wanted < least.replicas - least.wanted ? event : least))
    const score =
      worst.op === 'unpin' ? `let go on ${worst.replicas}/${count(worst.wanted, 'node')}` : `${worst.replicas}/${worst.wanted} replicas`
    const many = done.length > 1 ? ` of ${count(done.length, 'CID')}` : ''
    const isAccepted = outcome === 'reached' && worst.replicas < worst.wanted
    const text = {
      reached: isAccepted
        ? `accepted by ${count(nodes.size, 'node')}${many} in ${duration(elapsed())}; they go on by themselves`
        : `${score}${many} in ${duration(elapsed())}${root === undefined ? '' : '. You can go offline.'}`,
      short: isOutranked(nodes)
        ? `${score}${many} after ${duration(elapsed())}: outranked by a later command, see pinsub status`
        : `${score}${many} after ${duration(elapsed())}: timed out short. The command stands; the nodes go on, see pinsub status`,
      refused: `refused by every node reached${many}: ${reasons(nodes, sender.author)}`
    }[outcome]
    if (root === undefined) output.result(text)
    else {
      output.note(text)
      output.result(root)
    }
    for (const hint of new Set(done.flatMap((event) => event.hint ?? []))) output.note(hint)
    const strangers = [...nodes.values()].filter(isStranger).map(({ node }) => node)
    const [stranger] = strangers
    if (stranger !== undefined) {
      const some = strangers.length === nodes.size ? 'any of these nodes' : 'some of these nodes'
      const whose = sender.countsAll ? 'any of these nodes, so all count' : `${some}, so they do not count`
      output.note(output.dim(`Nobody vouched for ${whose}. To say that one counts: pinsub nodes trust ${stranger}`))
    }
  }
}

function interruption(isSent: boolean, isImported: boolean): string {
  if (!isSent) return 'Interrupted: nothing was sent, and nothing is left here.'
  return isImported
    ? 'Interrupted: what was imported is removed here. The command stands; to serve the nodes that lack it, run pinsub add again'
    : 'Interrupted. The command stands; the nodes go on, see pinsub status'
}

function isStranger({ states }: NodeLine): boolean {
  return [...states.values()].some(({ ack }) => !ack.trusted)
}

/** Every node that spoke holds to another command. */
function isOutranked(nodes: ReadonlyMap<string, NodeLine>): boolean {
  const acks = [...nodes.values()].flatMap(({ states }) => [...states.values()])
  return acks.length > 0 && acks.every(({ ack }) => ack.status === 'superseded')
}

const REASONS: Readonly<Record<string, string>> = {
  unauthorised: 'does not count there: it is not in authorized_keys, or was closed or revoked',
  expired: 'has expired there',
  skew: 'signed with a clock that is more than five minutes ahead of theirs',
  pinset: 'may not use this pinset there',
  operation: 'may not do this operation there',
  quota: 'has used up its share of pins there',
  size: 'has no room for so much there',
  unsupported: 'asked for an operation that they do not know'
}

function reasons(nodes: ReadonlyMap<string, NodeLine>, author: string): string {
  const codes = new Set<string>()
  for (const { states } of nodes.values()) {
    for (const { ack } of states.values()) if (ack.status === 'refused') codes.add(ack.code ?? 'refused')
  }
  return [...codes].map((code) => `${author} ${REASONS[code] ?? code}`).join('; ')
}

/** Why what is queued on a node does not go on, as it said itself last. */
function obstacle({ backend, up, full }: NodeEvent): string | undefined {
  if (up === false) return backend === 'kubo' ? 'its Kubo is down' : 'its storage is down'
  return full === true ? 'no space left' : undefined
}

function nodeRow({ node, states }: NodeLine, note: string | undefined): string[] {
  const all = [...states.values()]
  const tally = new Map<string, number>()
  let size = 0
  let last = 0
  for (const { ack, at } of all) {
    const name = ack.code === undefined ? ack.status : `${ack.status}: ${ack.code}`
    tally.set(name, (tally.get(name) ?? 0) + 1)
    size += ack.bytes ?? 0
    last = Math.max(last, at)
  }
  const word = (name: string, n: number): string => {
    const counted = all.length === 1 ? name : `${name} ${n}`
    return name === 'queued' && note !== undefined ? `${counted} (${note})` : counted
  }
  const words = [...tally].map(([name, n]) => word(name, n)).join(', ')
  return [`  ${shortNode(node)}`, words, size > 0 ? bytes(size) : '', duration(last)]
}
