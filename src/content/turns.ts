/**
 * Sends a peer what it wants a turn at a time. `@helia/bitswap` reads all that a peer wants, then sends it: 10 KB of wants are 512 blocks
 * in memory, and as many of each peer. It has no option for it, so this wraps the method of its ledgers that does it.
 */
import type { PeerId } from '@libp2p/interface'
import type { CID } from 'multiformats/cid'
import { MAX_SERVED_BYTES, MAX_TURN_BYTES } from '../protocol/limits.ts'
import { createBudget } from './budget.ts'
import { ContentError } from './errors.ts'

/** A turn that takes longer is followed by smaller ones. */
const QUICK_MS = 2_500

interface Want {
  readonly cid: CID
  /** Only what has the status `want` is sent. */
  status: string
}

/** The part of Helia's ledger of one peer that is used here. */
interface Ledger {
  readonly peerId: PeerId
  readonly wants: ReadonlyMap<string, Want>
  addWants(wantlist?: unknown): void
  /** Forgets what was sent so long ago that it may be wanted again. */
  removeExpiredWants(): void
  sendBlocksToPeer(options?: unknown): Promise<void>
}

/** Where a broker of Helia keeps its ledgers. */
interface Ledgers {
  readonly bitswap?: { readonly peerWantLists?: { readonly ledgerMap?: Map<PeerId, Ledger> } }
}

/** What turns are made with. */
export interface TurnPorts {
  /** The size of a block; undefined when it is not here. */
  size(cid: CID): Promise<number | undefined>
  /** Resolves when the peer has taken what was just sent to it; rejects when it did not. */
  taken(peer: PeerId): Promise<void>
}

/**
 * Has the broker serve in turns: as many bytes as the peer has shown to take soon, {@link MAX_TURN_BYTES} at most, one block at least.
 * What a peer has not shown to take is of another budget, and of a third one where it did not take the last: peers that take nothing hold
 * up others of their kind, and nobody else.
 */
export function serveInTurns(broker: object, ports: TurnPorts): void {
  const ledgers = (broker as Ledgers).bitswap?.peerWantLists?.ledgerMap
  if (ledgers === undefined) throw new ContentError('failed', 'this version of @helia/bitswap keeps its ledgers elsewhere')
  const shown = createBudget(MAX_SERVED_BYTES)
  const unproven = createBudget(MAX_SERVED_BYTES)
  const failed = createBudget(MAX_SERVED_BYTES)

  function wrap(ledger: Ledger): void {
    const { peerId, wants } = ledger
    const add = ledger.addWants.bind(ledger)
    const send = ledger.sendBlocksToPeer.bind(ledger)
    let credit = 0
    let hasFailed = false
    let last = { over: Promise.resolve() }

    /** Sends these wants and no others. */
    function sendOnly(turn: ReadonlySet<Want>, options: unknown): Promise<void> {
      const others = [...wants.values()].filter((want) => want.status === 'want' && !turn.has(want))
      for (const want of others) want.status = 'later'
      // It has looked at them when it returns.
      const sent = send(options)
      for (const want of others) want.status = 'want'
      return sent
    }

    /** Sends a turn; what it gives resolves when the peer has taken it, or has not. */
    async function take(turn: ReadonlySet<Want>, bytes: number, options: unknown): Promise<{ over: Promise<void> }> {
      // Who has taken nothing yet has one turn in memory.
      if (credit === 0) await last.over
      const release = await (bytes <= credit ? shown : hasFailed ? failed : unproven).take(bytes)
      const began = performance.now()
      const over = sendOnly(turn, options)
        .then(() => (bytes > 0 ? ports.taken(peerId) : undefined))
        .then(
          () => {
            // Other bitswaps give up a message that takes ten seconds.
            const isQuick = performance.now() - began < QUICK_MS
            credit = isQuick ? Math.min(credit + bytes, MAX_TURN_BYTES) : credit / 2
            hasFailed &&= bytes === 0
          },
          () => {
            // What was lost is asked for again.
            credit = 0
            hasFailed = true
          }
        )
        .finally(release)
      return { over }
    }

    // It does so only when it sends, and then forgets what was just wanted again.
    ledger.addWants = (wantlist) => {
      ledger.removeExpiredWants()
      add(wantlist)
    }

    ledger.sendBlocksToPeer = async (options) => {
      let turn = new Set<Want>()
      let bytes = 0
      const next = async (): Promise<void> => {
        const before = last
        last = await take(turn, bytes, options)
        // One turn is read while another is on its way.
        await before.over
        turn = new Set()
        bytes = 0
      }
      for (const want of [...wants.values()].filter(({ status }) => status === 'want')) {
        const size = (await ports.size(want.cid).catch(() => undefined)) ?? 0
        if (bytes > 0 && bytes + size > credit) await next()
        if (ledgers?.get(peerId) !== ledger) return
        turn.add(want)
        bytes += size
      }
      if (turn.size > 0) await next()
    }
  }

  const set = ledgers.set.bind(ledgers)
  ledgers.set = (peer, ledger) => {
    wrap(ledger)
    return set(peer, ledger)
  }
}
