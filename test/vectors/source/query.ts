import {
  encodeQueryPage,
  encodeQueryRequest,
  encodeRefusal,
  type QueryPage,
  type QueryRequest,
  type RefusalMessage
} from '../../../src/protocol/query.ts'
import { cidKey } from '../../../src/protocol/cid.ts'
import { commandIdFrom } from '../../../src/protocol/envelope.ts'
import { author, cbor, hex, NETWORK, NOW, rawCid, sha256 } from './make.ts'
import { plain } from './plain.ts'

const COMMAND = commandIdFrom(sha256('command'))

const REQUESTS: readonly [name: string, request: QueryRequest][] = [
  ['hello', { want: 'hello', network: NETWORK }],
  ['hello-signer', { want: 'hello', network: NETWORK, signer: author.blob }],
  ['status', { want: 'status', network: NETWORK }],
  ['status-cids', { want: 'status', network: NETWORK, cids: [cidKey(rawCid('a'))], pinset: 'site' }],
  ['status-check', { want: 'status', network: NETWORK, cids: [cidKey(rawCid('a'))], check: true }],
  ['pins', { want: 'pins', network: NETWORK, pinset: 'site' }],
  ['acks', { want: 'acks', network: NETWORK, commands: [COMMAND] }]
]

const PAGES: readonly [name: string, page: QueryPage][] = [
  ['hello', { page: 'hello', network: NETWORK, version: 'pinsub/0.1.0', presences: [] }],
  [
    'hello-closed',
    { page: 'hello', network: NETWORK, version: 'pinsub/0.1.0', authorised: false, closed: 'expired', presences: [Uint8Array.of(1)] }
  ],
  [
    'hello-ages',
    { page: 'hello', network: NETWORK, version: 'pinsub/0.1.0', presences: [Uint8Array.of(1), Uint8Array.of(2)], ages: [0, 240_000] }
  ],
  [
    'status',
    {
      page: 'status',
      rows: [
        { cid: rawCid('a'), pinset: 'site', status: 'pinned', bytes: 5, command: COMMAND, at: NOW },
        { cid: rawCid('b'), pinset: 'site', status: 'failed', code: 'not-found', at: NOW }
      ]
    }
  ],
  [
    'status-checked',
    {
      page: 'status',
      rows: [
        { cid: rawCid('a'), pinset: 'site', op: 'pin', status: 'pinned', bytes: 5, check: 'held', command: COMMAND, at: NOW },
        { cid: rawCid('b'), pinset: 'site', op: 'pin', status: 'queued', check: 'damaged', command: COMMAND, at: NOW }
      ]
    }
  ],
  ['status-nothing-yet', { page: 'status', rows: [] }],
  ['pins', { page: 'pins', rows: [{ cid: rawCid('a'), pinset: 'site', name: 'Home', author: author.author, at: NOW, status: 'queued' }] }],
  ['acks', { page: 'acks', acks: [Uint8Array.of(1, 2)] }],
  ['error-network', { page: 'error', error: 'network', network: 'red-fox-0000' }],
  ['error-busy', { page: 'error', error: 'busy' }]
]

const REFUSALS: readonly [name: string, refusal: RefusalMessage][] = [
  ['refusal', { network: NETWORK, command: COMMAND, code: 'unauthorised' }]
]

const BROKEN: readonly [name: string, kind: string, code: string, value: unknown][] = [
  ['request-without-network', 'request', 'shape', { v: 1, want: 'hello' }],
  ['request-signer', 'request', 'shape', { v: 1, want: 'hello', network: NETWORK, signer: sha256('x') }],
  ['request-cids', 'request', 'shape', { v: 1, want: 'status', network: NETWORK, cids: ['x'] }],
  ['request-check', 'request', 'shape', { v: 1, want: 'status', network: NETWORK, check: 'yes' }],
  ['request-command', 'request', 'shape', { v: 1, want: 'acks', network: NETWORK, commands: [sha256('x').slice(1)] }],
  ['page-unknown', 'page', 'shape', { page: 'other' }],
  ['page-ages', 'page', 'shape', { page: 'hello', network: NETWORK, version: '1', presences: [Uint8Array.of(1)], ages: [] }],
  ['page-row', 'page', 'shape', { page: 'status', rows: [1] }],
  ['page-check', 'page', 'shape', { page: 'status', rows: [{ cid: rawCid('a'), pinset: 'p', status: 'pinned', check: 'fine', at: 1 }] }],
  ['page-author', 'page', 'shape', { page: 'pins', rows: [{ cid: rawCid('a'), pinset: 'p', author: 'me', at: 1, status: 'queued' }] }],
  ['refusal-code', 'refusal', 'shape', { v: 1, network: NETWORK, command: sha256('x'), code: 'why' }],
  ['refusal-version', 'refusal', 'shape', { v: 2, network: NETWORK, command: sha256('x'), code: 'skew' }]
]

/** Messages of the query and refusal streams, right and wrong. */
export function queryVectors(): unknown[] {
  const valid = <T>(kind: string, cases: readonly [string, T][], write: (value: T) => Uint8Array): unknown[] =>
    cases.map(([name, value]) => ({ name: `${kind}-${name}`, kind, bytes: hex(write(value)), value: plain(value) }))
  return [
    ...valid('request', REQUESTS, encodeQueryRequest),
    ...valid('page', PAGES, encodeQueryPage),
    ...valid('refusal', REFUSALS, encodeRefusal),
    ...BROKEN.map(([name, kind, code, value]) => ({ name, kind, code, bytes: hex(cbor(value)) }))
  ]
}
