import { BackendError } from '../ports.ts'
import type { BackendHealth, BackendPeer } from '../ports.ts'
import type { KuboHttp } from './kubo-http.ts'
import { notKubo } from './kubo-errors.ts'

/** The first minor version of Kubo 0 whose `pin/ls` tells the name of a single pin; before, every pin would look like the operator's. */
const OLDEST_MINOR = 38
/** Time for a health check, in ms: the caller is promised an answer in two seconds. */
const HEALTH_MS = 1_800
/** Time for the daemon's peer id and addresses, in ms. */
const PEER_MS = 5_000

function checkVersion(url: string, answer: unknown): string {
  const version = (answer as { Version?: unknown } | null)?.Version
  const parts = typeof version === 'string' ? /^(\d+)\.(\d+)\./.exec(version) : null
  if (typeof version !== 'string' || parts === null) throw notKubo(url, 'version', 'an answer without a version')
  if (Number(parts[1]) === 0 && Number(parts[2]) < OLDEST_MINOR) {
    throw new BackendError(
      'failed',
      `Kubo at ${url} is version ${version}: pinsub needs 0.${OLDEST_MINOR} or later to tell its pins from yours`
    )
  }
  return version
}

/** A check before the first command: that this is a Kubo, and new enough. Asked again until it was, then never (health() does). */
export function requireVersion(http: KuboHttp, withinMs: number): (signal: AbortSignal) => Promise<void> {
  let checked = false
  return async (signal) => {
    if (checked) return
    checkVersion(http.url, await http.call('version', { lane: 'pins', withinMs, signal }))
    checked = true
  }
}

/** Asks for the version and the size of the repository; see PinBackend.health. */
export async function readHealth(http: KuboHttp): Promise<BackendHealth> {
  const send = { lane: 'control', withinMs: HEALTH_MS } as const
  // The sizes are extra: an authorization for /api/v0/pin alone does not cover them.
  const sizes = http.call('repo/stat', { ...send, query: { 'size-only': 'true' } }).catch(() => undefined)
  try {
    const version = checkVersion(http.url, await http.call('version', send))
    const { RepoSize: used, StorageMax: max } = ((await sizes) ?? {}) as { RepoSize?: unknown; StorageMax?: unknown }
    const usedBytes = typeof used === 'number' && Number.isSafeInteger(used) ? used : undefined
    // Kubo says "no limit" with the largest number it has.
    const freeBytes =
      usedBytes !== undefined && typeof max === 'number' && Number.isSafeInteger(max) ? Math.max(0, max - usedBytes) : undefined
    return { ok: true, version, ...(usedBytes !== undefined && { usedBytes }), ...(freeBytes !== undefined && { freeBytes }) }
  } catch (error) {
    const { message, code } = error as BackendError
    return { ok: false, reason: message, ...(code !== 'unavailable' && { answers: true }) }
  }
}

/** Asks for the daemon's peer id and swarm addresses, all of them; see PinBackend.peer. */
export async function readPeer(http: KuboHttp): Promise<BackendPeer | undefined> {
  try {
    const answer = (await http.call('id', { lane: 'control', withinMs: PEER_MS })) as { ID?: unknown; Addresses?: unknown }
    if (typeof answer.ID !== 'string') return undefined
    const addresses = Array.isArray(answer.Addresses) ? answer.Addresses.filter((address) => typeof address === 'string') : []
    const suffix = `/p2p/${answer.ID}`
    return {
      peer: answer.ID,
      addresses: addresses.map((address) => (address.endsWith(suffix) ? address.slice(0, -suffix.length) : address))
    }
  } catch {
    return undefined
  }
}
