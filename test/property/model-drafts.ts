/** Makes of what a schedule says what agents read, and what the model reads: signed commands and files of keys. */
import { createHash } from 'node:crypto'
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import type { AuthorizedKeys } from '../../src/protocol/authorized-keys.ts'
import { commandId, sealEnvelope } from '../../src/protocol/envelope.ts'
import { compareHlc, type Hlc } from '../../src/protocol/order.ts'
import { keyHash, type Author } from '../../src/protocol/ssh-key.ts'
import * as wire from '../../src/protocol/wire.ts'
import { author, grantOf } from '../support/author.ts'
import { CIDS, PINSETS, type CommandDraft, type LineDraft, type OperationDraft } from './model-steps.ts'
import type { KeyFile, Line, Said, SaidOperation } from './model.ts'

/** What the clocks show first. */
export const START = 1_700_000_000_000

const SIGNERS = ['ann', 'ben', 'cat'].map(author)
const DAGS = Array.from({ length: CIDS }, (_, i) => CID.createV1(0x70, createDigest(0x12, createHash('sha256').update(`${i}`).digest())))

/** The authors, and the keys of all CIDs. */
export const WHO: readonly Author[] = SIGNERS.map((signer) => signer.author)
export const KEYS: readonly string[] = DAGS.map((cid) => cid.toString())

/** A command on its way. */
export interface Message {
  readonly said: Said
  readonly bytes: Uint8Array
}

/** Signs a command; undefined for one that says nothing. */
export async function messageOf(draft: CommandDraft): Promise<Message | undefined> {
  const signer = SIGNERS[draft.author] as (typeof SIGNERS)[number]
  const time = { ms: START + draft.ms, counter: draft.counter }
  const pinset = PINSETS[draft.pinset] as string
  const operations = withoutRepeats(draft.operations, pinset === '')
  if (operations.length === 0) return undefined
  const ops = operations.map((one) => toWire(one, atOf(one, time)))
  const payload = { v: 1, network: 'net', signer: keyHash(signer.blob), time: [time.ms, time.counter], ops }
  const envelope = await sealEnvelope('command', wire.encode(pinset === '' ? payload : { ...payload, pinset }), signer)
  const said = { author: signer.author, pinset, time, operations: operations.map((one) => toSaid(one, atOf(one, time))) }
  return { said: { id: commandId(envelope.payload), ...said }, bytes: envelope.bytes }
}

function withoutRepeats(drafts: readonly OperationDraft[], isAdmin: boolean): readonly OperationDraft[] {
  const named = new Set<number>()
  return drafts.filter(({ op, cid, to }) => {
    if (isAdmin && !op.endsWith('to come')) return false
    const cids = op === 'update' ? [cid, to] : op === 'sweep to come' ? [] : [cid]
    if (new Set(cids).size < cids.length || cids.some((one) => named.has(one))) return false
    cids.forEach((one) => named.add(one))
    return true
  })
}

function atOf({ at = Infinity }: OperationDraft, time: Hlc): Hlc | undefined {
  const rankedAt = { ms: START + at, counter: 0 }
  return compareHlc(rankedAt, time) > 0 ? undefined : rankedAt
}

function toWire(draft: OperationDraft, at: Hlc | undefined): Record<string, unknown> {
  const { op, expires, isOld = false } = draft
  const [cid, to] = [draft.cid, draft.to].map((i) => (isOld ? (DAGS[i] as CID).toV0() : DAGS[i]))
  const rank = at === undefined ? {} : { at: [at.ms, at.counter] }
  switch (op) {
    case 'update':
      return { op, from: cid, to, ...rank }
    case 'pin':
      return { op, cid, ...(expires === undefined ? {} : { expires: START + expires }), ...rank }
    case 'unpin':
      return { op, cid, ...rank }
    case 'sweep to come':
      return { op: kindOf(op), ...rank }
    default:
      return { op: kindOf(op), cid, colour: 'red', ...rank }
  }
}

function toSaid({ op, cid: index, to, expires }: OperationDraft, at: Hlc | undefined): SaidOperation {
  const cid = KEYS[index] as string
  const rank = at === undefined ? {} : { at }
  switch (op) {
    case 'update':
      return { op, from: cid, to: KEYS[to] as string, ...rank }
    case 'pin':
      return { op, cid, ...(expires === undefined ? {} : { expires: START + expires }), ...rank }
    case 'unpin':
      return { op, cid, ...rank }
    case 'sweep to come':
      return { op: 'unknown', kind: kindOf(op), ...rank }
    default:
      return { op: 'unknown', kind: kindOf(op), cid, ...rank }
  }
}

function kindOf(op: OperationDraft['op']): string {
  return op.replace(' to come', '')
}

/** A version of the file. */
export function fileOf(version: readonly LineDraft[]): KeyFile {
  const file = new Map<Author, Line | 'revoked'>()
  version.forEach((line, i) => {
    if (line !== 'absent') file.set(WHO[i] as Author, line === 'revoked' ? line : dated(line))
  })
  return file
}

/** What another makes of it: one author less, and one who may speak in one pinset only. */
export function otherFileOf(version: readonly LineDraft[]): KeyFile {
  const [ann = 'absent', ben = 'absent'] = version
  return fileOf([ann, typeof ben === 'string' ? ben : { ...ben, pinsets: ['blog'] }])
}

function dated({ validAfter, expiryTime, ...line }: Line): Line {
  return {
    ...line,
    ...(validAfter === undefined ? {} : { validAfter: START + validAfter }),
    ...(expiryTime === undefined ? {} : { expiryTime: START + expiryTime })
  }
}

/** The file as an agent reads it. */
export function keysOf(file: KeyFile): AuthorizedKeys {
  const keys = { grants: new Map(), revoked: new Set<Author>(), problems: [], skipped: 0, lines: new Map() }
  for (const signer of SIGNERS) {
    const line = file.get(signer.author)
    if (line === 'revoked') keys.revoked.add(signer.author)
    else if (line !== undefined) keys.grants.set(signer.author, grantOf(signer, line))
  }
  return keys
}
