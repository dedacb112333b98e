/** One dial, and in plain words why it failed. */
import type { Connection } from '@libp2p/interface'
import { peerIdFromString } from '@libp2p/peer-id'
import type { Multiaddr } from '@multiformats/multiaddr'
import type { NodeId } from '../protocol/ssh-key.ts'
import { hostPort, parseMultiaddr, peerIn } from './addresses.ts'
import { NetworkError } from './errors.ts'
import type { Host } from './host.ts'
import { SWARM_KEY_FAULTS } from './private-network.ts'

/** How long an address is tried before it counts as silent. */
export const CONNECT_MS = 5_000

/**
 * Connects to one of the addresses (texts; all of one peer, or one without /p2p), or finds the connection that is there.
 * Rejects with a {@link NetworkError} that names the address and the way out, or with the signal's reason.
 */
export async function reach(
  host: Host,
  addresses: readonly string[],
  options: { readonly signal: AbortSignal; readonly ms?: number }
): Promise<Connection> {
  const targets = addresses.map(parseMultiaddr)
  const ms = options.ms ?? CONNECT_MS
  const timeout = AbortSignal.timeout(ms)
  if (targets.some((target) => peerIn(target) === host.id)) {
    throw itself(targets)
  }
  try {
    return await host.libp2p.dial(targets, { signal: AbortSignal.any([options.signal, timeout]) })
  } catch (err) {
    options.signal.throwIfAborted()
    throw dialError(err, targets, timeout.aborted ? ms : undefined)
  }
}

/** A connection to a peer by its id, which must be connected, or by a multiaddr. Rejects as {@link reach} does. */
export async function reachTarget(host: Host, target: NodeId | string, signal: AbortSignal): Promise<Connection> {
  if (target.startsWith('/')) return reach(host, [target], { signal })
  const open = host.libp2p.getConnections(peerIdFromString(target)).find(({ status }) => status === 'open')
  if (open === undefined) throw new NetworkError('unreachable', `no link to ${target}: give its address`)
  return open
}

function itself(targets: readonly Multiaddr[], cause?: unknown): NetworkError {
  return new NetworkError('address', `${targets.map(hostPort).join(', ')} is this host itself: give the address of another`, { cause })
}

/** The text of every error below this one. */
function causes(err: unknown): readonly string[] {
  if (err instanceof AggregateError) return err.errors.flatMap(causes)
  if (!(err instanceof Error)) return [String(err)]
  const code = 'code' in err ? String(err.code) : ''
  return [`${err.name} ${code} ${err.message}`, ...(err.cause === undefined ? [] : causes(err.cause))]
}

function dialError(err: unknown, targets: readonly Multiaddr[], timedOut: number | undefined): NetworkError {
  const where = targets.map(hostPort).join(', ')
  const port = targets[0]?.getComponents().find(({ name }) => name === 'tcp')?.value ?? ''
  const wanted = targets[0] === undefined ? undefined : peerIn(targets[0])
  const cause = { cause: err }
  const text = causes(err).join('\n')
  if (/dial self/.test(text)) return itself(targets, err)
  if (/does not match expected remote identity/.test(text)) {
    const found = /identity key (\w+) does/.exec(text)?.[1]
    return new NetworkError(
      'peer-id',
      `${where} is not ${wanted}${found === undefined ? '' : ` but ${found}`}: its key changed, or it is another node; compare with what "pinsub node" printed there`,
      cause
    )
  }
  if (text.includes(SWARM_KEY_FAULTS.differs)) {
    const out = 'compare the two files, or leave --swarm-key out where the network has none'
    return new NetworkError(
      'swarm-key',
      `${where} answers, but not with the swarm key given here: it has another one or none; ${out}`,
      cause
    )
  }
  if (text.includes(SWARM_KEY_FAULTS.wanted)) {
    const out = 'name the swarm key of that network with --swarm-key FILE'
    return new NetworkError(
      'swarm-key',
      `${where} answers as a node of a private network does: ${out} (or is ${port} another port?)`,
      cause
    )
  }
  if (text.includes('ECONNREFUSED')) {
    return new NetworkError('refused', `${where} refused the connection: is "pinsub node" running there, and is ${port} its port?`, cause)
  }
  if (/EHOSTUNREACH|ENETUNREACH|EADDRNOTAVAIL/.test(text)) {
    return new NetworkError(
      'unreachable',
      `there is no way to ${where} from here: is this machine online, and is the address right?`,
      cause
    )
  }
  if (timedOut !== undefined || /TimeoutError|timed out|ETIMEDOUT/i.test(text)) {
    const after = timedOut === undefined ? '' : ` in ${timedOut / 1_000} s`
    return new NetworkError('timeout', `no answer from ${where}${after}: is TCP ${port} open?`, cause)
  }
  return new NetworkError('protocol', `${where} answers, but not as a pinsub node: is ${port} the right port?`, cause)
}
