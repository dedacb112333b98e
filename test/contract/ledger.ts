import { afterEach, describe, expect, test } from 'vitest'
import { LEDGER_MAX_BYTES, MAX_AHEAD_MS, MAX_TRACKED_NODES } from '../../src/protocol/limits.ts'
import type { SentCommand } from '../../src/protocol/records.ts'
import type { Ledger } from '../../src/sender/ledger.ts'

/** Opens a ledger; twice the same for the same `place`. */
export type OpenLedger = (place: string) => Ledger

const author = 'SHA256:me'

function command(n: number, op: 'pin' | 'unpin' = 'pin', rest: Partial<SentCommand> = {}): SentCommand {
  return {
    id: `c${n}`,
    network: 'net',
    author,
    pinset: 'default',
    time: { ms: n, counter: 0 },
    envelope: new Uint8Array([n % 256]),
    operations: [{ op, cid: 'x' }],
    ...rest
  }
}

/** What every ledger does. */
export function describeLedger(name: string, open: OpenLedger): void {
  describe(`a ledger: ${name}`, () => {
    const opened: Ledger[] = []
    const ledgerAt = (place: string): Ledger => {
      const ledger = open(place)
      opened.push(ledger)
      return ledger
    }
    afterEach(() => {
      opened.splice(0).forEach((ledger) => ledger.close())
    })

    test('gives times that never repeat nor go back, whatever the clock does and who asks', () => {
      const [a, b] = [ledgerAt('clock'), ledgerAt('clock')]
      const times = [a.tick(1_000, undefined), b.tick(1_000, undefined), a.tick(500, undefined), b.tick(2_000, { ms: 9_000, counter: 4 })]
      expect(times).toEqual([
        { ms: 1_000, counter: 0 },
        { ms: 1_000, counter: 1 },
        { ms: 1_000, counter: 2 },
        { ms: 9_000, counter: 5 }
      ])
      expect(a.tick(9_001, undefined)).toEqual({ ms: 9_001, counter: 0 })
    })

    test('believes nobody who claims to have seen the far future', () => {
      const ledger = ledgerAt('future')
      expect(ledger.tick(1_000, { ms: Number.MAX_SAFE_INTEGER, counter: 0xffff_ffff })).toEqual({ ms: 1_000, counter: 0 })
      expect(ledger.tick(1_000, { ms: 1_000 + MAX_AHEAD_MS + 1, counter: 0 })).toEqual({ ms: 1_000, counter: 1 })
      expect(ledger.tick(1_000, { ms: 1_000 + MAX_AHEAD_MS, counter: 0 })).toEqual({ ms: 1_000 + MAX_AHEAD_MS, counter: 1 })
    })

    test('knows what no node accepted, oldest first, by network and author', () => {
      const ledger = ledgerAt('unaccepted')
      ledger.record(command(1))
      ledger.record(command(2))
      ledger.record(command(3, 'pin', { network: 'other' }))
      ledger.record(command(4, 'pin', { author: 'SHA256:you' }))
      expect(ledger.unaccepted('net', author, 10)).toEqual([command(1), command(2)])
      expect(ledger.unaccepted('net', author, 1)).toEqual([command(1)])
      ledger.keep([{ command: 'c1', node: 'n', sequence: 1, envelope: new Uint8Array(), accepted: false, settled: false }])
      expect(ledger.unaccepted('net', author, 10)).toHaveLength(2)
      ledger.keep([{ command: 'c1', node: 'n', sequence: 2, envelope: new Uint8Array(), accepted: true, settled: true }])
      expect(ledger.unaccepted('net', author, 10)).toEqual([command(2)])
    })

    test('forgets the oldest beyond its bounds, a few later than the first that is too much', () => {
      const ledger = ledgerAt('forgets')
      const envelope = new Uint8Array(LEDGER_MAX_BYTES / 64)
      for (let n = 1; n <= 256; n++) ledger.record(command(n, 'pin', { envelope }))
      const kept = ledger.unaccepted('net', author, 1_000).map(({ id }) => id)
      expect(kept.length).toBeGreaterThanOrEqual(64)
      expect(kept.length).toBeLessThan(128)
      expect(kept.at(-1)).toBe('c256')
      expect(kept[0]).toBe(`c${257 - kept.length}`)
    })

    test('keeps the receipt with the highest sequence of each node', () => {
      const ledger = ledgerAt('receipts')
      ledger.record(command(1))
      const receipt = (node: string, sequence: number) => ({ command: 'c1', node, sequence, envelope: new Uint8Array([sequence]) })
      const said = [receipt('n1', 2), receipt('n1', 1), receipt('n2', 1), { ...receipt('n3', 1), command: 'unknown' }]
      ledger.keep(said.map((each) => ({ ...each, accepted: true, settled: true })))
      expect(ledger.about('net', 'x')).toEqual([{ command: command(1), receipts: [receipt('n1', 2), receipt('n2', 1)] }])
    })

    test('knows of the newest commands what a node has not settled, the newest first', () => {
      const ledger = ledgerAt('unsettled')
      for (const n of [1, 2, 3, 4]) ledger.record(command(n))
      ledger.record(command(5, 'pin', { network: 'other' }))
      ledger.record(command(6, 'pin', { author: 'SHA256:you' }))
      const unsettled = (node: string, limit = 10): readonly string[] => ledger.unsettled('net', author, node, limit)
      const say = (id: string, node: string, sequence: number, settled: boolean): void =>
        ledger.keep([{ command: id, node, sequence, envelope: new Uint8Array(), accepted: true, settled }])
      expect(unsettled('n1')).toEqual(['c4', 'c3', 'c2', 'c1'])
      say('c4', 'n1', 1, true)
      say('c3', 'n1', 1, false)
      expect(unsettled('n1')).toEqual(['c3', 'c2', 'c1'])
      expect(unsettled('n2')).toEqual(['c4', 'c3', 'c2', 'c1'])
      expect(unsettled('n1', 2)).toEqual(['c3'])
      say('c3', 'n1', 3, true)
      say('c3', 'n1', 2, false)
      expect(unsettled('n1')).toEqual(['c2', 'c1'])
      say('c3', 'n1', 4, false)
      expect(unsettled('n1')).toEqual(['c3', 'c2', 'c1'])
    })

    test('keeps a bounded number of receipts for a command', () => {
      const ledger = ledgerAt('bounded')
      ledger.record(command(1))
      for (let n = 0; n < MAX_TRACKED_NODES + 5; n++) {
        ledger.keep([{ command: 'c1', node: `n${n}`, sequence: 1, envelope: new Uint8Array(), accepted: true, settled: true }])
      }
      ledger.keep([{ command: 'c1', node: 'n0', sequence: 2, envelope: new Uint8Array(), accepted: true, settled: true }])
      const receipts = ledger.about('net', 'x')[0]?.receipts ?? []
      expect(receipts).toHaveLength(MAX_TRACKED_NODES)
      expect(receipts.find(({ node }) => node === 'n0')?.sequence).toBe(2)
    })

    test('tells the newest command about a CID in each pinset, and what is still pinned', () => {
      const ledger = ledgerAt('about')
      ledger.record(command(1))
      ledger.record(command(2, 'pin', { pinset: 'site' }))
      ledger.record(command(3, 'unpin'))
      expect(ledger.about('net', 'x').map(({ command: { id } }) => id)).toEqual(['c2', 'c3'])
      expect(ledger.pinned('net')).toEqual([{ cid: 'x', pinset: 'site' }])
      expect(ledger.pinned('other')).toEqual([])
    })

    test('keeps what it was told when it is opened again', () => {
      const first = ledgerAt('reopened')
      first.record(command(1))
      expect(ledgerAt('reopened').unaccepted('net', author, 10)).toEqual([command(1)])
    })
  })
}
