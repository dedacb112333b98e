/** The messages of the test vectors, right and broken, as bytes. */
import { readFileSync } from 'node:fs'
import { openEnvelope, type Kind } from '../../../src/protocol/envelope.ts'
import { VECTORS } from '../../../scripts/vectors.ts'

interface Vector {
  readonly kind?: string
  readonly expected?: string
  readonly envelope?: string
  readonly bytes?: string
  readonly messages?: readonly string[]
}

const load = (file: string): readonly Vector[] => JSON.parse(readFileSync(new URL(file, VECTORS), 'utf8')) as readonly Vector[]

const bytesOf = (hex: readonly (string | undefined)[]): readonly Uint8Array[] =>
  hex.flatMap((text) => (text === undefined || text === '' ? [] : [new Uint8Array(Buffer.from(text, 'hex'))]))

/** Good envelopes of a kind. */
export function goodEnvelopes(kind: Kind): readonly Uint8Array[] {
  const file = { command: 'commands.json', ack: 'acks.json', presence: 'presences.json' }[kind]
  return bytesOf(load(file).map(({ envelope }) => envelope))
}

/** Envelopes of every kind, broken ones too. */
export const envelopes: readonly Uint8Array[] = [
  ...(['command', 'ack', 'presence'] as const).flatMap(goodEnvelopes),
  ...bytesOf(load('broken.json').map(({ envelope }) => envelope))
]

/** The payloads of good envelopes of a kind. */
export const payloads = (kind: Kind): readonly Uint8Array[] => goodEnvelopes(kind).map((bytes) => openEnvelope(bytes).payload)

/** Questions, pages and refusals, or asks and answers, by their kind. */
export const messages = (file: 'queries.json' | 'sync-messages.json', kind: string): readonly Uint8Array[] =>
  bytesOf(load(file).flatMap((vector) => (vector.kind === kind ? [vector.bytes] : [])))

/** Messages of reconciliations. */
export const reconciliations: readonly Uint8Array[] = bytesOf(load('sync.json').flatMap((vector) => vector.messages ?? []))
