import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import { encodeAck, type OperationState } from '../../src/protocol/ack.ts'
import type { Operation } from '../../src/protocol/command.ts'
import { commandId, openEnvelope, sealEnvelope } from '../../src/protocol/envelope.ts'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_LOG_LINE_BYTES } from '../../src/protocol/limits.ts'
import { toLogEntry, toldOperation, type CommandRow, type LogRow, type RefusalRow } from '../../src/protocol/log-entry.ts'
import { checkLogLine, logLine, type CheckedLine } from '../../src/protocol/log-lines.ts'
import { keyHash, nodeIdOf } from '../../src/protocol/ssh-key.ts'
import { encode } from '../../src/protocol/wire.ts'
import { author, cidOf, command } from '../support/author.ts'

const alice = author('alice')
const node = author('node')
const [x, y, z] = [cidOf('x'), cidOf('y'), cidOf('z')]
const TIME = Date.UTC(2026, 10, 28, 9, 30)

/** A bulk command with every kind of operation, and what one node signed for it. */
let taken: CommandRow
let sent: CommandRow
const states: readonly OperationState[] = [
  { status: 'pinned', bytes: 5 },
  { status: 'failed', code: 'timeout', attempt: 2, next: 9 },
  { status: 'superseded', by: 'f'.repeat(64) }
]
const refused: RefusalRow = {
  kind: 'refusal',
  source: 'node',
  at: TIME,
  refusal: {
    at: TIME,
    until: TIME + 10_000,
    code: 'unauthorised',
    isProven: false,
    author: alice.author,
    command: 'a'.repeat(64),
    peer: nodeIdOf(node.blob),
    more: 412
  }
}

beforeAll(async () => {
  const { bytes, id } = await command(alice, {
    time: { ms: TIME, counter: 3 },
    pinset: 'site',
    operations: [
      { op: 'pin', cid: x, name: 'docs' },
      { op: 'unpin', cid: y },
      { op: 'update', from: z, to: cidOf('w') }
    ]
  })
  const ack = await sealEnvelope('ack', encodeAck('net', { command: id, sequence: 1, time: TIME + 5, states }), node)
  const base = { kind: 'command', at: TIME + 2, author: alice.author, envelope: bytes } as const
  taken = { ...base, source: 'node', seq: 1, states: new Map(states.map((state, i) => [i, { state, at: TIME + 9 }])), receipts: [] }
  sent = { ...base, source: 'sender', seq: 1, states: new Map(), receipts: [ack.bytes] }
})

const textOf = (row: LogRow): string => JSON.stringify(logLine(toLogEntry(row), 'alice@laptop'))
const check = (text: string): CheckedLine => checkLogLine(new TextEncoder().encode(text))
const faultOf = (text: string): string => {
  try {
    check(text)
  } catch (err) {
    if (err instanceof InvalidMessageError) return err.message
    throw err
  }
  throw new Error('it is good')
}

describe('a line', () => {
  test('of a command says what was signed and what became of it', () => {
    expect(logLine(toLogEntry(taken), 'alice@laptop')).toEqual({
      event: 'log',
      source: 'node',
      at: '2026-11-28T09:30:00.002Z',
      command: commandId(openEnvelope(taken.envelope).payload),
      author: alice.author,
      network: 'net',
      pinset: 'site',
      time: '2026-11-28T09:30:00.000Z',
      counter: 3,
      comment: 'alice@laptop',
      ops: [
        { op: 'pin', cid: x.toString(), name: 'docs', status: 'pinned', bytes: 5, at: '2026-11-28T09:30:00.009Z' },
        { op: 'unpin', cid: y.toString(), status: 'failed', code: 'timeout', at: '2026-11-28T09:30:00.009Z' },
        {
          op: 'update',
          cid: cidOf('w').toString(),
          from: z.toString(),
          status: 'superseded',
          by: 'f'.repeat(64),
          at: '2026-11-28T09:30:00.009Z'
        }
      ],
      envelope: Buffer.from(taken.envelope).toString('base64')
    })
    expect(check(textOf(taken))).toEqual({ kind: 'command', receipts: 0 })
  })

  test('of what was sent carries the word of each node', () => {
    const { receipts } = logLine(toLogEntry(sent)) as { receipts: unknown[] }
    expect(receipts).toEqual([
      {
        node: nodeIdOf(node.blob),
        at: '2026-11-28T09:30:00.005Z',
        statuses: { pinned: 1, 'failed: timeout': 1, superseded: 1 },
        envelope: expect.any(String)
      }
    ])
    expect(check(textOf(sent))).toEqual({ kind: 'command', receipts: 1 })
  })

  test('of a refusal says whose it claimed to be, and is nobody’s signed word', () => {
    expect(logLine(refused)).toEqual({
      event: 'log',
      source: 'node',
      at: '2026-11-28T09:30:00.000Z',
      command: 'a'.repeat(64),
      author: alice.author,
      claimed: true,
      refused: 'unauthorised',
      peer: nodeIdOf(node.blob),
      more: 412,
      until: '2026-11-28T09:30:10.000Z'
    })
    expect(check(textOf(refused))).toEqual({ kind: 'refusal' })
  })

  test('of an operation that is not known tells its kind, without a pinset too', async () => {
    const ops = [{ op: 'ponder', much: true }]
    const payload = encode({ v: 1, network: 'net', signer: keyHash(alice.blob), time: [TIME, 0], ops })
    const { bytes } = await sealEnvelope('command', payload, alice)
    const text = textOf({ ...taken, envelope: bytes, states: new Map() })
    expect(JSON.parse(text)).toMatchObject({ ops: [{ op: 'ponder' }] })
    expect(JSON.parse(text)).not.toHaveProperty('pinset')
    expect(check(text)).toEqual({ kind: 'command', receipts: 0 })
    expect(toldOperation({ op: 'unknown', kind: 'move', cid: x } satisfies Operation)).toEqual({ op: 'move', cid: x.toString() })
  })
})

describe('a changed line', () => {
  const changed = (change: (line: Record<string, never>) => void, row: LogRow = sent): string => {
    const line = JSON.parse(textOf(row)) as Record<string, never>
    change(line)
    return faultOf(JSON.stringify(line))
  }
  const set = (path: string, value: unknown) => (line: Record<string, unknown>) => {
    const keys = path.split('.')
    const last = keys.pop() as string
    const at = keys.reduce<Record<string, unknown>>((map, key) => map[key] as Record<string, unknown>, line)
    if (value === undefined) delete at[last]
    else at[last] = value
  }

  test.each([
    ['command', 'b'.repeat(64), 'not what its author signed: command'],
    ['author', author('bob').author, 'not what its author signed: author'],
    ['network', 'other', 'not what its author signed: network'],
    ['pinset', 'other', 'not what its author signed: pinset'],
    ['pinset', undefined, 'not what its author signed: pinset'],
    ['time', '2026-11-28T09:30:00.001Z', 'not what its author signed: time'],
    ['counter', 4, 'not what its author signed: counter'],
    ['ops.0.op', 'unpin', 'not what its author signed: ops[0].op'],
    ['ops.0.cid', cidOf('v').toString(), 'not what its author signed: ops[0].cid'],
    ['ops.0.name', 'other', 'not what its author signed: ops[0].name'],
    ['ops.1.name', 'one', 'not what its author signed: ops[1].name'],
    ['ops.2.from', x.toString(), 'not what its author signed: ops[2].from'],
    ['ops', [], 'not what its author signed: ops'],
    ['ops.0.status', 'held', 'malformed ops[0].status'],
    ['ops.0.code', 'why', 'malformed ops[0].code'],
    ['ops.0.at', 'now', 'malformed ops[0].at'],
    ['receipts.0.node', 'other', 'not what its node signed: receipts[0].node'],
    ['receipts.0.at', '2026-11-28T09:30:00.006Z', 'not what its node signed: receipts[0].at'],
    ['receipts.0.statuses', { pinned: 3 }, 'not what its node signed: receipts[0].statuses'],
    ['receipts.0.envelope', 'AAAA', 'receipts[0]: '],
    ['event', 'pin', 'not a line of a log'],
    ['source', 'there', 'malformed source'],
    ['at', '2026-11-28', 'malformed at'],
    ['envelope', 'AAAA', ''],
    ['envelope', 'A', 'envelope is not base64'],
    ['envelope', undefined, 'neither an envelope nor a refusal'],
    ['refused', 'skew', 'both an envelope and a refusal']
  ])('%s to %j', (path, value, fault) => {
    expect(changed(set(path, value))).toContain(fault)
  })

  test('of a refusal', () => {
    for (const [path, value] of [
      ['refused', 'why'],
      ['author', 'SHA256:short'],
      ['claimed', 'yes'],
      ['command', 'ABC'],
      ['more', -1],
      ['until', 'later'],
      ['peer', 5],
      ['pinset', 'a b']
    ] as const)
      expect(changed(set(path, value), refused)).toContain(`malformed ${path}`)
  })

  test('with the receipt of another command', async () => {
    const other = await sealEnvelope('ack', encodeAck('net', { command: 'c'.repeat(64), sequence: 1, time: 1, states }), node)
    const few = await sealEnvelope(
      'ack',
      encodeAck('net', { command: commandId(openEnvelope(sent.envelope).payload), sequence: 1, time: 1, states: states.slice(1) }),
      node
    )
    const put = (bytes: Uint8Array): string => changed(set('receipts.0.envelope', Buffer.from(bytes).toString('base64')))
    expect(put(other.bytes)).toBe('receipts[0]: the receipt is for another command')
    expect(put(few.bytes)).toBe('receipts[0]: the receipt is for another number of operations')
    expect(put(sent.envelope)).toBe('receipts[0]: the receipt is no acknowledgement')
  })

  test('in any byte of what was signed: of the envelope, and of the receipt', () => {
    const line = JSON.parse(textOf(sent)) as { envelope: string; receipts: { envelope: string }[] }
    const flipped = (text: string, at: number): string => {
      const bytes = Buffer.from(text, 'base64')
      bytes[at] = (bytes[at] as number) ^ 1
      return bytes.toString('base64')
    }
    const receipt = line.receipts[0]?.envelope as string
    for (let at = 0; at < Buffer.from(line.envelope, 'base64').byteLength; at++)
      expect(faultOf(JSON.stringify({ ...line, envelope: flipped(line.envelope, at) })), `byte ${at}`).not.toBe('')
    for (let at = 0; at < Buffer.from(receipt, 'base64').byteLength; at++)
      expect(changed(set('receipts.0.envelope', flipped(receipt, at))), `byte ${at}`).toContain('receipts[0]')
  })

  test('that says a thing twice, or in another way, could mean two things', () => {
    const text = textOf(sent)
    expect(faultOf(text.replace('{', '{"author":"SHA256:else",'))).toContain('a field twice')
    expect(faultOf(text.replace('{', '{ '))).toContain('written in another way')
  })
})

describe('what is no line', () => {
  test.each([
    ['', 'not JSON'],
    ['5', 'malformed line'],
    ['null', 'malformed line'],
    ['{}', 'not a line of a log'],
    ['[]', 'malformed line']
  ])('%j', (text, fault) => expect(faultOf(text)).toContain(fault))

  test('one that is too long is not read', () => {
    expect(faultOf(`"${'x'.repeat(MAX_LOG_LINE_BYTES)}"`)).toBe(`longer than ${MAX_LOG_LINE_BYTES} bytes`)
  })

  test('whatever comes is good or has a fault that is named', () => {
    const lines = [textOf(taken), textOf(sent), textOf(refused)]
    const names = [...new Set(lines.flatMap((line) => Object.keys(JSON.parse(line) as object)))]
    const value = fc.oneof(fc.jsonValue(), fc.constantFrom(...lines.flatMap((line) => Object.values(JSON.parse(line) as object))))
    const line = fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.tuple(fc.constantFrom(...lines), fc.nat(), fc.nat(255)).map(([text, at, byte]) => {
        const bytes = new TextEncoder().encode(text)
        bytes[at % bytes.byteLength] = byte
        return bytes
      }),
      fc
        .tuple(fc.constantFrom(...lines), fc.dictionary(fc.constantFrom(...names), value))
        .map(([text, more]) => new TextEncoder().encode(JSON.stringify({ ...(JSON.parse(text) as object), ...more })))
    )
    fc.assert(
      fc.property(line, (bytes) => {
        try {
          checkLogLine(bytes)
        } catch (err) {
          expect(err).toBeInstanceOf(InvalidMessageError)
        }
      }),
      { seed: 20_261_128, numRuns: 1_000 }
    )
  })
})
