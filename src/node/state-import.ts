/** Takes over a state file into a home whose agent does not run: keys first, then command by command, each verified like a fresh one. */
import type { Clock } from '../protocol/clock.ts'
import { InvalidMessageError } from '../protocol/errors.ts'
import type { Grant } from '../protocol/grants.ts'
import type { HeldRow } from '../protocol/records.ts'
import type { Author } from '../protocol/ssh-key.ts'
import type { StateCommand } from '../protocol/state-lines.ts'
import type { Admitted } from './admission.ts'
import type { RefusedLine, StateEnding, StateFile } from './state-file.ts'
import { createKeyring, IMPORT_BATCH, openHome, type HomeOptions, type KeyWord, type OpenHome } from './state-home.ts'
import type { Store } from './store.ts'

/** Keys whose commands were left out that are named: a file may make up as many as it likes. */
const MAX_NAMED = 1_000

/** Holds counted at a time. */
const PAGE = 1_000

const AHEAD = "signed more than five minutes ahead of this machine's clock: is it right?"

/** What an import takes from its caller. */
export interface StateImportPorts {
  readonly clock: Clock
  /** Ends the import between two transactions; what was stored stays. */
  readonly signal: AbortSignal
  /** Called once, when the home is locked and before anything is written. */
  begin(): Promise<void>
  /** A line is not taken; the others are. */
  onRefused(line: RefusedLine): void
  /** So many commands were looked at. */
  onProgress(commands: number): void
}

/** Why good commands do not count in this home: what it says of their key, or that the author has reached its limit. */
export type LeftOutCode = 'unauthorised' | 'revoked' | 'not-yet' | 'expired' | 'pinset' | 'quota'

/** Commands of one author that do not count in this home. */
export interface LeftOut {
  readonly author: Author
  readonly code: LeftOutCode
  readonly commands: number
  /** What the file says of the key. */
  readonly key: KeyWord | undefined
}

/** What came of an import. */
export interface StateImported {
  /** Commands that were stored. */
  readonly stored: number
  /** Commands that were here. */
  readonly known: number
  /** Commands that others outrank. */
  readonly superseded: number
  /** Commands that do not count in this home, and of whom; at most a thousand are named. */
  readonly omitted: number
  readonly leftOut: readonly LeftOut[]
  /** Lines that were not taken. */
  readonly refused: number
  readonly ending: StateEnding
  /** Keys that may command because the file says so; undefined where the home has a file of its own. */
  readonly granted: readonly Grant[] | undefined
  /** Nodes whose word counts because the file says so. */
  readonly trusted: number
  /** CIDs that the home is to hold now. */
  readonly cids: number
}

/**
 * Imports a file; see {@link openHome} for what becomes of its keys and what this throws, besides what the file's source throws.
 * Importing again changes nothing. Of a file that ends before its first command nothing is taken, as its keys may be cut.
 */
export async function importState(file: StateFile, options: Omit<HomeOptions, 'network'>, ports: StateImportPorts): Promise<StateImported> {
  const { clock, signal } = ports
  const { network } = file.head
  const keyring = createKeyring(clock.now())
  const tally: Record<Admitted, number> = { held: 0, known: 0, passed: 0, unauthorised: 0, expired: 0, skew: 0, pinset: 0, quota: 0 }
  const leftOut = new Map<string, LeftOut>()
  let refused = 0
  let seen = 0

  const refuse = (line: RefusedLine): void => {
    refused++
    ports.onRefused(line)
  }

  const leaveOut = (author: Author, admitted: Exclude<Admitted, 'held' | 'known' | 'passed' | 'skew'>, home: OpenHome): void => {
    const standing = home.standings.get(author)
    const code = admitted !== 'unauthorised' || standing === undefined ? admitted : standing.voided ? 'revoked' : 'not-yet'
    const name = `${author} ${code}`
    const commands = leftOut.get(name)?.commands ?? 0
    if (commands > 0 || leftOut.size < MAX_NAMED) leftOut.set(name, { author, code, commands: commands + 1, key: keyring.of(author) })
  }

  const take = async (home: OpenHome, some: readonly Numbered[]): Promise<void> => {
    let admitted: readonly Admitted[]
    try {
      admitted = await home.admission.take(
        some.map(({ command }) => command),
        { isVouched: true }
      )
    } catch (err) {
      if (!(err instanceof InvalidMessageError)) throw err
      const [first, ...others] = some as readonly [Numbered, ...Numbered[]]
      if (others.length === 0) return refuse({ kind: 'refused', number: first.number, code: err.code, message: err.message })
      // The door does not say which one it was.
      const half = some.length >> 1
      await take(home, some.slice(0, half))
      return take(home, some.slice(half))
    }
    for (const [i, { number, command }] of some.entries()) {
      const what = admitted[i] as Admitted
      tally[what]++
      if (what === 'skew') refuse({ kind: 'refused', number, code: 'skew', message: AHEAD })
      else if (what !== 'held' && what !== 'known' && what !== 'passed') leaveOut(command.author, what, home)
    }
  }

  let home: OpenHome | undefined
  let batch: Numbered[] = []
  const open = (): Promise<OpenHome> => openHome(keyring, { ...options, network }, { clock, begin: ports.begin })
  const flush = async (): Promise<void> => {
    signal.throwIfAborted()
    home ??= await open()
    if (batch.length > 0) await take(home, batch)
    ports.onProgress((seen += batch.length))
    batch = []
  }
  try {
    for await (const each of file.lines) {
      if (each.kind === 'refused') refuse(each)
      else if (each.line.kind === 'command') {
        batch.push({ number: each.number, command: each.line })
        if (batch.length === IMPORT_BATCH) await flush()
      } else {
        const message = keyring.add(each.line)
        if (message !== undefined) refuse({ kind: 'refused', number: each.number, code: 'shape', message })
      }
    }
    if (batch.length > 0 || file.ending().isEnded) await flush()
    await home?.settled()
    return {
      stored: tally.held,
      known: tally.known,
      superseded: tally.passed,
      omitted: tally.unauthorised + tally.expired + tally.pinset + tally.quota,
      leftOut: [...leftOut.values()],
      refused,
      ending: file.ending(),
      granted: home?.granted(),
      trusted: home?.trusted ?? 0,
      cids: home === undefined ? 0 : countHeld(home.store)
    }
  } finally {
    home?.[Symbol.dispose]()
  }
}

interface Numbered {
  readonly number: number
  readonly command: StateCommand
}

function countHeld(store: Store): number {
  let cids = 0
  for (let last: HeldRow | undefined; ;) {
    const page = store.held(last, undefined, PAGE)
    for (const row of page) {
      if (row.cid !== last?.cid) cids++
      last = row
    }
    if (page.length < PAGE) return cids
  }
}
