/** What a sender remembers, shared by all that run in one home. `test/contract/ledger.ts` says how it behaves. */
import type { CommandId } from '../protocol/envelope.ts'
import type { Hlc } from '../protocol/order.ts'
import type { Answered, NewReceipt, PinnedRow, SentCommand } from '../protocol/records.ts'
import type { Author, NodeId } from '../protocol/ssh-key.ts'

/** The port. Bounded: beyond what `limits.ts` says the oldest commands are forgotten, with their receipts. */
export interface Ledger {
  /** A time above all that was signed here, and above `seen` unless that is further ahead than any node accepts; never the same twice, in whichever process. */
  tick(now: number, seen: Hlc | undefined): Hlc
  record(command: SentCommand): void
  /** Commands of an author that no node has accepted, oldest first, at most `limit`. */
  unaccepted(network: string, author: Author, limit: number): readonly SentCommand[]
  /** Of the `limit` newest commands of an author those that the node has not settled, as far as was heard; the newest first. */
  unsettled(network: string, author: Author, node: NodeId, limit: number): readonly CommandId[]
  /** Keeps of each node the receipt with the highest sequence; one that says so marks its command as accepted. */
  keep(receipts: readonly NewReceipt[]): void
  /** The newest command about a CID (key) in a pinset, or in any, with its receipts. */
  about(network: string, cid: string): readonly Answered[]
  /** CIDs of the newest pins that no later unpin of ours took back, in order. */
  pinned(network: string): readonly PinnedRow[]
  close(): void
}
