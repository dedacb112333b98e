/** What a file and admin operations come to, for keys whose blobs hold 32 equal bytes, named by that byte as a letter. */
import { authorizeOperation, type AdminOperation } from '../../../src/protocol/admin-operations.ts'
import { decideKeys, type AdminCommand } from '../../../src/protocol/admin.ts'
import { parseAuthorizedKeys } from '../../../src/protocol/authorized-keys.ts'
import { authorOf, formatPublicKey, keyBlob, nodeIdOf } from '../../../src/protocol/ssh-key.ts'
import { plain } from './plain.ts'

type Op =
  | { readonly op: 'authorize'; readonly line: string; readonly succeeds?: true }
  | { readonly op: 'close'; readonly key: string; readonly keeps: readonly string[] }
  | { readonly op: 'revoke'; readonly key: string }
  | { readonly op: 'trust' | 'distrust'; readonly node: string }

/** A command as the vectors write it: `by` a letter; times are milliseconds, accepted when signed unless said. */
export interface AdminVectorCommand {
  readonly id: string
  readonly by: string
  readonly time: number
  readonly accepted: number
  readonly ops: readonly Op[]
}

/** A vector. */
export interface AdminVector {
  readonly name: string
  readonly comment: string
  /** Text of authorized_keys, that was never different. */
  readonly file: string
  readonly commands: readonly AdminVectorCommand[]
  /** Of each key that was ever let in, by letter: `open`, `closed` (with when) or `revoked`. */
  readonly keys: Readonly<Record<string, string>>
  /** Of each command, the state of each operation. */
  readonly states: Readonly<Record<string, readonly string[]>>
  /** Nodes of which an admin spoke, and whether they are trusted. */
  readonly nodes: Readonly<Record<string, boolean>>
}

const blobOf = (letter: string): Uint8Array => keyBlob(new Uint8Array(32).fill(letter.charCodeAt(0)))
const line = (letter: string, options = ''): string => `${options}${formatPublicKey(blobOf(letter), letter)}`
const node = nodeIdOf(blobOf('n'))
const FILE = [line('a', 'admin '), line('b', 'admin '), line('c')].join('\n')

const authorize = (letter: string, options = ''): Op => ({ op: 'authorize', line: line(letter, options) })
const succeed = (letter: string): Op => ({ op: 'authorize', line: line(letter), succeeds: true })
const revoke = (key: string): Op => ({ op: 'revoke', key })
const close = (key: string, ...keeps: string[]): Op => ({ op: 'close', key, keeps: keeps.map(idOf) })
const said = (name: string, by: string, time: number, ...ops: Op[]): AdminVectorCommand => ({ id: idOf(name), by, time, accepted: time, ops })

const CASES: readonly [name: string, comment: string, commands: readonly AdminVectorCommand[], file?: string][] = [
  ['let-in', 'an admin lets a key in', [said('1', 'a', 1, authorize('x', 'ops="pin" '))]],
  ['no-admin', 'a key without admin changes nothing', [said('1', 'c', 1, authorize('x'), revoke('b'), { op: 'trust', node })]],
  [
    'more-than-it-has',
    'nobody grants more than it has',
    [said('1', 'a', 1, authorize('x'), authorize('y', 'pinset="site-1" '), authorize('z', 'pinset="s*" '))],
    line('a', 'admin,pinset="site-*" ')
  ],
  ['each-other', 'two admins revoke each other: the higher one stays', [said('1', 'b', 1, revoke('a')), said('2', 'a', 2, revoke('b'))]],
  ['upwards', 'nobody closes or revokes upwards', [said('1', 'b', 1, revoke('a'), close('a'))]],
  [
    'falls',
    'with a revoked key falls what it let in, at any number of hands',
    [said('1', 'b', 1, authorize('x', 'admin ')), said('2', 'x', 1, authorize('y'), revoke('z')), said('3', 'a', 2, revoke('b'), authorize('z'))]
  ],
  ['race', 'a later authorize does not take a revoke back', [said('1', 'a', 1, revoke('x')), said('2', 'b', 2, authorize('x'))]],
  ['reopened', 'a later authorize takes a close back', [said('1', 'a', 1, close('c')), said('2', 'b', 2, authorize('c'))]],
  [
    'kept',
    'of a closed key counts what the close names, and nothing that is dated back',
    [said('1', 'b', 1, authorize('x')), said('2', 'a', 3, close('b', '1')), said('3', 'b', 1, authorize('y'))]
  ],
  [
    'places',
    'keys let in by a stand above those let in by b, whatever time b gives',
    [said('1', 'a', 5, authorize('x', 'admin ')), said('2', 'b', 1, authorize('y', 'admin ')), said('3', 'y', 6, revoke('x')), said('4', 'x', 7, revoke('y'))]
  ],
  [
    'thief',
    'of the closes of a key by itself that holds which was accepted first, whatever their times',
    [
      said('1', 'a', 1, authorize('x')),
      said('2', 'a', 2, succeed('s')),
      said('3', 'a', 3, close('a', '1', '2')),
      { ...said('4', 'a', 1, authorize('t'), close('a', '4')), accepted: 9 }
    ]
  ],
  [
    'file-first',
    'keys of the file stand above all that were let in by message',
    [said('1', 'a', 1, authorize('x', 'admin ')), said('2', 'x', 2, revoke('b'), revoke('c')), said('3', 'b', 3, revoke('x'))]
  ],
  [
    'rotated',
    'a successor takes its place; the old key closes itself',
    [
      said('1', 'a', 1, authorize('x')),
      said('2', 'a', 2, succeed('s')),
      said('3', 'a', 3, close('a', '1', '2')),
      said('4', 's', 4, revoke('b')),
      said('5', 'a', 2, authorize('t', 'admin '))
    ]
  ],
  ['revoked-in-file', '@revoked in the file voids a key and what it let in', [said('1', 'b', 1, authorize('x'))], `${line('a', 'admin ')}\n@revoked ${line('b')}`],
  ['itself', 'a key does not revoke itself', [said('1', 'b', 1, revoke('b'))]],
  ['nodes', 'the newest word on a node counts', [said('1', 'a', 2, { op: 'distrust', node }), said('2', 'b', 1, { op: 'trust', node })]]
]

/** Ids are the SHA-256 of nothing real: a digit, 64 times. */
function idOf(name: string): string {
  return name.repeat(64)
}

/** A command of a vector as the code takes it. */
function vectorCommand({ id, by, time, accepted, ops }: AdminVectorCommand): AdminCommand {
  const operations = ops.map((op): AdminOperation => {
    switch (op.op) {
      case 'authorize':
        return authorizeOperation(op.line, { succeeds: op.succeeds === true })
      case 'close':
        return { op: 'close', author: authorOf(blobOf(op.key)), keeps: op.keeps }
      case 'revoke':
        return { op: 'revoke', author: authorOf(blobOf(op.key)) }
      case 'trust':
      case 'distrust':
        return op
    }
  })
  return { id, author: authorOf(blobOf(by)), time: { ms: time, counter: 0 }, acceptedAt: accepted, operations }
}

/** What a file and commands come to, as the vectors write it. */
export function vectorOutcome(text: string, commands: readonly AdminVectorCommand[]): Pick<AdminVector, 'keys' | 'states' | 'nodes'> {
  const { grants, revoked } = parseAuthorizedKeys(text)
  const standings = new Map([...grants].map(([author, grant]) => [author, { grant, voided: false }]))
  const { keys, states, nodes } = decideKeys({ order: [...grants.keys()], standings, revoked }, commands.map(vectorCommand))
  const letters = new Map([...'abcdefghijklmnopqrstuvwxyz'].map((letter) => [authorOf(blobOf(letter)), letter]))
  const stand = ({ voided, closedAt }: { voided: boolean; closedAt?: number }): string =>
    voided ? 'revoked' : closedAt === undefined ? 'open' : `closed at ${closedAt}`
  const told = [...keys].map(([author, { standing }]) => [letters.get(author) as string, stand(standing)] as const)
  return {
    keys: Object.fromEntries(told.toSorted(([a], [b]) => (a < b ? -1 : 1))),
    states: Object.fromEntries([...states].map(([id, all]) => [id, all.map((state) => ('code' in state ? `${state.status}: ${state.code}` : state.status))])),
    nodes: Object.fromEntries(nodes)
  }
}

/** The vectors. */
export function adminVectors(): unknown[] {
  return CASES.map(([name, comment, commands, file = FILE]) => plain({ name, comment, file, commands, ...vectorOutcome(file, commands) }))
}
