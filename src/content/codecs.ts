import * as dagCbor from '@ipld/dag-cbor'
import * as dagPb from '@ipld/dag-pb'
import { CID } from 'multiformats/cid'
import { MAX_BLOCK_LINKS, MAX_IDENTITY_BYTES } from '../protocol/limits.ts'
import { ContentError } from './errors.ts'
import { isIdentity, isSha256 } from './multihash.ts'

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
 * Throws {@link ContentError} `invalid` for other codecs, for bytes that are not what the codec says, for more than
 * {@link MAX_BLOCK_LINKS} links, and for one that no CID can be or that carries more than {@link MAX_IDENTITY_BYTES}.
 */
export function linksOf(cid: CID, bytes: Uint8Array): CID[] {
  assertKnownCodec(cid)
  const links = decodeLinks(cid, bytes)
  if (links.length > MAX_BLOCK_LINKS)
    throw new ContentError('invalid', `the block ${cid} has ${links.length} links; the limit is ${MAX_BLOCK_LINKS}`)
  for (const link of links) {
    // The first version has no other form; some decoders read one all the same.
    if (link.version === 0 && !isSha256(link)) throw new ContentError('invalid', `the block ${cid} has a link that is no CID`)
    if (isIdentity(link) && link.multihash.size > MAX_IDENTITY_BYTES)
      throw new ContentError(
        'invalid',
        `the block ${cid} has a link with ${link.multihash.size} bytes in it; the limit is ${MAX_IDENTITY_BYTES}`
      )
  }
  return links
}

function decodeLinks(cid: CID, bytes: Uint8Array): CID[] {
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
    // Not CID.asCID: it also takes a map that only looks like one.
    if (next instanceof CID) yield next
    else for (const inner of Object.values(next).reverse()) todo.push(inner)
  }
}
