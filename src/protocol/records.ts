/** What agents and senders remember: the shapes that their stores keep and their parts speak of. */
import type { FailureCode, OperationState, RefusalCode } from './ack.ts'
import type { AdminKind } from './admin-operations.ts'
import type { CommandId } from './envelope.ts'
import type { FaultCode } from './errors.ts'
import type { Hlc } from './order.ts'
import type { Author, NodeId } from './ssh-key.ts'
import type { Register } from './wish.ts'

/** A command as stored; `seq` is this store's own short name for it. */
export interface StoredCommand {
  readonly seq: number
  readonly id: CommandId
  readonly author: Author
  readonly pinset: string | undefined
  readonly time: Hlc
  readonly acceptedAt: number
  readonly envelope: Uint8Array
}

/** A command as a member of its author's set. */
export interface SetMember {
  readonly author: Author
  readonly pinset: string | undefined
  /** Of its time, milliseconds since the epoch. */
  readonly ms: number
  readonly id: CommandId
  /** Of its envelope. */
  readonly bytes: number
}

/** A register with what acting on it needs. CIDs are keys ({@link cidKey}) but for `spelled`. */
export interface StoredRegister extends Register {
  readonly cid: string
  readonly pinset: string
  /** `seq` of its command. */
  readonly command: number
  /** The CID as its author wrote it. */
  readonly spelled: string
  readonly name?: string
  /** Multiaddrs, text. */
  readonly origins?: readonly string[]
  /** Of a pin that its author is charged for: the node holds it or is to fetch it. `bytes` once it was pinned here, and then for as long as that is so. */
  readonly charge?: { readonly bytes?: number }
}

/** What an author is charged for on a node. */
export interface Usage {
  /** Pins that are held or being fetched, each CID once a pinset. */
  readonly pins: number
  /** Of these, the bytes of what is or was pinned here. */
  readonly bytes: number
}

/** What is held for a CID, durably. */
export interface StoredPin {
  readonly cid: string
  readonly spelled: string
  readonly bytes: number
  readonly foreign: boolean
  /** Milliseconds since the epoch. */
  readonly pinnedAt: number
}

/** Something to do for a CID; at most one at a time. */
export interface Job {
  /** Grows; a replaced job has another. */
  readonly id: number
  readonly cid: string
  readonly action: 'pin' | 'unpin'
  readonly spelled: string
  readonly origins: readonly string[]
  /** Tries that failed. */
  readonly attempt: number
  /** Why the last try failed. */
  readonly code?: FailureCode
  /** Not before this; milliseconds since the epoch. */
  readonly nextAt: number
}

/** An operation and how far it has come. */
export interface StoredOperation {
  readonly command: number
  readonly index: number
  readonly cid: string | undefined
  readonly state: OperationState
  /** When that state was reached; milliseconds since the epoch. */
  readonly at: number
}

/** A command that was not taken, and how many others like it were not in the same seconds. */
export interface StoredRefusal {
  /** When the first one was heard; milliseconds since the epoch. */
  readonly at: number
  /** When the last one was heard. */
  readonly until: number
  readonly code: RefusalCode | FaultCode
  /** Whose it says it is; undefined where it cannot be read, or for the rest of a flood. */
  readonly author?: Author
  /** Whether the signature was checked: else anybody may have written that author in. */
  readonly isProven: boolean
  /** The first one. */
  readonly command?: CommandId
  readonly pinset?: string
  /** Who published the first one. */
  readonly peer: NodeId
  /** How many followed it. */
  readonly more: number
}

/** A row of a listing: a pinset's hold on a CID and the register that decides it, if any counts. */
export interface HeldRow {
  readonly cid: string
  readonly pinset: string
}

/** What a command that was signed here can ask for. */
export type SentKind = 'pin' | 'unpin' | AdminKind

/** A command that was signed here. */
export interface SentCommand {
  readonly id: CommandId
  readonly network: string
  readonly author: Author
  /** '' for admin operations. */
  readonly pinset: string
  readonly time: Hlc
  readonly envelope: Uint8Array
  /** What it asks for, in order; CIDs as keys, for an admin operation the key or node that it is about. */
  readonly operations: readonly { readonly op: SentKind; readonly cid: string }[]
}

/** A node's newest signed word on a command, verifiable offline. */
export interface Receipt {
  readonly command: CommandId
  readonly node: NodeId
  readonly sequence: number
  /** The ack envelope. */
  readonly envelope: Uint8Array
}

/** A receipt as it came, with what it says in short. */
export interface NewReceipt extends Receipt {
  /** The node took the command, for at least one of its operations. */
  readonly accepted: boolean
  /** Every operation came to an end there: nothing more is to be expected until something new is said. */
  readonly settled: boolean
}

/** A command with what nodes said to it. */
export interface Answered {
  readonly command: SentCommand
  readonly receipts: readonly Receipt[]
}

/** A CID (key) in a pinset. */
export interface PinnedRow {
  readonly cid: string
  readonly pinset: string
}
