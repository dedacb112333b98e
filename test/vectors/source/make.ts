/** What vectors are made of: fixed keys, CIDs, and envelopes that may be wrong in any way. */
import * as dagCbor from '@ipld/dag-cbor'
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { toString } from 'uint8arrays/to-string'
import { createSeedSigner, type Namespace, type Signer } from '../../../src/protocol/signature.ts'

/** The network of all vectors. */
export const NETWORK = 'blue-otter-7f3a'

/** 2026-11-21T00:00:00Z, milliseconds since the epoch. */
export const NOW = 1_795_219_200_000

/** An Ed25519 seed of 32 equal bytes. */
export const seedOf = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)

/** Who signs commands. */
export const author = createSeedSigner(seedOf(1))

/** Who signs acks and presence. */
export const node = createSeedSigner(seedOf(2))

/** Somebody else. */
export const stranger = createSeedSigner(seedOf(3))

/** Bytes as the vectors write them. */
export const hex = (bytes: Uint8Array): string => toString(bytes, 'hex')

/** DAG-CBOR of a value, checked by nobody. */
export const cbor = (value: unknown): Uint8Array => new Uint8Array(dagCbor.encode(value))

/** SHA2-256 of text. */
export const sha256 = (text: string): Uint8Array => new Uint8Array(createHash('sha256').update(text).digest())

/** A CIDv1 (raw) of some text. */
export const rawCid = (text: string): CID => CID.createV1(0x55, Digest.create(0x12, sha256(text)))

/** A CIDv0 of some text. */
export const oldCid = (text: string): CID => CID.createV0(Digest.create(0x12, sha256(text)))

/** An identity CID of `length` bytes in all. */
export const identityCid = (length: number): CID => CID.createV1(0x55, Digest.create(0, new Uint8Array(length - 4)))

/** The SSH blob's hash in a payload of {@link author}. */
export const signerHash = new Uint8Array(createHash('sha256').update(author.blob).digest())

/** The fields of a command payload that is right, for changing. */
export const commandFields = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  v: 1,
  network: NETWORK,
  signer: signerHash,
  pinset: 'default',
  time: [NOW, 0],
  ops: [{ op: 'pin', cid: rawCid('a') }],
  ...changes
})

/** The fields of an ack payload that is right, for changing. */
export const ackFields = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  v: 1,
  network: NETWORK,
  command: sha256('command'),
  seq: 7,
  time: NOW,
  states: [[1, 0]],
  ...changes
})

/** The fields of a presence payload that is right, for changing. */
export const presenceFields = (changes: Record<string, unknown> = {}): Record<string, unknown> => ({
  v: 1,
  network: NETWORK,
  seq: 3,
  time: NOW,
  addresses: ['/ip4/203.0.113.1/tcp/4101'],
  tags: { region: 'eu' },
  queue: 0,
  version: 'pinsub/0.1.0',
  backend: { kind: 'helia', up: true, addresses: [] },
  ...changes
})

const NAMESPACES: Readonly<Record<string, Namespace>> = { command: 'pinsub', ack: 'pinsub-ack', presence: 'pinsub-presence' }

/** A map without one of its keys. */
export function without(map: Record<string, unknown>, key: string): Record<string, unknown> {
  return Object.fromEntries(Object.entries(map).filter(([name]) => name !== key))
}

/** The fields of an envelope around a payload, signed for its kind. */
export async function frameOf(kind: 'command' | 'ack' | 'presence', payload: Uint8Array, signer: Signer): Promise<Record<string, unknown>> {
  const signature = await signer.sign(NAMESPACES[kind] as Namespace, payload)
  return { ...(kind === 'command' ? {} : { kind }), payload, signer: signer.blob, signature }
}

/** A signed envelope around any payload. */
export async function sealed(kind: 'command' | 'ack' | 'presence', payload: Uint8Array | Record<string, unknown>): Promise<Uint8Array> {
  return cbor(await frameOf(kind, payload instanceof Uint8Array ? payload : cbor(payload), kind === 'command' ? author : node))
}
