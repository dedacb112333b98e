import { isDeepStrictEqual } from 'node:util'
import { CID } from 'multiformats/cid'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { cidKey } from '../../src/protocol/cid.ts'
import { InvalidMessageError } from '../../src/protocol/errors.ts'
import { MAX_PAGE_BYTES, MAX_QUERY_BYTES, MAX_QUERY_CIDS, MAX_QUERY_COMMANDS, MAX_REFUSAL_BYTES } from '../../src/protocol/limits.ts'
import {
  decodeQueryPage,
  decodeQueryRequest,
  decodeRefusal,
  encodeQueryPage,
  encodeQueryRequest,
  encodeRefusal,
  type QueryPage,
  type QueryRequest
} from '../../src/protocol/query.ts'
import { KEY_BLOB_BYTES } from '../../src/protocol/ssh-key.ts'
import * as wire from '../../src/protocol/wire.ts'

const V1 = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
const V0 = CID.parse('QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG')

const network = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/)
const pinset = fc.stringMatching(/^[a-z][a-z0-9.]{0,20}$/)
const command = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('hex'))
const envelope = fc.uint8Array({ maxLength: 200 })
const cid = fc.constantFrom(V0, V1)
const optional = <T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> =>
  fc.record(fields, { requiredKeys: [] }) as unknown as fc.Arbitrary<Partial<T>>

const request: fc.Arbitrary<QueryRequest> = fc.oneof(
  fc
    .tuple(network, optional({ signer: fc.uint8Array({ minLength: KEY_BLOB_BYTES, maxLength: KEY_BLOB_BYTES }) }))
    .map(([n, rest]) => ({ want: 'hello' as const, network: n, ...rest })),
  fc
    .tuple(network, optional({ cids: fc.array(cid.map(cidKey), { maxLength: 5 }), pinset, check: fc.constant(true as const) }))
    .map(([n, rest]) => ({ want: 'status' as const, network: n, ...rest })),
  fc.tuple(network, optional({ pinset })).map(([n, rest]) => ({ want: 'pins' as const, network: n, ...rest })),
  fc.tuple(network, fc.uniqueArray(command, { maxLength: 5 })).map(([n, commands]) => ({ want: 'acks' as const, network: n, commands }))
)

const status = fc.constantFrom('accepted', 'queued', 'pinning', 'pinned', 'unpinned', 'superseded', 'failed', 'refused')
const statusRow = fc
  .tuple(
    fc.record({ cid, pinset, status, at: fc.maxSafeNat() }),
    optional({
      bytes: fc.maxSafeNat(),
      code: fc.constantFrom('timeout', 'quota', 'unauthorised'),
      check: fc.constantFrom('held', 'missing', 'damaged', 'unknown'),
      command,
      name: fc.string({ maxLength: 50 })
    })
  )
  .map(([row, rest]) => ({ ...row, ...rest }))
const author = fc
  .uint8Array({ minLength: 32, maxLength: 32 })
  .map((bytes) => `SHA256:${Buffer.from(bytes).toString('base64').replace('=', '')}`)
const pinRow = fc
  .tuple(fc.record({ cid, pinset, author, at: fc.maxSafeNat(), status }), optional({ name: fc.string({ maxLength: 50 }) }))
  .map(([row, rest]) => ({ ...row, ...rest }))
const page = fc.oneof(
  fc
    .tuple(
      fc.record({
        page: fc.constant('hello'),
        network,
        version: fc.string({ maxLength: 16 }),
        presences: fc.array(envelope, { maxLength: 4 })
      }),
      optional({ authorised: fc.boolean(), closed: fc.string({ maxLength: 40 }) }),
      fc.option(fc.array(fc.maxSafeNat(), { minLength: 4, maxLength: 4 }))
    )
    .map(([first, rest, ages]) => ({ ...first, ...rest, ...(ages === null ? {} : { ages: ages.slice(0, first.presences.length) }) })),
  fc.record({ page: fc.constant('status'), rows: fc.array(statusRow, { maxLength: 5 }) }),
  fc.record({ page: fc.constant('pins'), rows: fc.array(pinRow, { maxLength: 5 }) }),
  fc.record({ page: fc.constant('acks'), acks: fc.array(envelope, { maxLength: 4 }) }),
  fc.record({ page: fc.constant('error'), error: fc.constant('network'), network }),
  fc.record({ page: fc.constant('error'), error: fc.constantFrom('unsupported', 'busy') })
) as fc.Arbitrary<QueryPage>

describe('round trips', () => {
  test('requests', () =>
    fc.assert(fc.property(request, (value) => isDeepStrictEqual(decodeQueryRequest(encodeQueryRequest(value)), value))))
  test('pages', () =>
    fc.assert(fc.property(page, (value) => isDeepStrictEqual(plain(decodeQueryPage(encodeQueryPage(value))), plain(value)))))
  test('refusals', () =>
    fc.assert(
      fc.property(network, command, (n, id) => {
        const refusal = { network: n, command: id, code: 'expired' as const }
        const bytes = encodeRefusal(refusal)
        expect(bytes.byteLength).toBeLessThanOrEqual(MAX_REFUSAL_BYTES)
        expect(decodeRefusal(bytes)).toEqual(refusal)
      })
    ))

  test('a CID comes back as it was spelled', () => {
    const row = { cid: V0, pinset: 'default', status: 'pinned', at: 1 } as const
    const back = decodeQueryPage(encodeQueryPage({ page: 'status', rows: [row] }))
    expect(back.page === 'status' && back.rows[0]?.cid.toString()).toBe(V0.toString())
  })

  test('optionals spelled out as undefined are left out', () => {
    const row = { cid: V1, pinset: 'default', status: 'pinned', at: 1, bytes: undefined } as never
    expect(decodeQueryPage(encodeQueryPage({ page: 'status', rows: [row] }))).toEqual({
      page: 'status',
      rows: [{ cid: V1, pinset: 'default', status: 'pinned', at: 1 }]
    })
  })
})

describe('broken ones', () => {
  const readers = [decodeQueryRequest, decodeQueryPage, decodeRefusal]

  test('any bytes give a value or an InvalidMessageError', () => {
    const anything = fc.oneof(fc.uint8Array(), fc.anything().map(tryEncode))
    fc.assert(
      fc.property(anything, (bytes) => {
        return readers.every((read) => givesValueOrFault(() => read(bytes)))
      })
    )
  })

  test('a changed byte gives a value or an InvalidMessageError', () => {
    fc.assert(
      fc.property(page, fc.nat(), fc.integer({ min: 1, max: 255 }), (value, where, change) => {
        const bytes = encodeQueryPage(value)
        const at = where % bytes.byteLength
        bytes[at] = (bytes[at] ?? 0) ^ change
        return givesValueOrFault(() => decodeQueryPage(bytes))
      })
    )
  })

  const head = { v: 1, network: 'n' }
  test.each([
    ['too many CIDs', { ...head, want: 'status', cids: Array.from({ length: MAX_QUERY_CIDS + 1 }, () => V1) }],
    [
      'too many commands',
      {
        ...head,
        want: 'acks',
        commands: Array.from({ length: MAX_QUERY_COMMANDS + 1 }, (_, i) => Uint8Array.of(i, i >> 8, ...new Uint8Array(30)))
      }
    ],
    ['a CID as text', { ...head, want: 'status', cids: [V1.toString()] }],
    ['a short command', { ...head, want: 'acks', commands: [new Uint8Array(31)] }],
    ['a command twice', { ...head, want: 'acks', commands: [new Uint8Array(32), new Uint8Array(32)] }],
    ['a short key', { ...head, want: 'hello', signer: new Uint8Array(10) }],
    ['a bad pinset', { ...head, want: 'pins', pinset: 'a b' }],
    ['no network', { v: 1, want: 'pins' }],
    ['no version', { network: 'n', want: 'pins' }]
  ])('a question with %s', (_name, value) => expect(() => decodeQueryRequest(wire.encode(value))).toThrow(InvalidMessageError))

  test.each([
    ['an unknown status', { page: 'status', rows: [{ cid: V1, pinset: 'p', status: 'great', at: 1 }] }],
    ['a negative time', { page: 'status', rows: [{ cid: V1, pinset: 'p', status: 'pinned', at: -1 }] }],
    ['an unknown code', { page: 'status', rows: [{ cid: V1, pinset: 'p', status: 'failed', code: 'x', at: 1 }] }],
    ['a bad author', { page: 'pins', rows: [{ cid: V1, pinset: 'p', author: 'me', status: 'pinned', at: 1 }] }],
    ['an unknown kind', { page: 'poem' }],
    ['an unknown error', { page: 'error', error: 'sad' }],
    ['fewer ages than presences', { page: 'hello', network: 'n', version: '1', presences: [new Uint8Array(1)], ages: [] }],
    ['a negative age', { page: 'hello', network: 'n', version: '1', presences: [new Uint8Array(1)], ages: [-1] }],
    ['authorised as text', { page: 'hello', network: 'n', version: '1', authorised: 'yes', presences: [] }]
  ])('a page with %s', (_name, value) => expect(() => decodeQueryPage(wire.encode(value))).toThrow(InvalidMessageError))

  test('too large ones are refused before they are decoded, and not written', () => {
    expect(() => decodeQueryRequest(new Uint8Array(MAX_QUERY_BYTES + 1))).toThrow(expect.objectContaining({ code: 'size' }))
    expect(() => decodeQueryPage(new Uint8Array(MAX_PAGE_BYTES + 1))).toThrow(expect.objectContaining({ code: 'size' }))
    expect(() => decodeRefusal(new Uint8Array(MAX_REFUSAL_BYTES + 1))).toThrow(expect.objectContaining({ code: 'size' }))
    expect(() => encodeQueryPage({ page: 'acks', acks: [new Uint8Array(MAX_PAGE_BYTES)] })).toThrow(
      expect.objectContaining({ code: 'size' })
    )
  })

  test('an unknown question, or one of a later version, is told from a malformed one', () => {
    expect(decodeQueryRequest(wire.encode({ ...head, want: 'dance' }))).toEqual({ want: 'unknown', network: 'n' })
    expect(decodeQueryRequest(wire.encode({ v: 2, network: 'n', want: 'status', cids: 'all' }))).toEqual({ want: 'unknown', network: 'n' })
  })

  test('the most that may be asked fits', () => {
    const long = CID.parse('bafkrgqhhyivzstcz3hhswshfjgy6ertgmnqeleynhwt4dlfsthi4hn7zgh4uvlsb5xncykzapi3ocd4lzogukir6ksdy6wzrnz6ohnv4aglcs')
    const bytes = encodeQueryRequest({
      want: 'status',
      network: 'n'.repeat(64),
      pinset: 'p'.repeat(64),
      cids: Array.from({ length: MAX_QUERY_CIDS }, () => cidKey(long))
    })
    expect(decodeQueryRequest(bytes)).toMatchObject({ want: 'status' })
  })
})

/** CIDs carry caches that two equal ones need not share, and what fast-check makes has no prototype. */
function plain(page: QueryPage): unknown {
  return 'rows' in page ? { ...page, rows: page.rows.map((row) => ({ ...row, cid: row.cid.toString() })) } : { ...page }
}

function givesValueOrFault(read: () => unknown): boolean {
  try {
    read()
    return true
  } catch (err) {
    return err instanceof InvalidMessageError
  }
}

function tryEncode(value: unknown): Uint8Array {
  try {
    return wire.encode(value)
  } catch {
    return new Uint8Array(0)
  }
}
