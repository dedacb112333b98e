/** authorized_keys and known_nodes: never an exception, and what is changed changes nothing else. */
import assert from 'node:assert/strict'
import { keyInLine, parseAuthorizedKeys, parseKeyLine } from '../../../src/protocol/authorized-keys.ts'
import { InvalidTextError } from '../../../src/protocol/errors.ts'
import { addLine, keyedLines, removeKeys, revokeKeys } from '../../../src/protocol/key-edit.ts'
import { formatOptions, parseKeyOptions, splitOptions } from '../../../src/protocol/key-options.ts'
import { distrustNodes, formatKnownNode, meetNode, parseKnownNodes } from '../../../src/protocol/known-nodes.ts'
import { MAX_KEY_LINES } from '../../../src/protocol/limits.ts'
import { formatPublicKey, nodeIdOf } from '../../../src/protocol/ssh-key.ts'
import { author, node, stranger } from '../../vectors/source/make.ts'
import { requireSame, textOf, utf8, type Target } from '../target.ts'

const [mine, theirs, other] = [author, node, stranger].map(({ blob }) => formatPublicKey(blob, 'you@laptop')) as [string, string, string]
const nodeId = nodeIdOf(node.blob)
const OPTIONS =
  'ops="pin,unpin",pinset="site,blog-*",valid-after="20260101",expiry-time="20271231235959Z",max-pins="500",max-size="20GB",admin'
const ALL = `# keys\r\n\uFEFF${OPTIONS} ${mine}\n@revoked ${theirs}\n\nops="pin" ${other}\nssh-rsa AAAAB3 old\n${nodeId} vps1\nbad line\nmax-pins="0" ${mine}`
const NODES = `# nodes\n${nodeId} first contact 2026-11-28 203.0.113.1:4101\r\n\n# distrusted 2026-11-28 ${nodeIdOf(author.blob)} was here\nnobody\n${nodeIdOf(stranger.blob)}`

const WORDS = [
  '@revoked',
  'ops',
  'pinset',
  'admin',
  'valid-after',
  'expiry-time',
  'max-pins',
  'max-size',
  '500MiB',
  '9007199254740991',
  '20271231',
  'pin',
  'unpin',
  'restrict',
  mine,
  nodeId,
  'ssh-rsa'
]

/** A byte order mark counts as none, also where the line before it went. */
const linesOf = (text: string): readonly string[] => text.replaceAll('\uFEFF', '').split('\n')

function readKeys(text: string): string {
  const { grants, revoked, problems, skipped, lines } = parseAuthorizedKeys(text)
  for (const key of revoked) assert.ok(!grants.has(key))
  for (const key of [...grants.keys(), ...revoked]) assert.ok((lines.get(key) ?? 0) >= 1)
  for (const { message } of problems) assert.ok(message.length < 1_000)
  const keys = new Set(keyedLines(text).map((line) => line.author))
  const removed = removeKeys(text, keys)
  if (removed !== undefined) {
    requireSame(parseAuthorizedKeys(removed.text).grants.size, 0)
    const kept = new Set(linesOf(text))
    for (const line of linesOf(removed.text)) assert.ok(kept.has(line) || line === '')
  }
  // One key at a time: all together is work in the square of them.
  const [first] = keys
  const voided = first === undefined ? undefined : revokeKeys(text, new Map([[first, mine]]))
  if (voided !== undefined) assert.ok(parseAuthorizedKeys(voided.text).revoked.has(first as typeof author.author))
  const before = parseAuthorizedKeys(text).grants.size
  assert.ok(parseAuthorizedKeys(addLine(text, other).text).grants.size >= Math.min(before, 1))
  return `${grants.size} ${revoked.size} ${problems.length} ${skipped}`
}

function readLine(text: string): string {
  const { grant, options } = parseKeyLine(text)
  const { author: _author, comment: _comment, ...limits } = grant
  requireSame({ rights: ['pin', 'unpin'], ...parseKeyOptions(formatOptions(grant)) }, { ...limits, rights: ordered(limits.rights) })
  requireSame(keyInLine(text)?.author, grant.author)
  return options
}

/** As they are written where all are granted. */
const ordered = (rights: readonly string[]): readonly string[] => (rights.length > 1 ? ['pin', 'unpin'] : rights)

function readNodes(text: string): string {
  const { nodes, contacts, distrusted, problems } = parseKnownNodes(text)
  for (const gone of distrusted) assert.ok(!nodes.has(gone))
  for (const [id, comment] of nodes) assert.ok(parseKnownNodes(formatKnownNode(id, comment)).nodes.has(id))
  // Beyond it nothing is read.
  if (problems.at(-1)?.line === MAX_KEY_LINES + 1) return 'too long'
  const met = meetNode(text, nodeId, '203.0.113.9:4101', '2026-11-28')
  if (met.kind === 'first') requireSame(parseKnownNodes(met.text).contacts.get('203.0.113.9:4101'), nodeId)
  const without = distrustNodes(text, new Set(nodes.keys()), '2026-11-28')
  if (without !== undefined) requireSame(parseKnownNodes(without).nodes.size, 0)
  return `${nodes.size} ${contacts.size} ${distrusted.size} ${problems.length}`
}

/** Text of keys and nodes. */
export const KEY_FILES: readonly Target[] = [
  {
    name: 'authorized-keys',
    form: 'text',
    errors: [],
    seeds: [ALL, mine, `@revoked ops="pin ${mine}`, `\uFEFF${theirs}\n${theirs}`].map(utf8),
    words: WORDS,
    cost: 40,
    run: (bytes) => readKeys(textOf(bytes))
  },
  {
    name: 'key-line',
    form: 'text',
    errors: [InvalidTextError],
    seeds: [`${OPTIONS} ${mine}`, mine, `pinset="*" ${nodeId} vps`, `ops="unpin" ${mine}`].map(utf8),
    words: WORDS,
    run: (bytes) => readLine(textOf(bytes))
  },
  {
    name: 'key-options',
    form: 'text',
    errors: [InvalidTextError],
    seeds: [OPTIONS, 'ops="pin"', 'pinset="a\\"b"'].map(utf8),
    words: WORDS,
    run(bytes) {
      const { options, rest } = splitOptions(textOf(bytes))
      parseKeyOptions(options)
      return rest === ''
    }
  },
  {
    name: 'known-nodes',
    form: 'text',
    errors: [],
    seeds: [NODES, nodeId].map(utf8),
    words: ['first contact', 'distrusted', '2026-11-28', '203.0.113.9:4101', nodeId],
    cost: 30,
    run: (bytes) => readNodes(textOf(bytes))
  }
]
