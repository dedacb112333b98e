/** State files and exported logs. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { splitLines } from '../../../src/node/split-lines.ts'
import { openStateFile, StateFileError } from '../../../src/node/state-file.ts'
import { encodeAck } from '../../../src/protocol/ack.ts'
import { commandId, openEnvelope, sealEnvelope } from '../../../src/protocol/envelope.ts'
import { InvalidMessageError } from '../../../src/protocol/errors.ts'
import { toLogEntry } from '../../../src/protocol/log-entry.ts'
import { checkLogLine, logLine } from '../../../src/protocol/log-lines.ts'
import { authorFromHash, authorHash, formatPublicKey, nodeIdOf } from '../../../src/protocol/ssh-key.ts'
import { formatStateLine, parseStateLine } from '../../../src/protocol/state-lines.ts'
import { author, NETWORK, node, NOW } from '../../vectors/source/make.ts'
import { requireSame, textOf, utf8, type Target } from '../target.ts'
import { goodEnvelopes } from './vectors.ts'

const commands = goodEnvelopes('command')

const stateLines: readonly string[] = [
  formatStateLine({ kind: 'head', network: NETWORK, exportedAt: NOW }),
  `{"authorized_key":${JSON.stringify(`pinset="site" ${formatPublicKey(author.blob, 'you@laptop')}`)}}`,
  `{"closed_key":"${node.author}","options":"ops=\\"pin\\",pinset=\\"a,b-*\\",admin","comment":"ci","closed":"2026-11-01T00:00:00.000Z","revoked":true}`,
  `{"known_node":"${nodeIdOf(node.blob)} vps1"}`,
  ...commands
    .slice(0, 4)
    .map((envelope) =>
      formatStateLine({ kind: 'command', id: commandId(openEnvelope(envelope).payload), author: author.author, acceptedAt: NOW, envelope })
    ),
  `{"end":true,"commands":4,"sha256":"${'0f'.repeat(32)}"}`
]

const whole = (): Uint8Array => {
  const head = `${stateLines.slice(0, -1).join('\n')}\n`
  return utf8(`${head}${formatStateLine({ kind: 'end', commands: 4, hash: createHash('sha256').update(head).digest('hex') })}\n`)
}

const logLines: readonly string[] = await Promise.all(
  commands.map(async (envelope, i) => {
    const base = { kind: 'command', source: 'node', seq: 1, at: NOW, author: author.author, envelope, receipts: [] } as const
    const entry = toLogEntry({ ...base, states: new Map([[0, { state: { status: 'pinned', bytes: 5 }, at: NOW }]]) })
    if (entry.kind !== 'command') throw new Error('a command was expected')
    const { command } = entry
    const states = command.operations.map(() => ({ status: 'pinned', bytes: 5 }) as const)
    const { bytes } = await sealEnvelope('ack', encodeAck(command.network, { command: command.id, sequence: i, time: NOW, states }), node)
    const receipts = i % 2 === 0 ? [] : [bytes]
    return JSON.stringify(logLine(toLogEntry({ ...base, states: new Map(), receipts }), 'you@laptop'))
  })
)
const refusals = [
  `{"event":"log","source":"node","at":"2026-11-28T09:30:00.000Z","command":"${'a'.repeat(64)}","author":"${author.author}","claimed":true,"refused":"unauthorised","peer":"${nodeIdOf(node.blob)}","more":412,"until":"2026-11-28T09:30:10.000Z"}`
]

function readStateLine(bytes: Uint8Array): string {
  const line = parseStateLine(bytes)
  requireSame(parseStateLine(utf8(formatStateLine(line))), line)
  const author = line.kind === 'closed' ? line.standing.grant.author : 'author' in line ? line.author : undefined
  // Sets of commands are named by it.
  if (author !== undefined) requireSame(authorFromHash(authorHash(author)), author)
  return line.kind
}

/** In pieces, as a disk gives it. */
async function* pieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size)
}

async function readStateFile(bytes: Uint8Array): Promise<string> {
  const file = await openStateFile(pieces(bytes, 1 + (bytes.byteLength % 997)))
  const kinds = new Set<string>()
  let commandLines = 0
  for await (const line of file.lines) {
    kinds.add(line.kind === 'line' ? line.line.kind : line.code)
    if (line.kind === 'line' && line.line.kind === 'command') commandLines++
  }
  const { commands: counted, isEnded, isUnchanged } = file.ending()
  requireSame(counted, commandLines)
  assert.ok(isEnded || !isUnchanged)
  return [...kinds, isEnded, isUnchanged].join(' ')
}

async function splitAll(bytes: Uint8Array): Promise<number> {
  const max = 200
  const lines: Uint8Array[] = []
  for await (const line of splitLines(pieces(bytes, 1 + (bytes.byteLength % 61)), max)) {
    assert.ok(line.byteLength <= max + 61)
    lines.push(line)
  }
  const expected = textOf(bytes.filter((byte) => byte < 0x80)).split('\n')
  if (bytes.every((byte) => byte < 0x80) && expected.every((line) => line.length <= max)) {
    if (expected.at(-1) === '') expected.pop()
    requireSame(
      lines.map(textOf),
      expected.map((line) => line.replace(/\r$/, ''))
    )
  }
  return Math.min(lines.length, 3)
}

const FIELDS = [
  '"event":',
  '"log"',
  '"source":',
  '"node"',
  '"sender"',
  '"envelope":',
  '"refused":',
  '"ops":',
  '"receipts":',
  '"command":',
  '"end":true',
  '"status":"pinned"',
  '2026-11-28T09:30:00.000Z',
  '"statuses":{}'
]

/** Lines of files that one machine writes and another reads. */
export const LINES: readonly Target[] = [
  {
    name: 'state-line',
    form: 'text',
    errors: [InvalidMessageError],
    seeds: stateLines.map(utf8),
    words: FIELDS,
    cost: 2,
    run: readStateLine
  },
  { name: 'state-file', form: 'text', errors: [StateFileError], seeds: [whole()], words: ['\n', ...FIELDS], cost: 20, run: readStateFile },
  {
    name: 'lines',
    form: 'bytes',
    errors: [],
    seeds: [utf8('a\r\nb\n\nc'), utf8(`${'x'.repeat(200)}\n${'y'.repeat(300)}`)],
    run: splitAll
  },
  {
    name: 'log-line',
    form: 'text',
    errors: [InvalidMessageError],
    seeds: [...logLines, ...refusals].map(utf8),
    words: FIELDS,
    cost: 6,
    run: (bytes) => checkLogLine(bytes).kind
  }
]
