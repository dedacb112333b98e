/** What an agent says when asked over `/pinsub/query/1`. */
import { setImmediate as immediate } from 'node:timers/promises'
import { CID } from 'multiformats/cid'
import { createTurns } from '../network/turns.ts'
import { flatState } from '../protocol/ack.ts'
import type { Clock } from '../protocol/clock.ts'
import type { Envelope, Verified } from '../protocol/envelope.ts'
import { MAX_PAGE_BYTES } from '../protocol/limits.ts'
import type { PinRow, QueryPage, QueryRequest, StatusRow } from '../protocol/query.ts'
import type { HeldRow } from '../protocol/records.ts'
import { compareRank } from '../protocol/order.ts'
import { authorOf, type Author, type NodeId } from '../protocol/ssh-key.ts'
import type { AckBook } from './ack-book.ts'
import type { Asker, Checker } from './check.ts'
import { gatherRows } from './checked-rows.ts'
import type { Settler, View } from './settle.ts'
import type { Standings } from './standings.ts'
import type { Store } from './store.ts'

/** What the answers are taken from. */
export interface AnswerPorts {
  readonly store: Store
  readonly settler: Settler
  readonly standings: Standings
  readonly acks: AckBook
  readonly checker: Pick<Checker, 'check'>
  readonly clock: Clock
  isKnown(peer: NodeId): boolean
  progress(cid: string): number | undefined
  /** Own presence, as signed now. */
  ownPresence(): Promise<Verified<Envelope>>
  /** Newest presence envelopes of the others that are told of, gone ones too; `age` is how long ago that was, milliseconds. */
  otherPresences(): readonly { readonly bytes: Uint8Array; readonly age: number }[]
}

/** A CID in a pinset, or in each. */
interface Asked {
  readonly cid: string
  readonly pinset: string | undefined
}

/** Rows of a page: a row stays below 500 bytes, so that a page stays well below its bound. */
const ROWS = 1_000
/** Who waits for a check is told so often that it goes on, well within the time after which he gives up. Milliseconds. */
const CHECK_PAGE_MS = 4_000
/** CIDs of one answer that are checked at a time. */
const CHECK_WIDTH = 4
/** How long one turn of an answer lasts before others have theirs, milliseconds. */
const TURN_MS = 20
/** Bytes of a page that are left for its frame. */
const FRAME_BYTES = 1_024
/** Bytes that an envelope takes besides its own: its head, and its age. */
const ITEM_BYTES = 20

/** Makes the handler of a query server. */
export function createAnswers(
  options: { readonly network: string; readonly version: string },
  ports: AnswerPorts
): (request: QueryRequest, peer: NodeId) => AsyncGenerator<QueryPage> {
  const { store, settler, standings, clock } = ports
  const turns = createTurns(ports)

  async function* hello(signer: Uint8Array | undefined): AsyncGenerator<QueryPage> {
    const head = { page: 'hello', network: options.network, version: options.version } as const
    const grant = signer === undefined ? undefined : standings.grant(authorOf(signer), clock.now())
    const may =
      grant === undefined ? {} : { authorised: typeof grant !== 'string', ...(typeof grant === 'string' ? { closed: grant } : {}) }
    const own = await ports.ownPresence()
    const heard = [{ bytes: own.bytes, age: 0 }, ...ports.otherPresences()]
    for await (const page of pages(heard)) {
      yield { ...head, ...may, presences: page.map(({ bytes }) => bytes), ages: page.map(({ age }) => age) }
    }
  }

  function* held(pinset: string | undefined): Generator<HeldRow[]> {
    let after: HeldRow | undefined
    for (;;) {
      const rows = store.held(after, pinset, ROWS)
      if (rows.length === 0) return
      yield [...rows]
      after = rows.at(-1)
    }
  }

  const views = (cid: string, pinset: string | undefined): readonly View[] =>
    settler.view(cid, clock.now()).filter((view) => pinset === undefined || view.pinset === pinset)

  /** What is held and nobody who counts wants: kept, shown, no replica. */
  const unowned = (cid: string, pinset: string | undefined): StatusRow[] => {
    const pin = store.pin(cid)
    if (pin === undefined) return []
    const spoken = new Set(settler.view(cid, clock.now()).map((view) => view.pinset))
    const alone = store.holds(cid).filter((held) => !spoken.has(held) && (pinset === undefined || held === pinset))
    const row = {
      cid: CID.parse(pin.spelled),
      status: 'unowned',
      at: pin.pinnedAt,
      ...(pin.bytes > 0 ? { bytes: pin.bytes } : {})
    } as const
    return alone.map((held) => ({ ...row, pinset: held, ...formerPin(cid, held) }))
  }

  const formerPin = (cid: string, pinset: string): { author?: Author; name?: string } => {
    const pins = store.registers(cid).filter((register) => register.pinset === pinset && register.kind === 'pin')
    const [last] = pins.toSorted((a, b) => compareRank(b.rank, a.rank))
    return last === undefined ? {} : { author: last.author, ...(last.name === undefined ? {} : { name: last.name }) }
  }

  const statusRow = ({ pinset, want, by, state }: View): StatusRow => {
    const bytes = state.status === 'queued' ? ports.progress(by.cid) : undefined
    return {
      cid: CID.parse(by.spelled),
      pinset,
      op: want,
      ...(bytes === undefined ? flatState(state) : { status: 'pinning', bytes }),
      command: by.rank.command,
      at: store.operation(by.command, by.index)?.at ?? by.acceptedAt
    }
  }

  const statusRows = ({ cid, pinset }: Asked): StatusRow[] => [...views(cid, pinset).map(statusRow), ...unowned(cid, pinset)]

  /** Rows of one CID, as they are after the look. */
  const checkedRows = async (asked: readonly Asked[], by: Asker, signal: AbortSignal): Promise<readonly StatusRow[]> => {
    const check = await ports.checker.check((asked[0] as Asked).cid, by, signal)
    const rows = asked.flatMap(statusRows)
    return check === undefined ? rows : rows.map((row) => (row.op === 'unpin' ? row : { ...row, check }))
  }

  const pinRow = ({ pinset, by, state }: View): PinRow => ({
    cid: CID.parse(by.spelled),
    pinset,
    ...(by.name === undefined ? {} : { name: by.name }),
    author: by.author,
    at: by.rank.time.ms,
    status: state.status
  })

  /** Each costs a signature and a look at all operations of its command: some at a time, and others have their turn meanwhile. */
  async function* acks(commands: readonly string[], peer: NodeId): AsyncGenerator<Verified<Envelope>> {
    for (let next = 0; next < commands.length;) {
      const said = await turns.take(peer, async () => {
        const some: Verified<Envelope>[] = []
        const end = clock.now() + TURN_MS
        do {
          const ack = await ports.acks.current(commands[next++] as string)
          if (ack !== undefined) some.push(ack)
        } while (next < commands.length && clock.now() < end)
        return some
      })
      yield* said
      await immediate()
    }
  }

  return async function* answer(request, peer) {
    switch (request.want) {
      case 'hello':
        yield* hello(request.signer)
        return
      case 'status': {
        const groups =
          request.cids === undefined ? held(request.pinset) : [[...new Set(request.cids)].map((cid) => ({ cid, pinset: request.pinset }))]
        if (request.check === true) {
          const by = ports.isKnown(peer) ? 'known' : 'stranger'
          const rowsOf = (asked: readonly Asked[], signal: AbortSignal): Promise<readonly StatusRow[]> => checkedRows(asked, by, signal)
          const gathered = gatherRows(byCid(groups), { width: CHECK_WIDTH, most: ROWS, everyMs: CHECK_PAGE_MS, clock, rowsOf })
          for await (const rows of gathered) yield { page: 'status', rows }
        } else {
          for (const group of groups) yield { page: 'status', rows: group.flatMap(statusRows) }
        }
        return
      }
      case 'pins':
        for (const group of held(request.pinset)) {
          const wanted = group.flatMap(({ cid, pinset }) => views(cid, pinset).filter(({ want }) => want === 'pin'))
          yield { page: 'pins', rows: wanted.map(pinRow) }
        }
        return
      case 'acks':
        for await (const page of pages(acks(request.commands, peer))) yield { page: 'acks', acks: page.map(({ bytes }) => bytes) }
    }
  }
}

function* byCid(groups: Iterable<readonly Asked[]>): Generator<readonly Asked[]> {
  for (const group of groups) yield* Map.groupBy(group, ({ cid }) => cid).values()
}

/** Gathers envelopes into groups that each fit a page; always at least one group. */
async function* pages<T extends { readonly bytes: Uint8Array }>(items: Iterable<T> | AsyncIterable<T>): AsyncGenerator<T[]> {
  let group: T[] = []
  let size = 0
  for await (const item of items) {
    if (size + item.bytes.byteLength > MAX_PAGE_BYTES - FRAME_BYTES) {
      yield group
      // Whoever reads fast must not keep others waiting.
      await immediate()
      group = []
      size = 0
    }
    group.push(item)
    size += item.bytes.byteLength + ITEM_BYTES
  }
  yield group
}
