/** What the agent needs from the world; composition roots and tests decide what stands behind it. */
import type { CID } from 'multiformats/cid'

/** Why a backend could not do a job. `unavailable`: the daemon does not answer, wait for it; all others are retried with backoff. */
export type BackendCode = 'unavailable' | 'timeout' | 'not-found' | 'no-space' | 'too-large' | 'invalid' | 'failed'

/** The one error that backends throw (an abort rejects with the signal's reason instead). */
export class BackendError extends Error {
  override readonly name = 'BackendError'
  readonly code: BackendCode

  constructor(code: BackendCode, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
  }
}

/** How far a pin has come; both grow and never shrink within one call. */
export interface PinProgress {
  readonly blocks: number
  readonly bytes: number
}

/** What a pin call may be told. */
export interface PinOptions {
  readonly signal: AbortSignal
  /** Multiaddrs with /p2p of peers that may hold the content; dialled first, failures ignored. */
  readonly origins: readonly string[]
  readonly onProgress?: (progress: PinProgress) => void
}

/** What a backend holds of a pinned DAG. */
export interface PinStat {
  /** Size of all blocks of the DAG, each counted once; undefined where the daemon does not tell cheaply. */
  readonly bytes?: number
  /** Whether the pin is the operator's own: found before we added it, without our name. */
  readonly foreign: boolean
}

/**
 * What a look at every block of a pinned DAG found. `missing`: it is not pinned, or a block is gone. `damaged`: the bytes of a block are
 * not those that its CID names.
 */
export type PinCheck = 'held' | 'missing' | 'damaged'

/** Whether a backend can work now. */
export type BackendHealth =
  | { readonly ok: true; readonly version: string; readonly freeBytes?: number; readonly usedBytes?: number; readonly pins?: number }
  | {
      readonly ok: false
      readonly reason: string
      /** Set where something answers that cannot be used: too old, no permission, no Kubo at all. */
      readonly answers?: true
    }

/** Where the content of a backend can be reached: what presence tells others. */
export interface BackendPeer {
  /** The backend's own peer id. Two agents with one are one replica. */
  readonly peer: string
  /** Its swarm multiaddrs, without /p2p. */
  readonly addresses: readonly string[]
}

/**
 * Where content is kept. Implementations pass `test/contract/pin-backend.ts`.
 * Pins are recursive, durable when the promise resolves, and idempotent: repeating a call is harmless.
 */
export interface PinBackend {
  readonly kind: 'helia' | 'kubo'
  /** How many pin calls it serves best at a time; the queue never makes more. */
  readonly concurrency: number
  start(): Promise<void>
  stop(): Promise<void>
  /**
   * Fetches what is missing and holds all of it. After a rejection nothing is pinned and nothing is left that is never freed. Of what is
   * pinned already every block is looked at, and what is gone is fetched again; then it stays pinned whatever comes of that.
   */
  pin(cid: CID, options: PinOptions): Promise<PinStat>
  /**
   * Dials peers (multiaddrs with /p2p) that may hold what is pinned here, now or later: in the background, each address
   * rarely, failures ignored.
   */
  reach(addresses: readonly string[]): void
  /** Lets go of our pin. Resolves without effect when it is not pinned or is the operator's. */
  unpin(cid: CID, options: { readonly signal: AbortSignal }): Promise<void>
  /** Our own pins (never the operator's), in no order. */
  list(options: { readonly signal: AbortSignal }): AsyncIterable<CID>
  /** What is held for one CID; undefined when it is not pinned at all. */
  stat(cid: CID, options: { readonly signal: AbortSignal }): Promise<PinStat | undefined>
  /**
   * Reads all of a pinned DAG, ours or the operator's, from the disk, and checks each hash; fetches nothing. Takes as long as the disk
   * does: end it by the signal. Rejects where it cannot look.
   */
  check(cid: CID, options: { readonly signal: AbortSignal }): Promise<PinCheck>
  /** Asks the daemon or the disk; answers within two seconds and never throws. */
  health(): Promise<BackendHealth>
  /** Where its content can be reached now; undefined when unknown. */
  peer(): Promise<BackendPeer | undefined>
}

/** Where an agent's own words go; what comes from the network is said at `debug` only. */
export interface Log {
  debug(message: string): void
  info(message: string): void
  warn(message: string): void
}
