/** The public vocabulary of a sender: plain data, the same that `--json` prints. CIDs and node ids are text, times RFC 3339, sizes bytes. */

/** An operation that people send. */
export type Op = 'pin' | 'unpin'

/** How far a node has come with one CID. */
export type AckStatus = 'accepted' | 'queued' | 'pinning' | 'pinned' | 'unpinned' | 'superseded' | 'failed' | 'refused' | 'applied'

/** A command left for at least one node. */
export interface SentEvent {
  readonly event: 'sent'
  /** Command id, hex. */
  readonly command: string
  /** How many CIDs it names. */
  readonly cids: number
  /** Nodes it was handed to directly; they relay it. */
  readonly nodes: readonly string[]
}

/** A node said something new about a CID, signed. */
export interface AckEvent {
  readonly event: 'ack'
  readonly command: string
  readonly cid: string
  readonly op: Op
  readonly node: string
  readonly status: AckStatus
  /** Why it failed or was refused. */
  readonly code?: string
  /** Fetched so far, or held; absent where the backend does not tell. */
  readonly bytes?: number
  /** Whether the node is one of `knownNodes`; always false where none are known. */
  readonly trusted: boolean
}

/** How it ended for one CID; one for each, last. */
export interface DoneEvent {
  readonly event: 'done'
  readonly cid: string
  readonly op: Op
  readonly replicas: number
  readonly wanted: number
  readonly result: 'ok' | 'short' | 'refused'
  /** The likely reason and the way out, where a clock is to blame. */
  readonly hint?: string
}

/** How a send ended: enough replicas, too few in time, or refused. */
export type Outcome = 'reached' | 'short' | 'refused'

/** What a send tells, in this order. */
export type SendEvent = SentEvent | AckEvent | DoneEvent

/** How far an import or a transfer has come. */
export interface ProgressEvent {
  readonly event: 'progress'
  readonly bytes: number
  readonly total: number
}

/** A path was imported. */
export interface ImportedEvent {
  readonly event: 'imported'
  readonly cid: string
  /** Bytes of content. */
  readonly bytes: number
  readonly files: number
}

/** What `add` tells. */
export type AddEvent = ProgressEvent | ImportedEvent | SendEvent

/** How one node stands with one CID in one pinset. */
export interface StatusEvent {
  readonly event: 'status'
  readonly cid: string
  readonly pinset: string
  readonly node: string
  /** What is wanted there; null where nobody who counts wants anything. */
  readonly op: Op | null
  /** `unowned`: held, and wanted by nobody who counts; no replica. */
  readonly status: AckStatus | 'unowned'
  readonly code?: string
  readonly bytes?: number
  /**
   * What it found when it looked at every block, where that was asked for: `missing` and `damaged` ones it fetches again, `unknown` is
   * one that it could not look at. Absent where there was nothing to look for, and from nodes too old to look.
   */
  readonly check?: 'held' | 'missing' | 'damaged' | 'unknown'
  /** Of what is `unowned`: fingerprint of the key whose pin it was. */
  readonly author?: string
  /** Of what is `unowned`: the name that this pin had. */
  readonly name?: string
  /** When the node came into this state. */
  readonly at: string
  /** Asked just now, or its last signed word kept here. */
  readonly source: 'live' | 'receipt'
  readonly trusted: boolean
}

/** What a status may be told. */
export interface StatusOptions {
  /** Only this pinset; each unless said. */
  readonly pinset?: string
  /** Has every node read all of what it holds first. Takes as long as its disk does: only silence ends it. */
  readonly check?: boolean
  /** Called as answers come in, with the number of rows that a node has sent. */
  readonly onProgress?: (node: string, rows: number) => void
  /** Called with each node whose answer is left out for being too long, and why. */
  readonly onLeftOut?: (node: string, reason: string) => void
  readonly signal?: AbortSignal
}

/** A CID that somebody wants held. */
export interface PinEvent {
  readonly event: 'pin'
  readonly cid: string
  readonly pinset: string
  readonly name?: string
  /** Fingerprint of the key that asked for it. */
  readonly author: string
  readonly at: string
  /** Nodes that were asked and want it. */
  readonly nodes: readonly string[]
}

/** A node, as it described itself last. */
export interface NodeEvent {
  readonly event: 'node'
  readonly node: string
  readonly addresses: readonly string[]
  readonly state: 'online' | 'gone'
  readonly last_seen: string | null
  readonly backend: 'helia' | 'kubo' | null
  /** Whether the backend could work when the node spoke last; null where it never spoke. */
  readonly up: boolean | null
  /** It has no space left for what it was asked to hold. */
  readonly full?: true
  readonly version: string | null
  readonly trusted: boolean
  /** Commands it lacks, at least so many; null where that is not known. */
  readonly behind: number | null
  /** An author reached its limit there: of that one it takes only unpins, which does not count as behind. */
  readonly capped?: true
  /** By how much its clock is ahead of the others', milliseconds; only where that is more than five minutes either way. */
  readonly clock_off_ms?: number
  /** It says that its clock is off that of its known nodes: no pin expires there. */
  readonly clock_off?: true
  /** Bytes free for content. */
  readonly free?: number
}

/** Something that an admin wants of every node. Keys are fingerprints, `SHA256:…`. */
export type AdminRequest =
  /** Lets a key in, by a line of authorized_keys; with `succeeds` in the place of the key that signs, with its rights. */
  | { readonly op: 'authorize'; readonly line: string; readonly succeeds?: boolean }
  /** `close`: nothing new of the key counts. `revoke`: nothing that it ever said counts, for good. */
  | { readonly op: 'close' | 'revoke'; readonly key: string }
  /** Makes nodes take another for one of them, or not any more. */
  | { readonly op: 'trust' | 'distrust'; readonly node: string }

/** What a send of admin operations tells; `subject` is the key or node that it is about. */
export type AdminEvent =
  | (Omit<SentEvent, 'cids'> & { readonly operations: number })
  | (Omit<AckEvent, 'cid' | 'op'> & { readonly op: AdminRequest['op']; readonly subject: string })
  | (Omit<DoneEvent, 'cid' | 'op'> & { readonly op: AdminRequest['op']; readonly subject: string })

/** What a pin or unpin may be told. */
export interface SendOptions {
  /** Shown in listings. */
  readonly name?: string
  /** Names of single CIDs, as events spell these; `name` is for the others. */
  readonly names?: ReadonlyMap<string, string>
  /** `default` unless said. */
  readonly pinset?: string
  /** Replication factor, signed into the command. */
  readonly replicas?: number
  /** Multiaddrs with /p2p of peers that have the content. */
  readonly origins?: readonly string[]
  /** How many nodes must hold it before the send ends; the factor, else all known nodes, else all present, unless said. */
  readonly wait?: number | 'all'
  /** Milliseconds without progress after which the send ends short; 60,000 unless said. */
  readonly timeout?: number
  /** Ends at the first node that accepted. */
  readonly detach?: boolean
  /** Ends the send; what was published stands. */
  readonly signal?: AbortSignal
}

/** What `add` may be told besides. */
export interface AddOptions extends SendOptions {
  /** Whether files whose names start with a dot are imported too. */
  readonly hidden?: boolean
}

/** A node that a connect reached. */
export interface Reached {
  readonly node: string
  readonly address: string
  /** Milliseconds to the connection. */
  readonly ms: number
  /** Whether the sender's key may command it. */
  readonly authorised: boolean
  /** Why not, where its file says more. */
  readonly closed?: string
}
