/**
 * Agents without network and backend that can be killed between any two transactions and started again over their file: the real
 * store, settler, standings, intake, admission, sets, expiry and retention. The backend is played: what it does and what of it is
 * written are two things.
 */
import { CID } from 'multiformats/cid'
import { createAdmission, type Admission, type Admitted } from '../../src/node/admission.ts'
import { createCaps } from '../../src/node/caps.ts'
import { createExpiry } from '../../src/node/expiry.ts'
import { createIntake, type Intake } from '../../src/node/intake.ts'
import { createRecorder } from '../../src/node/record.ts'
import { createRetention } from '../../src/node/retention.ts'
import { openCommandSets, type CommandSets } from '../../src/node/sets.ts'
import { createSettler, noChanges, type Changes, type Settler } from '../../src/node/settle.ts'
import { openStandings, type Standings } from '../../src/node/standings.ts'
import type { Store } from '../../src/node/store.ts'
import type { FailureCode } from '../../src/protocol/ack.ts'
import type { AuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import { cidKey } from '../../src/protocol/cid.ts'
import type { Clock } from '../../src/protocol/clock.ts'
import { commandIdFrom, type CommandId } from '../../src/protocol/envelope.ts'
import { coversPinset } from '../../src/protocol/grants.ts'
import { MAX_SYNC_MESSAGE_BYTES } from '../../src/protocol/limits.ts'
import type { StoredCommand } from '../../src/protocol/records.ts'
import type { SetDigest, SetName } from '../../src/protocol/sync/digest.ts'
import { createItemSet } from '../../src/protocol/sync/item-set.ts'
import { createInitiator, respond } from '../../src/protocol/sync/negentropy.ts'
import { openNodeStore } from '../../src/storage/node-store.ts'

/** The machine's clock, whose timers run late: only when they are asked to, and then at the time that it is. */
interface LateClock extends Clock {
  isDue(): boolean
  /** Runs what is due, and what of that is due at once. */
  run(): void
}

/** What a process is made of; all of it but the file is gone when it is killed. */
interface Process {
  readonly store: Store
  readonly settler: Settler
  readonly standings: Standings
  readonly intake: Intake
  readonly admission: Admission
  readonly sets: CommandSets
  readonly clock: LateClock
  onChanges(changes: Changes): void
  start(): void
}

/** One agent. */
export interface SimulatedAgent extends Disposable {
  /** The process that runs now. */
  readonly run: Process
  /** Whether it was killed: then nothing is to be done but {@link SimulatedAgent.restart}. */
  readonly isDead: boolean
  /** CIDs (keys) that the backend has, one for each spelling that it has. */
  contents(): readonly string[]
  /** It dies instead of starting another transaction once it has made so many more. */
  killAfter(transactions: number): void
  /** Transactions since it was told when to die, or started. */
  commits(): number
  /** Starts anew over the file; what was not durable is gone. */
  restart(keys: AuthorizedKeys): Promise<void>
  /** A file of keys comes into force; resolves also when it dies of it. */
  read(keys: AuthorizedKeys): Promise<void>
  /** Does the CID's job: `done` is written, `lost` is done but not written, any other is a failure. */
  work(cid: string, outcome: 'done' | 'lost' | FailureCode): void
}

class Killed extends Error {}

/**
 * Starts one over `file`, or over `:memory:`, which then outlives its processes; `wall` is what its clock shows, milliseconds since
 * the epoch.
 */
export async function startSimulatedAgent(file: string, wall: () => number, keys: AuthorizedKeys): Promise<SimulatedAgent> {
  /** A daemon knows a CID and its twin of the other version as two. */
  const backend = new Set<string>()
  let fuse = Infinity
  let commits = 0
  let isDead = false

  let real: Store = openNodeStore(file)

  const open = (): Process => {
    const transaction: Store['transaction'] = (work) => {
      isDead ||= commits >= fuse
      if (isDead) throw new Killed('killed')
      commits++
      return real.transaction(work)
    }
    const store: Store = { ...real, transaction }
    const clock = createLateClock(wall)
    const log = { debug() {}, info() {}, warn() {} }
    const standings = openStandings(store, { network: 'net' })
    const caps = createCaps(store, standings.get)
    const settler = createSettler({ store, standing: standings.get, caps })
    const sets = openCommandSets(store)
    const record = createRecorder(store, settler)
    const onChanges = (changes: Changes): void => {
      sets.apply(changes.sets)
      retention.apply(changes.sets)
      expiry.changed()
    }
    const retention = createRetention({ store, clock, log })
    const expiry = createExpiry({ store, settler, clock, log, mayExpire: () => true, onChanges })
    const ports = {
      store,
      record,
      standings,
      sets,
      clock,
      log,
      refuse() {},
      isHeld: () => false,
      answer() {},
      refusals: { note() {} },
      onChanges
    }
    const intake = createIntake({ network: 'net' }, ports)
    const admission = createAdmission({ network: 'net' }, { ...ports, knows: intake.knows })
    const start = (): void => {
      retention.start()
      expiry.start()
    }
    return { store, settler, standings, intake, admission, sets, clock, onChanges, start }
  }

  let run = open()

  const read = async (next: AuthorizedKeys): Promise<void> => {
    await run.standings.apply(next, { settler: run.settler, now: wall(), onChanges: run.onChanges }).catch(expectKilled)
  }

  const start = async (next: AuthorizedKeys): Promise<void> => {
    await read(next)
    run.start()
  }

  await start(keys)
  return {
    get run() {
      return run
    },
    get isDead() {
      return isDead
    },
    contents: () => [...backend].map((spelled) => cidKey(CID.parse(spelled))),
    killAfter(transactions) {
      commits = 0
      fuse = transactions
    },
    commits: () => commits,
    async restart(next) {
      if (file !== ':memory:') {
        real.close()
        real = openNodeStore(file)
      }
      fuse = Infinity
      commits = 0
      isDead = false
      run = open()
      await start(next)
    },
    read,
    work(cid, outcome) {
      const { store, settler, onChanges } = run
      const job = store.job(cid)
      if (job === undefined) throw new Error(`no job for ${cid}`)
      if (outcome === 'done' || outcome === 'lost') {
        if (job.action === 'pin') backend.add(job.spelled)
        else backend.delete(job.spelled)
      }
      if (outcome === 'lost') return
      const changes = noChanges()
      try {
        store.transaction(() => {
          if (outcome !== 'done') store.retryJob(job.id, job.attempt + 1, outcome, wall() + 1_000)
          else {
            store.removeJob(cid)
            if (job.action === 'unpin') store.removePin(cid)
            else store.putPin({ cid, spelled: job.spelled, bytes: 10, foreign: false, pinnedAt: wall() })
          }
          settler.settle(cid, wall(), changes)
        })
        onChanges(changes)
      } catch (err) {
        expectKilled(err)
      }
    },
    [Symbol.dispose]: () => real.close()
  }
}

/** What came of pulling one set. */
export interface Pulled {
  readonly name: SetName
  /** What was fetched, in order. */
  readonly offered: readonly StoredCommand[]
  /** What became of each; undefined where the taker was killed. */
  readonly admitted: readonly Admitted[] | undefined
  /** What the peer has and was not asked for. */
  readonly passedOver: readonly CommandId[]
}

/** Pulls one set of a peer, by the real reconciliation. `most` is how many commands come before the link breaks. */
export async function pullSet(
  to: SimulatedAgent,
  from: SimulatedAgent,
  name: SetName,
  options: { readonly isVouched: boolean; readonly most: number }
): Promise<Pulled> {
  const need: CommandId[] = []
  const theirs = from.run.sets.get(name) ?? createItemSet()
  const initiator = createInitiator(to.run.sets.get(name) ?? createItemSet(), { maxBytes: MAX_SYNC_MESSAGE_BYTES })
  for (let message: Uint8Array | undefined = initiator.start(); message !== undefined;) {
    message = initiator.next(respond(theirs, message, { maxBytes: MAX_SYNC_MESSAGE_BYTES }))
  }
  need.push(...initiator.need.map(commandIdFrom))
  const wanted = need.filter((id) => to.run.admission.lacks(id)).slice(0, options.most)
  const offered = wanted.map((id) => from.run.store.command(id) as StoredCommand)
  const admitted = await to.run.admission.take(offered, { set: name, isVouched: options.isVouched }).catch(expectKilled)
  return { name, offered, admitted, passedOver: need.filter((id) => !to.run.admission.lacks(id) && !wanted.includes(id)) }
}

/** The sets that a peer shows, and, unless it is greedy, `to` wants; those without a pinset first. */
export function setsToPull(to: SimulatedAgent, from: SimulatedAgent, isGreedy: boolean): readonly SetDigest[] {
  const wants = ({ author, pinset }: SetName): boolean => {
    const standing = to.run.standings.get(author)
    return standing !== undefined && !standing.voided && (pinset === undefined || coversPinset(standing.grant, pinset))
  }
  const shown = from.run.sets.digests().filter(({ author }) => from.run.standings.get(author)?.voided !== true)
  return shown.filter((set) => isGreedy || wants(set)).toSorted((a, b) => Number(a.pinset !== undefined) - Number(b.pinset !== undefined))
}

function expectKilled(err: unknown): undefined {
  if (!(err instanceof Killed)) throw err
}

function createLateClock(wall: () => number): LateClock {
  let timers: { readonly at: number; readonly fn: () => void }[] = []
  const isDue = (): boolean => timers.some(({ at }) => at <= wall())
  return {
    now: wall,
    after(ms, fn) {
      const timer = { at: wall() + Math.max(0, ms), fn }
      timers.push(timer)
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    isDue,
    run() {
      while (isDue()) {
        const first = timers.reduce((a, b) => (b.at < a.at ? b : a))
        timers = timers.filter((other) => other !== first)
        first.fn()
      }
    }
  }
}
