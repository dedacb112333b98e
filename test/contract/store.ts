/** What every `Store` does. Implementations call {@link describeStore} and pass it unchanged. */
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Store } from '../../src/node/store.ts'
import type { StoredCommand, StoredRegister } from '../../src/protocol/records.ts'
import { compareRank, type Rank } from '../../src/protocol/order.ts'
import type { Author } from '../../src/protocol/ssh-key.ts'

const ANA: Author = `SHA256:${'A'.repeat(43)}`
const BOB: Author = `SHA256:${'B'.repeat(43)}`

/** A place in which stores are kept; every `open` gives a store over what the one before left. */
export interface StoreUnderTest {
  open(): Store
  /** Ends what was opened and removes all traces. */
  dispose(): void
}

/** A command that is right, for changing. */
export function aCommand(changes: Partial<StoredCommand> = {}): Omit<StoredCommand, 'seq'> {
  return {
    id: 'a'.repeat(64),
    author: ANA,
    pinset: 'default',
    time: { ms: 5, counter: 0 },
    acceptedAt: 6,
    envelope: Uint8Array.of(1, 2, 3),
    ...changes
  }
}

/** A register that is right, for changing. */
export function aRegister(changes: Partial<StoredRegister> = {}): StoredRegister {
  return {
    cid: 'bafkqaaa',
    pinset: 'default',
    author: ANA,
    kind: 'pin',
    rank: rankOf(5),
    command: 1,
    index: 0,
    acceptedAt: 6,
    spelled: 'bafkqaaa',
    ...changes
  }
}

function rankOf(ms: number, command = 'a'): Rank {
  return { at: { ms, counter: 0 }, time: { ms, counter: 0 }, command: command.repeat(64) }
}

const aJob = (cid: string, nextAt = 0) => ({ cid, action: 'pin', spelled: cid, origins: [], nextAt }) as const

/** The suite. */
export function describeStore(name: string, make: () => StoreUnderTest): void {
  describe(`store contract: ${name}`, () => {
    let place: StoreUnderTest
    let store: Store
    beforeEach(() => {
      place = make()
      store = place.open()
    })
    afterEach(() => place.dispose())
    const reopen = (): void => {
      store.close()
      store = place.open()
    }

    describe('transactions', () => {
      test('what is done in one is there after it, and after a new start', () => {
        expect(store.transaction(() => store.addCommand(aCommand()))).toBe(1)
        reopen()
        expect(store.commandBySeq(1)).toEqual({ seq: 1, ...aCommand() })
      })

      test('one that throws leaves nothing, and the error is the one thrown', () => {
        const work = (): void => {
          store.addCommand(aCommand())
          store.offerRegister(aRegister())
          store.hold('x', 'p')
          store.putJob(aJob('x'))
          throw new RangeError('on purpose')
        }
        expect(() => store.transaction(work)).toThrow(new RangeError('on purpose'))
        expect(store.command(aCommand().id)).toBeUndefined()
        expect([store.registers('bafkqaaa'), store.holds('x'), store.jobCount()]).toEqual([[], [], 0])
        store.transaction(() => store.hold('y', 'p'))
        expect(store.holds('y')).toEqual(['p'])
      })
    })

    describe('counters', () => {
      test('grow, each by itself', () => {
        const [a, b, c] = [store.next('ack'), store.next('ack'), store.next('ack')] as const
        expect(a).toBeGreaterThan(0)
        expect(b).toBeGreaterThan(a)
        expect(c).toBeGreaterThan(b)
        expect(store.next('other')).toBeGreaterThan(0)
      })

      test('never repeat over new starts and far beyond one reservation', () => {
        const seen = new Set<number>()
        let last = 0
        for (let start = 0; start < 3; start++) {
          for (let i = 0; i < 2_500; i++) {
            const value = store.next('ack')
            expect(value).toBeGreaterThan(last)
            seen.add(value)
            last = value
          }
          reopen()
        }
        expect(seen.size).toBe(7_500)
      })

      test('never repeat what was handed out in a transaction that was undone', () => {
        const seen: number[] = []
        const undone = (): void => {
          expect(() =>
            store.transaction(() => {
              seen.push(store.next('ack'), store.next('ack'))
              throw new Error('on purpose')
            })
          ).toThrow('on purpose')
        }
        undone()
        seen.push(store.next('ack'))
        undone()
        seen.push(store.next('ack'))
        reopen()
        seen.push(store.next('ack'))
        expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => a - b))
      })

      test('nor what a long transaction that was undone reserved anew', () => {
        let last = store.next('ack')
        const undone = (): void => {
          for (let i = 0; i < 2_500; i++) last = store.next('ack')
          throw new Error('on purpose')
        }
        expect(() => store.transaction(undone)).toThrow('on purpose')
        expect(store.next('ack')).toBeGreaterThan(last)
      })
    })

    test('standings are kept, the last word of each author', () => {
      const grant = { author: ANA, comment: 'c', rights: ['pin'], pinsets: ['a*'], validAfter: 1, expiryTime: 2, admin: false } as const
      store.putStanding(ANA, { grant, voided: false })
      store.putStanding(ANA, { grant, closedAt: 5, voided: true })
      store.putStanding(BOB, { grant: { ...grant, author: BOB }, voided: false })
      reopen()
      expect(store.standings()).toEqual(
        new Map([
          [ANA, { grant, closedAt: 5, voided: true }],
          [BOB, { grant: { ...grant, author: BOB }, voided: false }]
        ])
      )
    })

    describe('commands', () => {
      test('are found by id and by seq, whole', () => {
        const other = aCommand({ id: 'b'.repeat(64), pinset: undefined, time: { ms: Number.MAX_SAFE_INTEGER, counter: 0xffff_ffff } })
        const [one, two] = [store.addCommand(aCommand()), store.addCommand(other)]
        expect(two).toBeGreaterThan(one)
        expect(store.command('a'.repeat(64))).toEqual({ seq: one, ...aCommand() })
        expect(store.commandBySeq(two)).toEqual({ seq: two, ...other })
        expect([store.command('c'.repeat(64)), store.commandBySeq(99)]).toEqual([undefined, undefined])
      })

      test('one that is there is refused', () => {
        store.addCommand(aCommand())
        expect(() => store.addCommand(aCommand())).toThrow()
      })

      test('the newest time, milliseconds before counter', () => {
        expect(store.newest()).toBeUndefined()
        const times = [
          [5, 9],
          [7, 1],
          [7, 3],
          [7, 2],
          [6, 99]
        ] as const
        for (const [i, [ms, counter]] of times.entries()) store.addCommand(aCommand({ id: String(i), time: { ms, counter } }))
        expect(store.newest()).toEqual({ ms: 7, counter: 3 })
      })
    })

    describe('sets', () => {
      const members = (): unknown[] => [...store.setMembers()]
      const add = (letter: string, ms: number, pinset: string | undefined = 'default'): number =>
        store.addCommand(aCommand({ id: letter.repeat(64), time: { ms, counter: 0 }, pinset }))
      const member = (letter: string, ms: number, pinset: string | undefined = 'default') => ({
        author: ANA,
        pinset,
        ms,
        id: letter.repeat(64),
        bytes: 3
      })

      test('every command is a member until it has passed', () => {
        add('a', 9)
        const seq = add('b', 8)
        add('c', 7, undefined)
        expect(members()).toEqual([member('a', 9), member('b', 8), member('c', 7, undefined)])
        store.pass(seq, 1)
        store.pass(seq, 2)
        reopen()
        expect(members()).toEqual([member('a', 9), member('c', 7, undefined)])
        expect(store.command('b'.repeat(64))).toBeDefined()
      })

      test('a command holds what no other outranked', () => {
        const [low, high] = [add('a', 5), add('b', 6)]
        store.offerRegister(aRegister({ command: low }))
        expect([store.holdsRegister(low), store.holdsRegister(high)]).toEqual([true, false])
        store.offerRegister(aRegister({ command: high, rank: rankOf(6, 'b') }))
        expect([store.holdsRegister(low), store.holdsRegister(high)]).toEqual([false, true])
      })

      test('what passed goes by age and by number, with all that belonged to it', () => {
        const seqs = ['a', 'b', 'c', 'd', 'e'].map((letter, i) => add(letter, i))
        seqs.forEach((seq, i) => {
          store.putOperation({ command: seq, index: 0, cid: 'x', state: { status: 'queued' }, at: 1 })
          store.hush(seq)
          if (i < 4) store.pass(seq, i * 10)
        })
        expect(store.forgetPassed(0, 10, 10)).toBe(0)
        expect(store.forgetPassed(1, 10, 10)).toBe(1)
        expect(store.command('a'.repeat(64))).toBeUndefined()
        expect(store.operations(seqs[0] as number)).toEqual([])
        expect(store.isQuiet(seqs[0] as number)).toBe(false)
        expect(store.forgetPassed(0, 1, 1)).toBe(1)
        expect(store.forgetPassed(0, 1, 10)).toBe(1)
        expect(store.forgetPassed(0, 1, 10)).toBe(0)
        expect(['c', 'd', 'e'].map((letter) => store.command(letter.repeat(64)) !== undefined)).toEqual([false, true, true])
        expect(store.operations(seqs[4] as number)).toHaveLength(1)
      })

      test('a quiet command is quiet until it is heard of', () => {
        const seq = add('a', 1)
        expect(store.isQuiet(seq)).toBe(false)
        store.hush(seq)
        store.hush(seq)
        reopen()
        expect(store.isQuiet(seq)).toBe(true)
        store.unhush(seq)
        expect(store.isQuiet(seq)).toBe(false)
      })
    })

    describe('registers', () => {
      test('the first is taken, a higher replaces it, a lower and an equal do not', () => {
        const [low, high] = [
          aRegister({ rank: rankOf(5) }),
          aRegister({ rank: rankOf(6), name: 'site', origins: ['/ip4/203.0.113.1'], expires: 9, counterpart: 'x' })
        ]
        expect(store.offerRegister(low)).toEqual({ taken: true })
        expect(store.offerRegister(low)).toEqual({ taken: false, other: low })
        expect(store.offerRegister(high)).toEqual({ taken: true, other: low })
        expect(store.offerRegister(low)).toEqual({ taken: false, other: high })
        reopen()
        expect(store.registers('bafkqaaa')).toEqual([high])
      })

      test('there is one for each CID, pinset, author and kind', () => {
        const all = [
          aRegister(),
          aRegister({ kind: 'unpin' }),
          aRegister({ kind: '?move', unsupported: true }),
          aRegister({ author: BOB }),
          aRegister({ pinset: 'site' })
        ]
        for (const register of all) expect(store.offerRegister(register)).toEqual({ taken: true })
        store.offerRegister(aRegister({ cid: 'other' }))
        expect(store.registers('bafkqaaa')).toHaveLength(5)
        expect(store.registers('bafkqaaa')).toEqual(expect.arrayContaining(all))
      })

      test('the highest rank stays, whatever the order of arrival', () => {
        const time = fc.record({
          ms: fc.constantFrom(0, 1, 2, Number.MAX_SAFE_INTEGER - 1, Number.MAX_SAFE_INTEGER),
          counter: fc.constantFrom(0, 1, 10, 0xffff_ffff)
        })
        const rank = fc.record({ at: time, time, command: fc.constantFrom('0', '9', 'a', 'f').map((digit) => digit.repeat(64)) })
        let cid = 0
        fc.assert(
          fc.property(fc.array(rank, { minLength: 1, maxLength: 8 }), (ranks) => {
            const name = `cid${cid++}`
            let best: Rank | undefined
            for (const one of ranks) {
              const higher = best === undefined || compareRank(one, best) > 0
              const before = best
              const { taken, other } = store.offerRegister(aRegister({ cid: name, rank: one }))
              expect([taken, other?.rank]).toEqual([higher, before])
              if (higher) best = one
            }
            expect(store.registers(name).map((register) => register.rank)).toEqual([best])
          }),
          { seed: 20_261_121, numRuns: 100 }
        )
      })

      test('the CIDs of an author come in pages, in order, each once', () => {
        for (const cid of ['c', 'a', 'b', 'd']) {
          store.offerRegister(aRegister({ cid }))
          store.offerRegister(aRegister({ cid, kind: 'unpin' }))
        }
        store.offerRegister(aRegister({ cid: 'bb', author: BOB }))
        expect(store.cidsOfAuthor(ANA, '', 3)).toEqual(['a', 'b', 'c'])
        expect(store.cidsOfAuthor(ANA, 'c', 3)).toEqual(['d'])
        expect(store.cidsOfAuthor(ANA, 'd', 3)).toEqual([])
      })

      test('expiries: after the one, not after the other, each CID once', () => {
        const at: [string, number | undefined][] = [
          ['a', 10],
          ['b', 20],
          ['c', 30],
          ['d', undefined]
        ]
        for (const [cid, expires] of at) store.offerRegister(aRegister({ cid, ...(expires === undefined ? {} : { expires }) }))
        store.offerRegister(aRegister({ cid: 'b', pinset: 'site', expires: 15 }))
        expect(store.expiring(10, 30).toSorted()).toEqual(['b', 'c'])
        expect(store.expiring(0, 10)).toEqual(['a'])
        expect(store.expiring(30, 99)).toEqual([])
        expect([store.nextExpiry(0), store.nextExpiry(10), store.nextExpiry(29), store.nextExpiry(30)]).toEqual([10, 15, 30, undefined])
      })

      test('a pin that no longer expires is not among them', () => {
        store.offerRegister(aRegister({ expires: 10, rank: rankOf(1) }))
        store.offerRegister(aRegister({ rank: rankOf(2) }))
        expect([store.expiring(0, 99), store.nextExpiry(0)]).toEqual([[], undefined])
      })
    })

    describe('charges', () => {
      const charge = (of: Partial<StoredRegister>) =>
        store.registers('bafkqaaa').find((one) => one.kind === 'pin' && matches(one, of))?.charge
      const matches = (one: StoredRegister, { author = ANA, pinset = 'default' }: Partial<StoredRegister>) =>
        one.author === author && one.pinset === pinset
      const pinned = (bytes: number, cid = 'bafkqaaa') => store.putPin({ cid, spelled: cid, bytes, foreign: false, pinnedAt: 1 })

      test('an author is charged for each pin once, with its bytes from when it is pinned', () => {
        const [here, site] = [aRegister(), aRegister({ pinset: 'site' })]
        for (const one of [here, aRegister({ kind: 'unpin' }), site, aRegister({ author: BOB })]) store.offerRegister(one)
        expect([charge(here), store.usage(ANA)]).toEqual([undefined, { pins: 0, bytes: 0 }])
        store.charge(here)
        store.charge(here)
        store.charge(site)
        expect([charge(here), charge({ author: BOB }), store.usage(ANA)]).toEqual([{}, undefined, { pins: 2, bytes: 0 }])
        expect(store.payers('bafkqaaa')).toEqual(new Map([[ANA, 2]]))
        pinned(30)
        expect([charge(here), store.usage(ANA), store.usage(BOB)]).toEqual([{ bytes: 30 }, { pins: 2, bytes: 60 }, { pins: 0, bytes: 0 }])
        expect(store.payers('bafkqaaa')).toEqual(new Map())
        store.charge({ ...here, author: BOB })
        expect([charge({ author: BOB }), store.usage(BOB)]).toEqual([{ bytes: 30 }, { pins: 1, bytes: 30 }])
        reopen()
        pinned(50)
        store.discharge(site)
        store.discharge(site)
        expect([store.usage(ANA), store.usage(BOB)]).toEqual([
          { pins: 1, bytes: 50 },
          { pins: 1, bytes: 50 }
        ])
        expect(charge(site)).toBeUndefined()
        expect(store.registers('bafkqaaa').filter(({ kind }) => kind === 'unpin')).toEqual([aRegister({ kind: 'unpin' })])
      })

      test('a pin that is lost is still charged, until it is let go; said anew it is charged as before', () => {
        store.offerRegister(aRegister())
        store.charge(aRegister())
        pinned(30)
        store.removePin('bafkqaaa')
        expect([charge({}), store.usage(ANA)]).toEqual([{ bytes: 30 }, { pins: 1, bytes: 30 }])
        expect(store.offerRegister(aRegister({ rank: rankOf(9), name: 'again' }))).toMatchObject({ other: { charge: { bytes: 30 } } })
        expect([charge({}), store.usage(ANA)]).toEqual([{ bytes: 30 }, { pins: 1, bytes: 30 }])
        store.discharge(aRegister())
        expect(store.usage(ANA)).toEqual({ pins: 0, bytes: 0 })
      })

      test('what is undone with its transaction is not counted', () => {
        store.offerRegister(aRegister())
        const work = (): void => {
          store.charge(aRegister())
          pinned(30)
          throw new RangeError('on purpose')
        }
        expect(() => store.transaction(work)).toThrow(RangeError)
        expect([charge({}), store.usage(ANA)]).toEqual([undefined, { pins: 0, bytes: 0 }])
      })

      test('sizes that add up to more than a number holds are as much as it does', () => {
        for (const [i, cid] of ['a', 'b', 'c'].entries()) {
          store.offerRegister(aRegister({ cid, index: i }))
          store.charge(aRegister({ cid }))
          pinned(Number.MAX_SAFE_INTEGER, cid)
        }
        expect(store.usage(ANA)).toEqual({ pins: 3, bytes: Number.MAX_SAFE_INTEGER })
        for (const cid of ['a', 'b']) store.discharge(aRegister({ cid }))
        expect(store.usage(ANA)).toEqual({ pins: 1, bytes: Number.MAX_SAFE_INTEGER })
      })
    })

    test('what a cap refused is marked in all that the operation holds, until it is said anew or forgotten', () => {
      const update = [aRegister({ cid: 'new', counterpart: 'old' }), aRegister({ cid: 'old', counterpart: 'new', kind: 'unpin' })]
      const others = [aRegister({ cid: 'new', kind: 'unpin', index: 1 }), aRegister({ cid: 'new', author: BOB, command: 2 })]
      for (const register of [...update, ...others]) store.offerRegister(register)
      const refused = () =>
        ['new', 'old'].map((cid) =>
          store
            .registers(cid)
            .map((register) => register.refused ?? '')
            .toSorted()
        )
      store.refuse(1, 0, 'quota')
      reopen()
      expect(refused()).toEqual([['', '', 'quota'], ['quota']])
      expect(store.offerRegister(aRegister({ cid: 'new', rank: rankOf(9), command: 3 }))).toMatchObject({ other: { refused: 'quota' } })
      expect(refused()).toEqual([['', '', ''], ['quota']])
      store.refuse(2, 0, 'size')
      store.forgetRefusals(ANA)
      expect(refused()).toEqual([['', '', 'size'], ['']])
    })

    test('operations are kept in their order, the last state of each', () => {
      store.putOperation({ command: 1, index: 10, cid: 'a', state: { status: 'queued' }, at: 1 })
      store.putOperation({ command: 1, index: 2, cid: undefined, state: { status: 'refused', code: 'unsupported' }, at: 1 })
      store.putOperation({ command: 1, index: 10, cid: 'a', state: { status: 'failed', code: 'timeout', attempt: 2, next: 5 }, at: 3 })
      store.putOperation({ command: 2, index: 0, cid: 'a', state: { status: 'unpinned', heldBy: ['b'] }, at: 1 })
      const failed = { command: 1, index: 10, cid: 'a', state: { status: 'failed', code: 'timeout', attempt: 2, next: 5 }, at: 3 }
      expect(store.operations(1)).toEqual([
        { command: 1, index: 2, cid: undefined, state: { status: 'refused', code: 'unsupported' }, at: 1 },
        failed
      ])
      expect(store.operation(1, 10)).toEqual(failed)
      expect([store.operation(1, 0), store.operations(3)]).toEqual([undefined, []])
    })

    test('holds come in pages, in order, of all pinsets or of one', () => {
      const rows = [
        ['a', 'p'],
        ['a', 'q'],
        ['b', 'p'],
        ['c', 'q']
      ] as const
      for (const [cid, pinset] of rows.toReversed()) store.hold(cid, pinset)
      store.hold('a', 'p')
      const all = rows.map(([cid, pinset]) => ({ cid, pinset }))
      const page = store.held(undefined, undefined, 3)
      expect([...page, ...store.held(page.at(-1), undefined, 3)]).toEqual(all)
      expect(store.held({ cid: 'a', pinset: 'p' }, undefined, 1)).toEqual([{ cid: 'a', pinset: 'q' }])
      expect(store.held(undefined, 'q', 1)).toEqual([{ cid: 'a', pinset: 'q' }])
      expect(store.held({ cid: 'a', pinset: 'q' }, 'q', 9)).toEqual([{ cid: 'c', pinset: 'q' }])
      store.release('a', 'p')
      store.release('a', 'nothing')
      expect([store.holds('a'), store.holds('z')]).toEqual([['q'], []])
    })

    test('pins are kept, replaced, counted and removed', () => {
      const pin = { cid: 'a', spelled: 'Qm', bytes: Number.MAX_SAFE_INTEGER, foreign: true, pinnedAt: 5 }
      store.putPin({ ...pin, bytes: 1, foreign: false })
      store.putPin(pin)
      expect([store.pin('a'), store.pin('b'), store.pinCount()]).toEqual([pin, undefined, 1])
      store.removePin('a')
      expect([store.pin('a'), store.pinCount()]).toEqual([undefined, 0])
    })

    test('pins come in pages, in order', () => {
      const pins = ['a', 'b', 'c', 'd'].map((cid, i) => ({ cid, spelled: `Qm${cid}`, bytes: i, foreign: i % 2 === 1, pinnedAt: 9 - i }))
      for (const pin of pins.toReversed()) store.putPin(pin)
      expect(store.pins('', 3)).toEqual(pins.slice(0, 3))
      expect(store.pins('c', 3)).toEqual(pins.slice(3))
      expect(store.pins('d', 3)).toEqual([])
    })

    describe('jobs', () => {
      test('a fresh one replaces the other of its CID, under a new id that was never used', () => {
        store.putJob(aJob('a'))
        const first = store.job('a')
        store.retryJob(first?.id as number, 3, 'timeout', 50)
        expect(store.job('a')).toMatchObject({ attempt: 3, code: 'timeout', nextAt: 50 })
        store.putJob({ ...aJob('a', 7), action: 'unpin', origins: ['/ip4/203.0.113.1'] })
        const second = store.job('a')
        expect(second).toEqual({
          id: second?.id,
          cid: 'a',
          action: 'unpin',
          spelled: 'a',
          origins: ['/ip4/203.0.113.1'],
          attempt: 0,
          nextAt: 7
        })
        store.removeJob('a')
        reopen()
        store.putJob(aJob('a'))
        expect(new Set([first?.id, second?.id, store.job('a')?.id]).size).toBe(3)
        expect(store.jobCount()).toBe(1)
      })

      test('putting off one that was replaced has no effect', () => {
        store.putJob(aJob('a'))
        const { id } = store.job('a') as { id: number }
        store.putJob(aJob('a', 7))
        store.retryJob(id, 1, 'timeout', 99)
        expect(store.job('a')).toMatchObject({ attempt: 0, nextAt: 7 })
      })

      test('fresh before retried, then by due time, then as they came; what is not due waits', () => {
        const put = (cid: string, nextAt: number, attempt = 0): void => {
          store.putJob(aJob(cid, nextAt))
          if (attempt > 0) store.retryJob((store.job(cid) as { id: number }).id, attempt, 'timeout', nextAt)
        }
        put('retried-early', 1, 1)
        put('fresh-late', 5)
        put('fresh-first', 3)
        put('fresh-second', 3)
        put('retried-often', 2, 9)
        put('not-due', 11)
        put('retried-not-due', 11, 1)
        const order = ['fresh-first', 'fresh-second', 'fresh-late', 'retried-early', 'retried-often']
        expect(store.dueJobs(10, 99).map(({ cid }) => cid)).toEqual(order)
        expect(store.dueJobs(10, 2).map(({ cid }) => cid)).toEqual(order.slice(0, 2))
        expect(store.dueJobs(0, 99)).toEqual([])
      })

      test('when the next is due, fresh or retried', () => {
        expect(store.nextDue()).toBeUndefined()
        store.putJob(aJob('a', 9))
        expect(store.nextDue()).toBe(9)
        store.putJob(aJob('b', 20))
        store.retryJob((store.job('b') as { id: number }).id, 1, 'timeout', 4)
        expect(store.nextDue()).toBe(4)
        store.retryJob((store.job('b') as { id: number }).id, 2, 'timeout', 0)
        expect(store.nextDue()).toBe(0)
        store.removeJob('a')
        expect(store.nextDue()).toBe(0)
      })

      test('hastened, one starts now, and one that is due already does not wait longer', () => {
        store.putJob(aJob('a', 50))
        store.putJob(aJob('b', 5))
        for (const cid of ['a', 'b', 'none']) store.hastenJob(cid, 10)
        expect([store.job('a')?.nextAt, store.job('b')?.nextAt]).toEqual([10, 5])
      })

      test('hastened by why they failed, those start now, and no other', () => {
        const codes = { a: 'no-space', b: 'no-space', c: 'timeout', d: undefined } as const
        for (const [cid, code] of Object.entries(codes)) {
          store.putJob(aJob(cid, cid === 'd' ? 50 : 0))
          if (code !== undefined) store.retryJob((store.job(cid) as { id: number }).id, 2, code, cid === 'b' ? 5 : 50)
        }
        expect([store.isPutOff('no-space'), store.isPutOff('timeout'), store.isPutOff('failed')]).toEqual([true, true, false])
        store.hastenJobs('no-space', 10)
        expect(['a', 'b', 'c', 'd'].map((cid) => store.job(cid)?.nextAt)).toEqual([10, 5, 50, 50])
        expect(store.job('a')).toMatchObject({ attempt: 2, code: 'no-space' })
        store.putJob(aJob('a'))
        store.removeJob('b')
        expect(store.isPutOff('no-space')).toBe(false)
      })

      test('those that are due may be asked for by what they do', () => {
        for (const cid of ['a', 'b', 'c', 'd']) store.putJob({ ...aJob(cid), action: cid === 'b' || cid === 'd' ? 'unpin' : 'pin' })
        const due = (limit: number, action?: 'pin' | 'unpin') => store.dueJobs(1, limit, action).map(({ cid }) => cid)
        expect([due(9, 'unpin'), due(9, 'pin'), due(1, 'unpin'), due(9)]).toEqual([['b', 'd'], ['a', 'c'], ['b'], ['a', 'b', 'c', 'd']])
      })
    })
  })
}
