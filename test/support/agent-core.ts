/** The agent without network and backend: real store in memory, settler, standings and intake on a manual clock. */
import { createIntake, type Intake } from '../../src/node/intake.ts'
import { createAdmission, type Admission } from '../../src/node/admission.ts'
import { createCaps, type Caps } from '../../src/node/caps.ts'
import { createRecorder } from '../../src/node/record.ts'
import type { Claim } from '../../src/node/refusal-book.ts'
import { openCommandSets, type AuthorLimits, type CommandSets } from '../../src/node/sets.ts'
import { createSettler, noChanges, type Changes, type Settler } from '../../src/node/settle.ts'
import { openStandings, type Standings, type StandingsPorts } from '../../src/node/standings.ts'
import type { Store } from '../../src/node/store.ts'
import type { OperationState } from '../../src/protocol/ack.ts'
import type { AuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import type { CommandId } from '../../src/protocol/envelope.ts'
import type { Grant } from '../../src/protocol/grants.ts'
import type { Author } from '../../src/protocol/ssh-key.ts'
import { openNodeStore } from '../../src/storage/node-store.ts'
import { createManualClock, type ManualClock } from './clock.ts'

/** What the tests hold in hand. */
export interface AgentCore extends Disposable {
  readonly store: Store
  readonly caps: Caps
  readonly settler: Settler
  readonly standings: Standings
  readonly intake: Intake
  readonly admission: Admission
  readonly sets: CommandSets
  readonly clock: ManualClock
  readonly refusals: { peer: string; command: CommandId; code: string }[]
  readonly answers: { id: CommandId; states: readonly OperationState[] }[]
  /** What the log is told. */
  readonly noted: { code: string; claim: Claim; peer: string }[]
  readonly changes: Changes[]
  /** Puts an authorized_keys file in force. */
  authorise(grants: readonly Grant[], revoked?: readonly Author[]): Promise<void>
  /** The book of authors as a process that is started again has it. */
  reopenStandings(): Standings
  /** Hears a command and stores it; the verdict and the reason. */
  hear(bytes: Uint8Array): string
  states(id: CommandId): readonly OperationState[]
  /** Plays the queue: the CID's pin has fetched so much. */
  fetched(cid: string, bytes: number): void
  /** Plays the queue: does the CID's job at once. */
  done(cid: string, bytes?: number): void
}

/** Makes one; `log` keeps quiet. */
export function createAgentCore(
  options: {
    readonly file?: string
    readonly limits?: AuthorLimits
    readonly obeysMessages?: boolean
    readonly isHeld?: () => boolean
  } = {}
): AgentCore {
  const store: Store = openNodeStore(options.file ?? ':memory:')
  const clock = createManualClock()
  const { obeysMessages = true } = options
  const standings = openStandings(store, { network: 'net', obeysMessages })
  const caps = createCaps(store, standings.get)
  const settler = createSettler({ store, standing: standings.get, caps })
  const sets = openCommandSets(store, options.limits)
  const record = createRecorder(store, settler)
  const settlePorts = (): StandingsPorts => ({ settler, now: clock.now(), onChanges })
  const onChanges = (change: Changes): void => {
    sets.apply(change.sets)
    changes.push(change)
    if (change.admin.length > 0) standings.hear(change.admin, settlePorts()).settled.catch(() => {})
  }
  const refusals: AgentCore['refusals'] = []
  const answers: AgentCore['answers'] = []
  const noted: AgentCore['noted'] = []
  const changes: Changes[] = []
  const log = { debug() {}, info() {}, warn() {} }
  const intake = createIntake(
    { network: 'net' },
    {
      store,
      record,
      standings,
      sets,
      clock,
      log,
      isHeld: options.isHeld ?? (() => false),
      refuse: (peer, refusal) => refusals.push({ peer, ...refusal }),
      answer: (id, states) => answers.push({ id, states }),
      refusals: { note: (code, claim, peer) => noted.push({ code, claim, peer }) },
      onChanges
    }
  )
  const fetched = (cid: string, bytes: number): void => {
    if (caps.fetched(cid, bytes)) store.transaction(() => settler.settle(cid, clock.now(), noChanges()))
    if (store.job(cid)?.action !== 'pin') caps.ended(cid)
  }
  const admission = createAdmission({ network: 'net' }, { store, record, standings, sets, clock, knows: intake.knows, onChanges })
  return {
    store,
    caps,
    settler,
    standings,
    intake,
    admission,
    sets,
    clock,
    refusals,
    answers,
    noted,
    changes,
    reopenStandings: () => openStandings(store, { network: 'net', obeysMessages }),
    async authorise(grants, revoked = []) {
      const keys: AuthorizedKeys = {
        grants: new Map(grants.map((grant) => [grant.author, grant])),
        revoked: new Set(revoked),
        problems: [],
        skipped: 0,
        lines: new Map()
      }
      await standings.apply(keys, settlePorts())
    },
    hear(bytes) {
      const judgement = intake.judge(bytes, 'peer')
      clock.advance(0)
      return judgement.verdict === 'accept' ? 'accept' : `${judgement.verdict} ${judgement.reason}`
    },
    states: (id) => store.operations(store.command(id)?.seq ?? -1).map(({ state }) => state),
    fetched,
    done(cid, bytes = 10) {
      const job = store.job(cid)
      if (job === undefined) throw new Error(`no job for ${cid}`)
      if (job.action === 'pin') fetched(cid, bytes)
      caps.ended(cid)
      if (store.job(cid)?.id !== job.id) return
      store.transaction(() => {
        store.removeJob(cid)
        if (job.action === 'unpin') store.removePin(cid)
        else store.putPin({ cid, spelled: job.spelled, bytes, foreign: false, pinnedAt: clock.now() })
        settler.settle(cid, clock.now(), noChanges())
      })
    },
    [Symbol.dispose]: () => store.close()
  }
}
