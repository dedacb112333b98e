/** Which entries of the log are meant. */
import type { CID } from 'multiformats/cid'
import { parseDuration } from '../../config/units.ts'
import { cidKey, parseCid } from '../../protocol/cid.ts'
import { cidsOf } from '../../protocol/command.ts'
import type { BareRow, LogEntry, LogSource } from '../../protocol/log-entry.ts'
import { CliError, EXIT } from '../exit.ts'

/** Kinds of operations in pinsets; all others are told as an admin's. */
const PINSET_KINDS: ReadonlySet<string> = new Set(['pin', 'unpin', 'update'])

/** Entries shown on a terminal where nothing says how many. */
const DEFAULT_LIMIT = 50

/** The options of `pinsub log`, as given. */
export interface LogFlags {
  readonly since?: string
  readonly until?: string
  readonly author?: string
  readonly cid?: string
  readonly pinset?: string
  /** `admin` is all kinds but the other three. */
  readonly op?: 'pin' | 'unpin' | 'update' | 'admin'
  readonly source?: LogSource
  readonly refused?: boolean
  readonly limit?: string
  readonly follow?: boolean
  readonly verify?: string
}

/** What is meant. */
export interface LogFilter {
  /** Milliseconds since the epoch; from `since` on, before `until`. */
  readonly since: number
  readonly until: number
  /** The newest so many; undefined for all. */
  readonly limit: number | undefined
  readonly source: LogSource | undefined
  /** Looks at a row before it is decoded, which is the dear part: false only where the entry is not meant. */
  mayMatch(row: BareRow): boolean
  matches(entry: LogEntry): boolean
}

/** Reads the options; `named` says what an author is called. Throws a usage error. */
export function readFilter(flags: LogFlags, now: number, json: boolean, named: (author: string) => string | undefined): LogFilter {
  const { author, pinset, op, refused = false } = flags
  const cid = flags.cid === undefined ? undefined : parseCid(flags.cid)
  const isAuthor = (claimed: string | undefined): boolean =>
    author === undefined ||
    (claimed !== undefined && (author.startsWith('SHA256:') ? claimed.startsWith(author) : named(claimed) === author))
  const isAll = json || flags.since !== undefined || flags.until !== undefined
  return {
    since: flags.since === undefined ? 0 : readTime('--since', flags.since, now),
    until: flags.until === undefined ? Number.MAX_SAFE_INTEGER : readTime('--until', flags.until, now),
    limit: flags.limit === undefined ? (isAll ? undefined : DEFAULT_LIMIT) : readLimit(flags.limit),
    source: flags.source,
    mayMatch(row) {
      if (row.kind === 'refusal') return cid === undefined && op === undefined && isAuthor(row.refusal.author)
      return isAuthor(row.author) && (cid === undefined || names(row.envelope, cid))
    },
    matches(entry) {
      if (entry.kind === 'refusal') return pinset === undefined || entry.refusal.pinset === pinset
      const { operations } = entry.command
      return (
        (pinset === undefined || entry.command.pinset === pinset) &&
        (op === undefined || operations.some(({ op: kind }) => (PINSET_KINDS.has(kind) ? kind : 'admin') === op)) &&
        (cid === undefined || operations.some((operation) => cidsOf(operation).some((one) => cidKey(one) === cidKey(cid)))) &&
        (!refused || isRefused(entry))
      )
    }
  }
}

function isRefused({ states, answers }: Exclude<LogEntry, { kind: 'refusal' }>): boolean {
  const told = [...[...states.values()].map(({ state }) => state), ...answers.flatMap(({ ack }) => ack.states)]
  return told.some(({ status }) => status === 'refused')
}

/** Whether the bytes name the content, in whichever version of its CID. */
function names({ buffer, byteOffset, byteLength }: Uint8Array, { multihash }: CID): boolean {
  return Buffer.from(buffer, byteOffset, byteLength).includes(Buffer.from(multihash.bytes))
}

function readLimit(text: string): number {
  const limit = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(limit) && limit >= 1) return limit
  throw new CliError(EXIT.usage, 'usage', `--limit "${text}": a number from 1 on was expected`)
}

/** A day or a moment in UTC or with its offset, or how long ago. */
function readTime(flag: string, text: string, now: number): number {
  const wrong = (): never => {
    const message = `${flag} "${text}": a time was expected`
    throw new CliError(EXIT.usage, 'usage', message, 'write it like 2026-11-01 (UTC), 2026-11-01T09:30:00Z or 24h (so long ago)')
  }
  if (/^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d))?$/.test(text)) {
    const [day = ''] = text.split('T')
    const ms = Date.parse(text)
    // Date.parse takes 31 February for 3 March.
    return Number.isNaN(ms) || new Date(Date.parse(day)).toISOString().slice(0, 10) !== day ? wrong() : ms
  }
  try {
    return now - parseDuration(text)
  } catch {
    return wrong()
  }
}
