/** What a changed authorized_keys file would do to a node, foretold by what agents do when it comes into force. */
import { existsSync } from 'node:fs'
import { readAuthorizedKeysText } from '../identity/authorized-keys-file.ts'
import { parseAuthorizedKeys, parseKeyLine, withExtra, type AuthorizedKeys } from '../protocol/authorized-keys.ts'
import type { Clock } from '../protocol/clock.ts'
import { closedAt } from '../protocol/grants.ts'
import type { StoredRegister } from '../protocol/records.ts'
import type { Author } from '../protocol/ssh-key.ts'
import { changedStandings } from '../protocol/standings.ts'
import { formatOptions } from '../protocol/key-options.ts'
import { decide, type Standing } from '../protocol/wish.ts'
import { openStateReader } from '../storage/state-reader.ts'
import { keyOutcome } from './key-outcome.ts'

/** What becomes of a key: it may command, may not yet, is closed, is voided, or may do other things than before. */
export type KeyTurn = 'in' | 'not-yet' | 'closed' | 'revoked' | 'options'

/** A key that the file changes. */
export interface TurnedKey {
  readonly author: Author
  readonly turn: KeyTurn
  /** As the node goes by it now; undefined for a key that never counted. */
  readonly before: Standing | undefined
  readonly after: Standing
}

/**
 * A CID in a pinset whose lot changes: `unowned`, kept and no replica, as nobody whose word counts wants it; `released`, let go of for an
 * unpin that decides again; `wanted`, pinned again, as the unpin or the closing that let it go counts no more.
 */
export interface KeyEffect {
  readonly effect: 'unowned' | 'released' | 'wanted'
  /** As it was sent. */
  readonly cid: string
  readonly pinset: string
  /** Whose pin falls (`unowned`), or whose word decides now. */
  readonly author: Author
}

/** A check that has begun: it shows the node as it was then. */
export interface KeyCheck extends Disposable {
  /** What the file says, with the lines that count besides it. */
  readonly keys: AuthorizedKeys
  /** Whether an agent ever ran in this home; else every key is new. */
  readonly hasState: boolean
  readonly turned: readonly TurnedKey[]
  /** Once; read from the store as they are taken. */
  readonly effects: Iterable<KeyEffect>
}

/** Where it looks; all paths are absolute. */
export interface KeyCheckOptions {
  readonly network: string
  readonly file: string
  readonly stateDb: string
  /** Key lines that count besides the file. */
  readonly authorize: readonly string[]
  /** Whether what admins said by message counts. */
  readonly obeysMessages: boolean
}

/** Begins a check, beside a running agent or without one; writes nothing. Throws `StorageError`, and `IdentityError` for a file that would count for nothing. */
export async function openKeyCheck(options: KeyCheckOptions, { clock }: { readonly clock: Clock }): Promise<KeyCheck> {
  const { file, stateDb, authorize } = options
  const extra = authorize.map((line) => parseKeyLine(line).grant)
  const keys = withExtra(parseAuthorizedKeys(await readAuthorizedKeysText(file)), extra)
  const state = existsSync(stateDb) ? openStateReader(stateDb) : undefined
  try {
    const now = clock.now()
    const known = state?.standings() ?? new Map<Author, Standing>()
    const { network, obeysMessages } = options
    const changed = changedStandings(known, keyOutcome(state, keys, { network, obeysMessages, now }))
    const turned = [...changed].flatMap(([author, after]) => {
      const before = known.get(author)
      const turn = turnOf(before, after, now)
      return turn === undefined ? [] : [{ author, turn, before, after }]
    })
    return {
      keys,
      hasState: state !== undefined,
      turned,
      effects: effectsOf(
        state?.registersOf(changed.keys()) ?? [],
        (cid, pinset) => state?.isHeld(cid, pinset) === true,
        known,
        changed,
        now
      ),
      [Symbol.dispose]: () => state?.[Symbol.dispose]()
    }
  } catch (err) {
    state?.[Symbol.dispose]()
    throw err
  }
}

function turnOf(before: Standing | undefined, after: Standing, now: number): KeyTurn | undefined {
  const turn = lotOf(after, now)
  if (before === undefined || lotOf(before, now) !== turn) return turn
  return formatOptions(before.grant) === formatOptions(after.grant) ? undefined : 'options'
}

function lotOf({ grant, voided, closedAt: closed }: Standing, now: number): Exclude<KeyTurn, 'options'> {
  if (voided) return 'revoked'
  const code = closed === undefined ? closedAt(grant, now) : 'expired'
  return code === undefined ? 'in' : code === 'expired' ? 'closed' : 'not-yet'
}

function* effectsOf(
  groups: Iterable<readonly StoredRegister[]>,
  isHeld: (cid: string, pinset: string) => boolean,
  known: ReadonlyMap<Author, Standing>,
  changed: ReadonlyMap<Author, Standing>,
  now: number
): Generator<KeyEffect> {
  for (const registers of groups) {
    for (const [pinset, group] of Map.groupBy(registers, (register) => register.pinset)) {
      const before = decide(group, pinset, (author) => known.get(author), now)
      const after = decide(group, pinset, (author) => changed.get(author) ?? known.get(author), now)
      if (before.want === after.want) continue
      const by = (after.by ?? before.by) as StoredRegister
      const told = { cid: by.spelled, pinset, author: by.author }
      if (after.want === 'pin') yield { effect: 'wanted', ...told }
      else if (after.want === 'none' ? before.want === 'pin' : isHeld(by.cid, pinset))
        yield { effect: after.want === 'none' ? 'unowned' : 'released', ...told }
    }
  }
}
