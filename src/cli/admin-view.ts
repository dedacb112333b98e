/** Says something of keys or nodes to every node, and shows which of them put it in force. */
import type { Sender } from '../sender/sender.ts'
import type { AdminEvent, AdminRequest, Outcome } from '../sender/types.ts'
import type { Context } from './context.ts'
import { EXIT } from './exit.ts'
import { count, duration, shortNode, table } from './format.ts'
import { silentRows } from './silent.ts'

type Ack = Extract<AdminEvent, { readonly event: 'ack' }>

/** Why a node did not do what an admin said. */
const REASONS: Readonly<Record<string, string>> = {
  unauthorised: 'your key does not count there: it is not in authorized_keys, or was closed or revoked',
  expired: 'your key is closed there',
  skew: 'your clock is more than five minutes ahead of theirs',
  operation:
    'your key may not do that there: its line lacks "admin" or grants less, the key you name stands above it, or --no-remote-keys is set',
  quota: 'your key has reached its limit there',
  unsupported: 'an older version'
}

/** While nothing is heard, the lines are drawn anew this often, milliseconds. */
const TICK_MS = 1_000

/** Sends, shows, and returns how it ended; what is in force is said by `done`. */
export async function sayEverywhere(
  sender: Sender,
  requests: readonly AdminRequest[],
  { config, output, signal }: Context,
  done: string
): Promise<Outcome> {
  const begun = performance.now()
  const options = { signal, timeout: config.timeout, ...(config.wait === undefined ? {} : { wait: config.wait }) }
  const events = sender.admin(requests, options)
  const acks = new Map<string, Ack>()
  let reached = Infinity
  let wanted = 0
  const elapsed = (): number => performance.now() - begun
  const lines = (): string[] =>
    table([
      ...[...acks.values()].map(({ node, status, code }) => [`  ${shortNode(node)}`, code === undefined ? status : `${status}: ${code}`]),
      ...silentRows(sender.nodes(), (node) => acks.has(node), { elapsed: elapsed(), now: Date.now() })
    ])
  using ticking = new DisposableStack()
  ticking.adopt(
    setInterval(() => output.live(lines()), TICK_MS),
    clearInterval
  )
  for (;;) {
    const next = await events.next()
    if (next.done === true) {
      output.settle()
      signal.throwIfAborted()
      conclude(next.value)
      return next.value
    }
    const event = next.value
    output.event(event)
    if (event.event === 'ack') {
      // Of several operations the one that is worst off speaks for the node.
      const before = acks.get(event.node)
      if (before === undefined || before.subject === event.subject || before.status === 'applied') acks.set(event.node, event)
      if (elapsed() > 300) output.live(lines())
    } else if (event.event === 'done') {
      reached = Math.min(reached, event.replicas)
      wanted = event.wanted
    }
  }

  function conclude(outcome: Outcome): void {
    const isRefused = [...acks.values()].some(({ status }) => status === 'refused')
    if (outcome !== 'reached' || isRefused) output.note(lines().join('\n'))
    for (const code of new Set(
      [...acks.values()].flatMap(({ status, code: why }) => (status === 'refused' && why !== undefined ? [why] : []))
    )) {
      output.note(`refused: ${REASONS[code] ?? code}`)
    }
    const score = `${reached}/${count(wanted, 'node')}`
    if (outcome === 'reached') output.result(`${done} on ${score} in ${duration(elapsed())}`)
    else if (outcome === 'short') {
      output.result(
        `in force on ${score} after ${duration(elapsed())}. It was said and stands: nodes that were off learn it from the others`
      )
    } else output.result('refused by every node reached: nothing changed')
  }
}

/** The exit code of an outcome. */
export function exitOf(outcome: Outcome): number {
  return { reached: EXIT.ok, short: EXIT.short, refused: EXIT.refused }[outcome]
}
