import { beforeAll, describe, expect, test } from 'vitest'
import { logText } from '../../../src/cli/log/view.ts'
import type { Ack, OperationState } from '../../../src/protocol/ack.ts'
import type { Command, Operation } from '../../../src/protocol/command.ts'
import type { LoggedCommand, RefusalRow } from '../../../src/protocol/log-entry.ts'
import { cidOf } from '../../support/author.ts'

const AT = Date.UTC(2026, 10, 28, 9, 30, 5, 250)
const AUTHOR = `SHA256:${'abcdefgh'.repeat(5)}abc` as const
const [x, y, z] = [cidOf('x'), cidOf('y'), cidOf('z')]
let short: string[]
beforeAll(() => {
  short = [x, y, z].map((cid) => `${cid.toString().slice(0, 12)}…${cid.toString().slice(-6)}`)
})

function entry(operations: readonly Operation[], more: Partial<LoggedCommand> = {}, pinset: string | undefined = 'site'): LoggedCommand {
  const command: Command = { id: 'e2227c7c'.repeat(8), author: AUTHOR, network: 'net', pinset, time: { ms: AT, counter: 0 }, operations }
  return { kind: 'command', source: 'node', at: AT, command, envelope: new Uint8Array(), states: new Map(), answers: [], ...more }
}
const states = (...all: OperationState[]): Pick<LoggedCommand, 'states'> => ({
  states: new Map(all.map((state, i) => [i, { state, at: AT }]))
})
const answers = (...all: (readonly OperationState[])[]): Partial<LoggedCommand> => ({
  source: 'sender',
  answers: all.map((each, i) => ({
    ack: { node: `n${i}`, command: '', sequence: 1, time: AT, states: each } satisfies Ack,
    envelope: new Uint8Array()
  }))
})
const words = (of: LoggedCommand | RefusalRow, comment?: string): string[] => logText(of, comment, false).split(/ {2,}/)
const pinned: OperationState = { status: 'pinned', bytes: 1 }

test('a pin: when, who, where, what, what became of it, and which', () => {
  expect(words(entry([{ op: 'pin', cid: x, name: 'docs' }], states(pinned)), 'you@laptop')).toEqual([
    '2026-11-28T09:30:05Z',
    'you@laptop abcdefgh…',
    'site',
    `pin ${short[0]} docs`,
    'pinned',
    'e2227c7c'
  ])
})

test('a key without a name is told by its fingerprint, and where there are two logs which one it is', () => {
  expect(logText(entry([{ op: 'unpin', cid: x }]), undefined, true)).toMatch(/^2026-11-28T09:30:05Z {2}node {4}SHA256:abcdefgh… /)
  expect(logText(entry([{ op: 'unpin', cid: x }], answers()), undefined, true)).toMatch(/^2026-11-28T09:30:05Z {2}sent /)
})

describe('what is asked', () => {
  const asked = (operations: readonly Operation[], pinset?: string): string => words(entry(operations, {}, pinset))[3] as string
  test('of many the first two are named', () => {
    expect(asked([x, y, z].map((cid) => ({ op: 'pin', cid })))).toBe(`pin 3 CIDs: ${short[0]}, ${short[1]}, …`)
    expect(asked([x, y].map((cid) => ({ op: 'unpin', cid })))).toBe(`unpin 2 CIDs: ${short[0]}, ${short[1]}`)
  })
  test('kinds come one after the other', () => {
    expect(
      asked([
        { op: 'pin', cid: x },
        { op: 'unpin', cid: y }
      ])
    ).toBe(`pin ${short[0]}, unpin ${short[1]}`)
    expect(asked([{ op: 'update', from: x, to: y }])).toBe(`update ${short[0]} to ${short[1]}`)
  })
  test('of a kind that is not known the kind', () => {
    expect(asked([{ op: 'unknown', kind: 'authorize' }])).toBe('authorize')
    expect(asked([1, 2].map(() => ({ op: 'unknown', kind: 'revoke' })))).toBe('revoke ×2')
  })
  test('a name is cut and stays on its line', () => {
    expect(asked([{ op: 'pin', cid: x, name: `a\nb${'c'.repeat(99)}` }])).toBe(`pin ${short[0]} a b${'c'.repeat(20)}…`)
  })
  test('an admin command is of no pinset', () => {
    expect(words(entry([{ op: 'unknown', kind: 'authorize' }], {}, undefined))[2]).toBe('site')
    const { command, ...rest } = entry([{ op: 'unknown', kind: 'authorize' }])
    expect(words({ ...rest, command: { ...command, pinset: undefined } })[2]).toBe('-')
  })
})

describe('what became of it', () => {
  const two: Operation[] = [x, y].map((cid) => ({ op: 'pin', cid }))
  const outcome = (operations: readonly Operation[], more: Partial<LoggedCommand>): string => words(entry(operations, more))[4] as string
  test('on a node', () => {
    expect(outcome(two, states(pinned, { status: 'failed', code: 'timeout', attempt: 1, next: 0 }))).toBe('pinned 1, failed: timeout 1')
    expect(outcome([{ op: 'unpin', cid: x }], states({ status: 'refused', code: 'operation' }))).toBe('refused: operation')
    expect(outcome([{ op: 'pin', cid: x }], states({ status: 'superseded', by: 'b'.repeat(64) }))).toBe('superseded by bbbbbbbb')
    expect(outcome(two, {})).toBe('taken')
  })
  test('on the nodes that answered', () => {
    expect(outcome([{ op: 'pin', cid: x }], answers([pinned], [pinned], [{ status: 'refused', code: 'pinset' }]))).toBe(
      'pinned on 2 nodes; refused: pinset on 1 node'
    )
    expect(outcome(two, answers([pinned, pinned], [pinned, { status: 'queued' }]))).toBe('pinned 2 on 1 node; pinned 1, queued 1 on 1 node')
    expect(outcome(two, answers())).toBe('no answer')
  })
})

test('a refusal: whose it claimed to be, why, through whom, and how many like it', () => {
  const refusal = {
    at: AT,
    until: AT + 10_000,
    code: 'unauthorised',
    isProven: false,
    author: AUTHOR,
    command: 'f'.repeat(64),
    peer: 'peer',
    more: 412
  } as const
  const row = (more: object): RefusalRow => ({ kind: 'refusal', source: 'node', at: AT, refusal: { ...refusal, ...more } })
  expect(words(row({}))).toEqual([
    '2026-11-28T09:30:05Z',
    'claims SHA256:abcdefgh…',
    '-',
    'refused: unauthorised, through peer; 412 more in 10.0 s',
    'ffffffff'
  ])
  expect(words(row({ isProven: true, code: 'pinset', pinset: 'site', more: 0 }), 'ci@build').slice(1)).toEqual([
    'ci@build abcdefgh…',
    'site',
    'refused: pinset, through peer',
    'ffffffff'
  ])
  expect(words(row({ author: undefined, command: undefined, code: 'encoding', more: 0 })).slice(1)).toEqual([
    'unknown',
    '-',
    'refused: encoding, through peer'
  ])
})
