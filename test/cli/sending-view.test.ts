import { expect, test } from 'vitest'
import { resolveConfig } from '../../src/config/config.ts'
import { homeLayout } from '../../src/config/home.ts'
import type { Context } from '../../src/cli/context.ts'
import { createOutput } from '../../src/cli/output.ts'
import { showSending } from '../../src/cli/sending-view.ts'
import { silentRows } from '../../src/cli/silent.ts'
import type { AckEvent, AddEvent, DoneEvent, Outcome } from '../../src/sender/types.ts'

const ack = (node: string, status: AckEvent['status'], code?: string): AckEvent => ({
  event: 'ack',
  command: 'c1',
  cid: 'cid',
  op: 'pin',
  node,
  status,
  ...(code === undefined ? {} : { code }),
  trusted: true
})
const done = (result: DoneEvent['result'], hint?: string): DoneEvent => ({
  event: 'done',
  cid: 'cid',
  op: 'pin',
  replicas: 0,
  wanted: 2,
  result,
  ...(hint === undefined ? {} : { hint })
})

/** What a send with these events shows, by a clock that is off by `offset`. */
async function shown(events: readonly AddEvent[], outcome: Outcome, offset = 0, json = false): Promise<{ out: string; err: string }> {
  const sent: AddEvent = { event: 'sent', command: 'c1', cids: 1, nodes: ['n1'] }
  return run([sent, ...events], outcome, { offset, json })
}

/** What any events show; with `stopped` the run is interrupted after them. */
async function run(
  events: readonly AddEvent[],
  outcome: Outcome,
  { offset = 0, json = false, stopped = false }: { readonly offset?: number; readonly json?: boolean; readonly stopped?: boolean }
): Promise<{ out: string; err: string }> {
  const text = { out: '', err: '' }
  const stop = new AbortController()
  const stream = (name: 'out' | 'err'): NodeJS.WriteStream =>
    ({ isTTY: false, write: (part: string) => void (text[name] += part) }) as unknown as NodeJS.WriteStream
  const context: Context = {
    config: resolveConfig({ flags: {}, env: {}, file: undefined }),
    flags: {},
    home: homeLayout('/nowhere'),
    output: createOutput(json, { stdout: stream('out'), stderr: stream('err') }, {}),
    signal: stop.signal,
    version: '0.1.0',
    stdin: process.stdin
  }
  async function* sending(): AsyncGenerator<AddEvent, Outcome> {
    yield* events
    if (stopped) stop.abort(new Error('interrupted'))
    stop.signal.throwIfAborted()
    return outcome
  }
  const sender = { author: 'SHA256:me', clockOffset: () => offset, countsAll: true, nodes: () => [] }
  const showing = showSending(sender, sending(), context)
  if (stopped) await expect(showing).rejects.toThrow('interrupted')
  else await showing
  return text
}

test('a clock that is off is told of before the result, and the reason after it, once', async () => {
  const events = [ack('n1', 'refused', 'skew'), done('refused', 'the reason'), { ...done('refused', 'the reason'), cid: 'other' }]
  const { out, err } = await shown(events, 'refused', -3_600_000)
  expect(out).toContain('SHA256:me signed with a clock that is more than five minutes ahead of theirs')
  expect(err.match(/this machine's clock is 60 min ahead of the nodes/g)).toHaveLength(1)
  expect(err.match(/^the reason$/gm)).toHaveLength(1)
  expect(err.indexOf("this machine's clock")).toBeLessThan(err.indexOf('n1'))
})

test('a command that is outranked everywhere did not time out', async () => {
  const { out } = await shown([ack('n1', 'superseded'), ack('n2', 'superseded'), done('short')], 'short')
  expect(out).toMatch(/^0\/2 replicas after .*: outranked by a later command, see pinsub status\n$/)
  const late = await shown([ack('n1', 'superseded'), ack('n2', 'queued'), done('short')], 'short')
  expect(late.out).toContain('timed out short')
})

test('with --json the reason is in the last events, and nothing else is said', async () => {
  const { out, err } = await shown([done('refused', 'the reason')], 'refused', -3_600_000, true)
  expect(err).toBe('')
  expect(JSON.parse(out.trim().split('\n').at(-1) ?? '')).toMatchObject({ event: 'done', result: 'refused', hint: 'the reason' })
})

test('whoever interrupts is told what state things are in, and not with --json', async () => {
  const progress: AddEvent = { event: 'progress', bytes: 1, total: 2 }
  const imported: AddEvent = { event: 'imported', cid: 'cid', bytes: 2, files: 1 }
  const sent: AddEvent = { event: 'sent', command: 'c1', cids: 1, nodes: ['n1'] }
  const interrupted = async (events: readonly AddEvent[]): Promise<string | undefined> =>
    (await run(events, 'short', { stopped: true })).err.trimEnd().split('\n').at(-1)
  expect(await interrupted([progress])).toBe('Interrupted: nothing was sent, and nothing is left here.')
  expect(await interrupted([progress, imported])).toBe('Interrupted: nothing was sent, and nothing is left here.')
  expect(await interrupted([sent, ack('n1', 'queued')])).toBe('Interrupted. The command stands; the nodes go on, see pinsub status')
  expect(await interrupted([imported, sent])).toBe(
    'Interrupted: what was imported is removed here. The command stands; to serve the nodes that lack it, run pinsub add again'
  )
  expect(await run([imported, sent], 'short', { stopped: true, json: true })).toMatchObject({ err: '' })
})

test('known nodes that say nothing are named after a while, with when they were last seen', () => {
  const now = Date.parse('2026-11-28T12:00:00Z')
  const node = { event: 'node', addresses: [], state: 'gone', backend: null, up: null, version: null, behind: null } as const
  const nodes = [
    { ...node, node: 'heard', last_seen: null, trusted: true },
    { ...node, node: 'away', last_seen: '2026-11-28T11:56:00Z', trusted: true },
    { ...node, node: 'typed-wrong', last_seen: null, trusted: true },
    { ...node, node: 'stranger', last_seen: null, trusted: false }
  ]
  const rows = (elapsed: number) => silentRows(nodes, (name) => name === 'heard', { elapsed, now })
  expect(rows(100)).toEqual([])
  expect(rows(5_000)).toEqual([
    ['  away', 'no answer: last seen 4 min ago'],
    ['  typed-wrong', 'no answer: it was never seen']
  ])
})
