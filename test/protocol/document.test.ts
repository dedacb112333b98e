/** What docs/PROTOCOL.md says in numbers and hex is what the code does. */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { VECTORS } from '../../scripts/vectors.ts'
import * as limits from '../../src/protocol/limits.ts'

const text = readFileSync(new URL('../../docs/PROTOCOL.md', import.meta.url), 'utf8')
const rows = [...text.matchAll(/^\| `([A-Z_]+)` \| (\d+) \|/gm)].map(([, name, value]) => [name, Number(value)] as const)
const values = limits as unknown as Readonly<Record<string, number>>

test.each(rows)('%s is %d', (name, value) => expect(values[name as string]).toBe(value))

test('every limit that the protocol reads or that the text names is in the table', () => {
  const room = new URL('../../src/protocol/', import.meta.url)
  const files = readdirSync(room, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'))
  const sources = files.map((file) => readFileSync(new URL(file, room), 'utf8'))
  const read = sources.flatMap((source) => /import \{([^}]*)\} from '\.\.?\/limits\.ts'/.exec(source)?.[1]?.split(',') ?? [])
  const named = [...text.matchAll(/\b(?:MAX|ACK|REPEAT)_[A-Z_]+/g)].map(([name]) => name)
  const wanted = [...read.map((name) => name.trim()), ...named].filter((name) => name !== '')
  expect(wanted.length).toBeGreaterThan(20)
  expect([...new Set(wanted)].filter((name) => !rows.some(([row]) => row === name))).toEqual([])
})

test('the bounds in the CDDL are those of the table', () => {
  const said = [
    `counter: 0..${limits.MAX_COUNTER}`,
    `ops: [1*${limits.MAX_OPERATIONS} operation]`,
    `states: [*${limits.MAX_OPERATIONS} run]`,
    `count: 1..${limits.MAX_OPERATIONS}`,
    `replicas: 1..${limits.MAX_REPLICAS}`,
    `origins: [*${limits.MAX_ORIGINS} bstr]`,
    `heldBy: [*${limits.MAX_HELD_BY} label]`,
    `addresses: [*${limits.MAX_ADDRESSES} address]`,
    `cids: [*${limits.MAX_QUERY_CIDS} cid]`,
    `commands: [*${limits.MAX_QUERY_COMMANDS} id]`,
    `tstr .size (0..${limits.MAX_MULTIADDR_BYTES}) `,
    `{0,${limits.MAX_NAME_LABEL - 1}}`
  ]
  for (const words of said) expect(text).toContain(words)
})

test('the worked signature is the one of the vectors', () => {
  const vectors = JSON.parse(readFileSync(new URL('signatures.json', VECTORS), 'utf8')) as {
    message: string
    namespace: string
    preimage: string
    signature: string
  }[]
  const vector = vectors.find(({ message, namespace }) => message === '616263' && namespace === 'pinsub')
  const [, worked = '', signature = ''] = /Worked:[\s\S]*?```\n([\s\S]*?)```\n```\nsignature\n([\s\S]*?)```/.exec(text) ?? []
  const hex = worked.replace(/ {2,}("[^"]*"|reserved|SHA-512 of \w+)$/gm, '').replace(/\s/g, '')
  expect(hex).toBe(vector?.preimage)
  expect(signature.replace(/\s/g, '')).toBe(vector?.signature)
})

test('every code of an ack is in the table under its number', () => {
  const source = readFileSync(new URL('../../src/protocol/ack.ts', import.meta.url), 'utf8')
  const names = (list: string): string[] =>
    [...(new RegExp(`const ${list} = \\[([^\\]]*)\\]`).exec(source)?.[1] ?? '').matchAll(/'([^']+)'/g)].map(([, name]) => name as string)
  const [failures, refusals] = [names('FAILURES'), names('REFUSALS')]
  const table = [...text.matchAll(/^\| (\d) \| (?:`([a-z-]+)`[^|]*)?\| `([a-z-]+)`/gm)]
  expect(table.flatMap(([, , failure]) => failure ?? [])).toEqual(failures)
  expect(table.map(([, , , refusal]) => refusal)).toEqual(refusals)
  expect(table.map(([, number]) => Number(number))).toEqual(refusals.map((_, i) => i))
  for (const [i, status] of names('STATUSES').entries()) expect(text).toMatch(new RegExp(`^${status} +=? *= \\( ${i}\\b`, 'm'))
})
