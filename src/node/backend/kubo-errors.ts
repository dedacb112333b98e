import { BackendError } from '../ports.ts'
import type { BackendCode } from '../ports.ts'

/** Texts that Kubo (or the disk below it) gives as an error, most telling first. */
const TEXTS: readonly (readonly [RegExp, BackendCode])[] = [
  [/no space left|storage limit exceeded|storage ?max|disk quota|repo is full|file too large/i, 'no-space'],
  [/deadline exceeded|deadline has elapsed|timed out/i, 'timeout'],
  [
    /invalid (path|cid)|no decoder registered|unknown (codec|multihash)|pin name is|hash function|proto(buf)?: |digest too large/i,
    'invalid'
  ],
  [/could not find|not found/i, 'not-found'],
  [/context canceled|promise channel was closed|(repo|node|datastore|pinner|leveldb|database).{0,12}closed|shutting down/i, 'unavailable']
]

const MAX_QUOTED = 240

/** What a daemon said, cut and without control characters, so that it can be shown and logged. */
function quote(text: string): string {
  const plain = text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').trim()
  return plain.length > MAX_QUOTED ? `${plain.slice(0, MAX_QUOTED)}…` : plain
}

/** The error for a message that Kubo itself gave: JSON with status 500, the trailer `X-Stream-Error`, or a line in a stream. */
export function kuboSaid(url: string, command: string, message: string): BackendError {
  const code = TEXTS.find(([pattern]) => pattern.test(message))?.[1] ?? 'failed'
  const advice = {
    'no-space': '; free space there or raise its Datastore.StorageMax',
    unavailable: '; is it shutting down?'
  }
  return new BackendError(code, `Kubo at ${url}: ${command}: ${quote(message)}${advice[code as keyof typeof advice] ?? ''}`)
}

/** The error for an HTTP status other than 200 without a message of Kubo's own. */
export function httpStatus(url: string, command: string, status: number, body: string): BackendError {
  if (status === 401 || status === 403) {
    return new BackendError(
      'failed',
      `Kubo at ${url} refuses ${command} (${status}): set the authorization that its API.Authorizations asks for, ` +
        `and let its AllowedPaths hold /api/v0/${command}`
    )
  }
  const gone = status === 502 || status === 503 || status === 504
  return new BackendError(
    gone ? 'unavailable' : 'failed',
    gone
      ? `what stands before Kubo at ${url} answered ${status}: start the daemon (ipfs daemon)`
      : `${url} answered ${status} to ${command} (${quote(body) || 'empty'}): is that the address of Kubo's RPC, as Addresses.API says it?`
  )
}

/** The error for bytes that no Kubo would send. */
export function notKubo(url: string, command: string, what: string): BackendError {
  return new BackendError('failed', `what answers at ${url} is not a Kubo RPC that works: ${command}: ${quote(what)}`)
}

/** The error for a daemon that took the request, or did not even do that, and says nothing for `ms` milliseconds. */
export function silent(url: string, command: string, ms: number): BackendError {
  return new BackendError('unavailable', `no answer from Kubo at ${url} to ${command} in ${ms / 1_000} s: is the daemon hanging?`)
}

/** The error for what `node:http` throws: mostly a daemon that is not there (any more). Any other error comes back as it is. */
export function connectionError(url: string, command: string, error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (error instanceof BackendError || typeof code !== 'string') return error
  if (code.startsWith('HPE_')) return notKubo(url, command, `not HTTP (${code})`)
  if (/^(EACCES|EPERM)$/.test(code)) {
    return new BackendError('unavailable', `no permission to open ${url}: let this user read and write Kubo's socket`, { cause: error })
  }
  if (/^(ENOTFOUND|EAI_AGAIN)$/.test(code)) {
    return new BackendError('unavailable', `Kubo at ${url}: that host is not known (${code}): check the address`, { cause: error })
  }
  const gone = /^(ECONNREFUSED|ENOENT|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT)$/.test(code)
  return new BackendError(
    'unavailable',
    gone
      ? `no Kubo at ${url} (${code}): start it with "ipfs daemon", or check the address`
      : `Kubo at ${url} went away during ${command} (${code}): is the daemon restarting?`,
    { cause: error }
  )
}
