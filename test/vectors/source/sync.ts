import { commandIdFrom } from '../../../src/protocol/envelope.ts'
import { encodeSyncAnswer, encodeSyncAsk, type SyncAnswer, type SyncAsk } from '../../../src/protocol/sync/messages.ts'
import { author, cbor, hex, NETWORK, NOW, sealed, commandFields, sha256 } from './make.ts'
import { plain } from './plain.ts'

const COMMAND = commandIdFrom(sha256('command'))
const SITE = { author: author.author, pinset: 'site' }
const ADMIN = { author: author.author, pinset: undefined }
const DIGEST = { ...SITE, count: 2, root: sha256('root'), newest: NOW }
const ITEM = { ms: NOW, id: sha256('command') }

const ASKS: readonly [name: string, ask: SyncAsk][] = [
  ['sets-none', { ask: 'sets', network: NETWORK, sets: [], more: false }],
  ['sets', { ask: 'sets', network: NETWORK, sets: [{ ...DIGEST, ...ADMIN }, { ...DIGEST, capped: true }], more: false }],
  ['sets-after', { ask: 'sets', network: NETWORK, sets: [DIGEST], after: ADMIN, more: true }],
  ['reconcile', { ask: 'reconcile', network: NETWORK, set: SITE, message: Uint8Array.of(0x61, 0, 0, 2, 0) }],
  ['ids', { ask: 'ids', network: NETWORK, set: ADMIN }],
  ['ids-after', { ask: 'ids', network: NETWORK, set: SITE, after: ITEM }],
  ['commands', { ask: 'commands', network: NETWORK, ids: [COMMAND] }]
]

const answers = async (): Promise<readonly [name: string, answer: SyncAnswer][]> => [
  ['sets-equal', { answer: 'sets', sets: [], more: false }],
  ['sets', { answer: 'sets', sets: [DIGEST], more: true }],
  ['reconcile', { answer: 'reconcile', message: Uint8Array.of(0x61) }],
  ['ids', { answer: 'ids', ids: [ITEM], more: false }],
  ['commands', { answer: 'commands', commands: [{ acceptedAt: NOW, envelope: await sealed('command', commandFields()) }], upTo: 2 }],
  ['error-network', { answer: 'error', error: 'network', network: 'red-fox-0000' }],
  ['error-unsupported', { answer: 'error', error: 'unsupported' }],
  ['error-busy', { answer: 'error', error: 'busy' }]
]

const HEAD = { v: 1, network: NETWORK }
const NAME = [sha256('x'), 'site']

const BROKEN: readonly [name: string, kind: string, code: string, value: unknown][] = [
  ['ask-without-network', 'ask', 'shape', { v: 1, ask: 'commands', ids: [] }],
  ['ask-sets-without-after', 'ask', 'shape', { ...HEAD, ask: 'sets', sets: [], more: false }],
  ['ask-set-pinset', 'ask', 'shape', { ...HEAD, ask: 'reconcile', set: [sha256('x'), 'a b'], message: sha256('x') }],
  ['ask-item', 'ask', 'shape', { ...HEAD, ask: 'ids', set: NAME, after: [NOW] }],
  ['ask-id', 'ask', 'shape', { ...HEAD, ask: 'commands', ids: [sha256('x').slice(1)] }],
  ['answer-unknown', 'answer', 'shape', { answer: 'other' }],
  ['answer-set', 'answer', 'shape', { answer: 'sets', sets: [[...NAME, 1, sha256('x'), NOW]], more: false }],
  ['answer-command', 'answer', 'shape', { answer: 'commands', commands: [[sha256('x'), NOW]], upTo: 1 }],
  ['answer-count', 'answer', 'shape', { answer: 'commands', commands: [], upTo: -1 }],
  ['answer-error', 'answer', 'shape', { answer: 'error', error: 'tired' }]
]

/** Messages of the sync stream, right and wrong. */
export async function syncVectors(): Promise<unknown[]> {
  const valid = <T>(kind: string, cases: readonly (readonly [string, T])[], write: (value: T) => Uint8Array): unknown[] =>
    cases.map(([name, value]) => ({ name: `${kind}-${name}`, kind, bytes: hex(write(value)), value: plain(value) }))
  return [
    ...valid('ask', ASKS, encodeSyncAsk),
    ...valid('answer', await answers(), encodeSyncAnswer),
    ...BROKEN.map(([name, kind, code, value]) => ({ name, kind, code, bytes: hex(cbor(value)) }))
  ]
}
