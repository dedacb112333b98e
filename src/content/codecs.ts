import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { ContentError } from './errors.ts'

const RAW = 0x55
const CBOR = 0x51
const JSON_CODE = 0x0200

/** Codecs whose blocks hold no links. */
const LEAVES: ReadonlySet<number> = new Set([RAW, CBOR, JSON_CODE])

/** Whether a block of this CID holds no links, so that its bytes need not be read. */
export function isLeaf(cid: CID): boolean {
  return LEAVES.has(cid.code)
}

/** Throws {@link ContentError} `invalid` naming a codec that {@link linksOf} cannot read. */
export function assertKnownCodec(cid: CID): void {
  if (LEAVES.has(cid.code) || cid.code === dagPb.code || cid.code === dagCbor.code) return
  throw new ContentError('invalid', `${cid} uses the codec 0x${cid.code.toString(16)}; known are dag-pb, dag-cbor, raw, cbor and json`)
}

/**
 * The CIDs a block links to, in the block's own order: dag-pb, dag-cbor, and those without links (raw, cbor, json).
 * Throws {@link ContentError} `invalid` for other codecs and for bytes that are not what the codec says.
 */
export function linksOf(cid: CID, bytes: Uint8Array): CID[] {
  assertKnownCodec(cid)
  try {
    if (cid.code === dagPb.code) return dagPb.decode(bytes).Links.map((link) => link.Hash)
    if (cid.code === dagCbor.code) return [...linksIn(dagCbor.decode(bytes))]
    return []
  } catch (err) {
    const why = err instanceof Error ? err.message : String(err)
    throw new ContentError('invalid', `the block ${cid} is not what its codec says: ${why}`, { cause: err })
  }
}

/** Works on a stack of its own: an attacker chooses how deep a value nests. */
function* linksIn(value: unknown): Generator<CID> {
  const todo: unknown[] = [value]
  while (todo.length > 0) {
    const next = todo.pop()
    if (next === null || typeof next !== 'object' || next instanceof Uint8Array) continue
    const cid = CID.asCID(next)
    if (cid !== null) yield cid
    else for (const inner of Object.values(next).reverse()) todo.push(inner)
  }
}
