/**
 * What a file and all admin operations together come to: who may command, by whose word, and which nodes are trusted. A function of the
 * set of operations, whatever the order in which they came. Pure; PROTOCOL.md "Admin operations" is the text it follows.
 */
import type { AdminOperation, CloseOperation, TrustOperation } from './admin-operations.ts'
import type { OperationState, RefusalCode } from './ack.ts'
import type { CommandId } from './envelope.ts'
import { closedAt, isWithin, type Grant } from './grants.ts'
import { MAX_KEY_LINES } from './limits.ts'
import { compareRank, type Hlc, type Rank } from './order.ts'
import type { Author, NodeId } from './ssh-key.ts'
import type { Standing } from './wish.ts'

/** What a node's own file says, and said. */
export interface FiledKeys {
  /** Keys that are in it now, from the first to the last. */
  readonly order: readonly Author[]
  /** Of every key that ever was in it, as its line stands or stood last. */
  readonly standings: ReadonlyMap<Author, Standing>
  /** Keys behind `@revoked`, in it or not. */
  readonly revoked: ReadonlySet<Author>
}

/** A command without a pinset. */
export interface AdminCommand {
  readonly id: CommandId
  readonly author: Author
  readonly time: Hlc
  /** When it was first accepted, milliseconds since the epoch. */
  readonly acceptedAt: number
  /** Undefined in the place of one that this version does not know. */
  readonly operations: readonly (AdminOperation | undefined)[]
}

/** An admin's word on a key, in force. */
export interface KeyWord {
  readonly by: Author
  readonly command: CommandId
  /** When the command was signed, milliseconds since the epoch. */
  readonly at: number
}

/** How a key stands. */
export interface KeyOutcome {
  readonly standing: Standing
  /** The message that let it in, closed or revoked it; undefined where the file alone speaks of it. */
  readonly word?: KeyWord & { readonly says: 'authorize' | 'close' | 'revoke' }
  /** The line that let it in, where a message did. */
  readonly line?: string
  /** Of a key that a message closed: the commands without a pinset that still count. */
  readonly keeps?: ReadonlySet<CommandId>
}

/** What it all comes to. */
export interface AdminOutcome {
  /** Of all keys that the file or an admin ever let in. */
  readonly keys: ReadonlyMap<Author, KeyOutcome>
  /** Nodes of which an admin spoke, and whether they are trusted. */
  readonly nodes: ReadonlyMap<NodeId, boolean>
  /** Of each command, the state of each of its operations. */
  readonly states: ReadonlyMap<CommandId, readonly OperationState[]>
}

/** One operation with all that judging it takes. */
interface Said extends Moment {
  readonly operation: AdminOperation
  readonly command: AdminCommand
}

/** Where a key stands: whether it succeeds the one that let it in, and whom it let in itself, the first said first. */
interface Place {
  readonly succeeds: boolean
  readonly below: Author[]
}

/** One thing that was said, in the order that all nodes share. */
interface Moment {
  readonly rank: Rank
  readonly index: number
}

/** What those above a key said of it: any revoke, and the newest of the others. */
interface Verdicts {
  revoked?: Said
  authorized?: Said & { readonly grant: Grant; readonly line: string }
  closed?: Close
}

type Close = Said & { readonly operation: CloseOperation }

/** Works it out, in time about proportional to the number of operations. */
export function decideKeys(filed: FiledKeys, commands: readonly AdminCommand[]): AdminOutcome {
  const said = sayings(commands)
  const places = new Map<Author, Place>()
  const verdicts = new Map<Author, Verdicts>()
  const keys = new Map<Author, KeyOutcome>()
  const nodes = new Map<NodeId, Said & { readonly operation: TrustOperation }>()
  const states = new Map(commands.map(({ id, operations }) => [id, operations.map(unheard)]))
  const verdictsOf = (author: Author): Verdicts => {
    const known = verdicts.get(author) ?? {}
    verdicts.set(author, known)
    return known
  }

  /** Puts an operation of a key in force; returns why not. Whom it is about stands below, or was not let in yet. */
  const enforce = (one: Said, grant: Grant, place: Place): RefusalCode | undefined => {
    const { operation } = one
    if (isTrust(operation)) {
      if (isNewer(one, nodes.get(operation.node))) nodes.set(operation.node, { ...one, operation })
      return undefined
    }
    const author = subjectOf(operation)
    // That it closes itself was looked at when it was judged; whoever stole it must not be able to make it fall with all it let in.
    if (author === one.command.author) return operation.op === 'close' ? undefined : 'operation'
    if (keys.has(author)) return 'operation'
    const known = verdictsOf(author)
    if (operation.op === 'revoke') known.revoked ??= one
    else if (operation.op === 'close') {
      if (isNewer(one, known.closed)) known.closed = { ...one, operation }
    } else {
      const { key, line, succeeds } = operation
      const granted = succeeds ? { ...grant, author, comment: key.comment } : endingWith(key.grant, grant)
      if (!isWithin(granted, grant)) return 'operation'
      if (!places.has(author)) {
        if (places.size >= MAX_KEY_LINES) return 'quota'
        places.set(author, { succeeds, below: [] })
        place.below.push(author)
      }
      if (isNewer(one, known.authorized)) known.authorized = { ...one, grant: granted, line }
    }
    return undefined
  }

  const decide = (author: Author): void => {
    const own = said.get(author) ?? []
    const outcome = judge(author, filed, verdicts.get(author) ?? {}, own)
    keys.set(author, outcome)
    const { grant } = outcome.standing
    const place = places.get(author) as Place
    for (const one of own) {
      const late = whyLate(one.command, outcome)
      const code = late ?? (grant.admin ? enforce(one, grant, place) : 'operation')
      const state: OperationState = code === undefined ? { status: 'applied' } : { status: 'refused', code }
      ;(states.get(one.command.id) as OperationState[])[one.index] = state
    }
  }

  /** Judges the keys at or below these, each before those that it let in, all that one let in before the next. */
  const descend = (roots: readonly Author[], isMeant: (place: Place) => boolean): void => {
    const rest = roots.toReversed()
    for (let author = rest.pop(); author !== undefined; author = rest.pop()) {
      if (!keys.has(author)) decide(author)
      for (const below of (places.get(author) as Place).below.toReversed()) if (isMeant(places.get(below) as Place)) rest.push(below)
    }
  }

  // What a key said before its line was taken away still counts, behind all that have one.
  const gone = new Set(filed.standings.keys()).difference(new Set(filed.order))
  const roots = [...filed.order, ...[...gone].toSorted()]
  for (const author of roots) places.set(author, { succeeds: false, below: [] })
  // Whoever succeeded a key of the file, and so on, stands with the file; the others come behind all of these.
  descend(roots, ({ succeeds }) => succeeds)
  descend(roots, () => true)

  for (const { id, operations } of commands) {
    const told = states.get(id) as OperationState[]
    for (const [index, operation] of operations.entries()) {
      if (operation?.op !== 'authorize' || told[index]?.status !== 'applied') continue
      // Whoever says it must not believe that he let the key in.
      if (keys.get(operation.key.author)?.standing.voided === true) told[index] = { status: 'refused', code: 'unauthorised' }
    }
  }

  return {
    keys,
    nodes: new Map([...nodes].map(([node, { operation }]) => [node, operation.op === 'trust'])),
    states
  }
}

/** How a key stands by the file, by what those above it said of it, and by what it said of itself. */
function judge(author: Author, filed: FiledKeys, { revoked, authorized, closed }: Verdicts, own: readonly Said[]): KeyOutcome {
  const base = filed.standings.get(author)
  const isInFile = base !== undefined && base.closedAt === undefined
  const letIn = isInFile ? undefined : authorized
  const grant = (letIn?.grant ?? base?.grant) as Grant
  const line = letIn === undefined ? {} : { line: letIn.line }

  if (revoked !== undefined) return { standing: { grant, voided: true }, word: wordOf(revoked, 'revoke'), ...line }
  if (filed.revoked.has(author) || base?.voided === true) return { standing: { grant, voided: true }, ...line }
  const close = firstAccepted(grant.admin ? own.filter((one) => isClose(one, author)) : [], closed)
  if (close !== undefined && isNewer(close, authorized)) {
    const { operation, command } = close
    const keeps = new Set([...operation.keeps, ...(command.author === author ? [command.id] : [])])
    return { standing: { grant, closedAt: command.acceptedAt, voided: false }, word: wordOf(close, 'close'), keeps, ...line }
  }
  if (letIn === undefined) return { standing: base as Standing }
  return { standing: { grant, voided: false }, word: wordOf(letIn, 'authorize'), ...line }
}

/**
 * Which `close` of a key holds: of its own the one that was accepted first, by our clock or that of a node we trust, and the newest of
 * others unless that came later. By their own times a thief of a key that was closed would close it anew and earlier, keeping what he likes.
 */
function firstAccepted(own: readonly Close[], others: Close | undefined): Close | undefined {
  const [first] = own.toSorted((a, b) => a.command.acceptedAt - b.command.acceptedAt || compareMoments(a, b))
  if (first === undefined || others === undefined) return first ?? others
  return first.command.acceptedAt < others.command.acceptedAt ? first : others
}

function isClose(one: Said, author: Author): one is Close {
  return one.operation.op === 'close' && one.operation.author === author
}

/** Why a command does not count for the time at which it came: undefined where it does. */
function whyLate({ id, acceptedAt }: AdminCommand, { standing, keeps }: KeyOutcome): RefusalCode | undefined {
  if (standing.voided) return 'unauthorised'
  if (keeps !== undefined) return keeps.has(id) ? undefined : 'expired'
  if (standing.closedAt !== undefined && acceptedAt > standing.closedAt) return 'expired'
  return closedAt(standing.grant, acceptedAt)
}

/** Of each author all that it said, the oldest first. */
function sayings(commands: readonly AdminCommand[]): Map<Author, Said[]> {
  const said = new Map<Author, Said[]>()
  for (const command of commands) {
    const { id, author, time, operations } = command
    const rank = { at: time, time, command: id }
    const own = said.get(author) ?? []
    for (const [index, operation] of operations.entries()) if (operation !== undefined) own.push({ rank, index, operation, command })
    said.set(author, own)
  }
  for (const own of said.values()) own.sort(compareMoments)
  return said
}

/** A grant that ends no later than another. */
function endingWith(grant: Grant, { expiryTime }: Grant): Grant {
  return expiryTime === undefined ? grant : { ...grant, expiryTime: Math.min(expiryTime, grant.expiryTime ?? expiryTime) }
}

function subjectOf(operation: Exclude<AdminOperation, TrustOperation>): Author {
  return operation.op === 'authorize' ? operation.key.author : operation.author
}

function compareMoments(a: Moment, b: Moment): number {
  return compareRank(a.rank, b.rank) || a.index - b.index
}

function isNewer(one: Moment, other: Moment | undefined): boolean {
  return other === undefined || compareMoments(one, other) > 0
}

/** The state of an operation of a key that nobody let in. */
function unheard(operation: AdminOperation | undefined): OperationState {
  return { status: 'refused', code: operation === undefined ? 'unsupported' : 'unauthorised' }
}

function isTrust(operation: AdminOperation): operation is TrustOperation {
  return operation.op === 'trust' || operation.op === 'distrust'
}

function wordOf({ command }: Said, says: 'authorize' | 'close' | 'revoke'): NonNullable<KeyOutcome['word']> {
  return { by: command.author, command: command.id, at: command.time.ms, says }
}
