/** The agent's memory, as its parts need it. `test/contract/store.ts` says how it behaves. All calls are synchronous. */
import type { FailureCode } from '../protocol/ack.ts'
import type { CommandId } from '../protocol/envelope.ts'
import type { Hlc } from '../protocol/order.ts'
import type {
  HeldRow,
  Job,
  SetMember,
  StoredCommand,
  StoredOperation,
  StoredPin,
  StoredRefusal,
  StoredRegister,
  Usage
} from '../protocol/records.ts'
import type { Author } from '../protocol/ssh-key.ts'
import type { CapCode, Standing } from '../protocol/wish.ts'

/** The port. */
export interface Store {
  /** Runs `work` in one transaction: durable when it returns, undone when it throws. Does not nest. */
  transaction<T>(work: () => T): T
  /** The next value of a counter that never repeats, not even after a crash. */
  next(counter: string): number

  /** How authors stand by the file and by what admins said. */
  standings(): ReadonlyMap<Author, Standing>
  putStanding(author: Author, standing: Standing): void
  /** How authors stand by the file alone. */
  filed(): ReadonlyMap<Author, Standing>
  putFiled(author: Author, standing: Standing): void
  /** Authors whose standing changed and whose CIDs are not all settled by it. */
  unsettled(): readonly Author[]
  markUnsettled(author: Author): void
  markSettled(author: Author): void

  command(id: CommandId): StoredCommand | undefined
  commandBySeq(seq: number): StoredCommand | undefined
  /** All commands without a pinset, in the order in which they came. */
  adminCommands(): readonly StoredCommand[]
  /** Returns the `seq` of a command that was not known. */
  addCommand(command: Omit<StoredCommand, 'seq'>): number
  /** A command came by catching up: nobody waits for acks of it until it is heard of by gossip. */
  hush(command: number): void
  unhush(command: number): void
  isQuiet(command: number): boolean
  /** The newest time in any stored command. */
  newest(): Hlc | undefined

  /**
   * Stores the register if it outranks the one in its place; says whether it did, and what it pushed out. The place keeps its charge; that
   * it was refused is forgotten.
   */
  offerRegister(register: StoredRegister): { readonly taken: boolean; readonly other?: StoredRegister }
  registers(cid: string): readonly StoredRegister[]
  /** CIDs that an update, by whomever, replaced by this one. */
  replacedBy(cid: string): readonly string[]
  /** Marks what an operation holds, both registers of an update, as refused for a cap. */
  refuse(command: number, index: number, code: CapCode): void
  /** Takes that mark from all of an author. */
  forgetRefusals(author: Author): void
  /** Charges the author for its pin, with the bytes of what is pinned, now or from when it is; no effect where it is charged. */
  charge(pin: Pick<StoredRegister, 'cid' | 'pinset' | 'author'>): void
  discharge(pin: Pick<StoredRegister, 'cid' | 'pinset' | 'author'>): void
  /** What an author is charged for; takes as long for a million pins as for one. */
  usage(author: Author): Usage
  /** Who is charged for pins of the CID that were never pinned here, and for how many. */
  payers(cid: string): ReadonlyMap<Author, number>
  /** Whether the command holds any register. */
  holdsRegister(command: number): boolean
  /** Notes that a command holds no register any more, once. */
  pass(command: number, at: number): void
  /** All commands that hold a register, the oldest rows first; may be slow, and reads while it is iterated. */
  setMembers(): Iterable<SetMember>
  /**
   * Removes commands that passed before `before`, and of the others all but the `keep` latest; at most `limit`, returns how many. They
   * go on in the history that the log reads, which keeps as much as `limits.ts` says.
   */
  forgetPassed(before: number, keep: number, limit: number): number
  /** CIDs after `after` on which the author has a register, in order, at most `limit`. */
  cidsOfAuthor(author: Author, after: string, limit: number): readonly string[]
  /** CIDs with a pin that expires after `after` and not after `now`, each once. */
  expiring(after: number, now: number): readonly string[]
  /** When the next pin expires after `now`. */
  nextExpiry(now: number): number | undefined

  putOperation(operation: StoredOperation): void
  operations(command: number): readonly StoredOperation[]
  /** Whether an operation of the command still waits to be done (`accepted` or `queued`). */
  isOpen(command: number): boolean
  operation(command: number, index: number): StoredOperation | undefined

  /** Notes refusals for the log, which keeps as many as `limits.ts` says, the latest. */
  addRefusals(refusals: readonly StoredRefusal[]): void

  holds(cid: string): readonly string[]
  hold(cid: string, pinset: string): void
  release(cid: string, pinset: string): void
  /** Holds after (`cid`, `pinset`) in order, of one pinset where it is given. */
  held(after: HeldRow | undefined, pinset: string | undefined, limit: number): readonly HeldRow[]

  pin(cid: string): StoredPin | undefined
  putPin(pin: StoredPin): void
  removePin(cid: string): void
  /** Pins of CIDs after `after`, in order, at most `limit`. */
  pins(after: string, limit: number): readonly StoredPin[]
  pinCount(): number

  job(cid: string): Job | undefined
  /** Puts a fresh job in place of any other for the CID. */
  putJob(job: Omit<Job, 'id' | 'attempt' | 'code'>): void
  /** Puts a job off after a failure; no effect when it was replaced meanwhile. */
  retryJob(id: number, attempt: number, code: FailureCode, nextAt: number): void
  /** Lets the CID's job start now. */
  hastenJob(cid: string, now: number): void
  /** Lets all jobs start now whose last try failed with this code. */
  hastenJobs(code: FailureCode, now: number): void
  /** Whether there is a job whose last try failed with this code. */
  isPutOff(code: FailureCode): boolean
  removeJob(cid: string): void
  /** Jobs due at `now`, of one kind where it is given: fresh before retried, then by due time; at most `limit`. */
  dueJobs(now: number, limit: number, action?: Job['action']): readonly Job[]
  /** When the next job is due. */
  nextDue(): number | undefined
  jobCount(): number

  close(): void
}
