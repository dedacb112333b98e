import { CID } from 'multiformats/cid'
import { InvalidTextError } from './errors.ts'
import { MAX_CID_BYTES } from './limits.ts'

const SHA2_256 = 0x12
const SHA2_256_BYTES = 32

/** A CID in text is never longer: base32 takes 8 characters for 5 bytes, base36 and base58 fewer, and one for the prefix. */
const MAX_CID_TEXT = 1 + Math.ceil((MAX_CID_BYTES * 8) / 5)

/**
 * Whether a decoded CID can be written, read back and compared: not too long, its codec an exact integer, and, as version 0
 * has no other form, a SHA2-256 digest of full length there.
 */
export function isSoundCid(cid: CID): boolean {
  if (cid.byteLength > MAX_CID_BYTES || !Number.isSafeInteger(cid.code) || !Number.isSafeInteger(cid.multihash.code)) return false
  return cid.version === 1 || (cid.multihash.code === SHA2_256 && cid.multihash.size === SHA2_256_BYTES)
}

/**
 * Reads a CID as people write it: CIDv0 or CIDv1, bare, as `/ipfs/CID` or as `ipfs://CID`.
 * A path below the CID is refused: what is pinned is a whole DAG. Throws {@link InvalidTextError} `cid`.
 */
export function parseCid(text: string): CID {
  const bare = text
    .trim()
    .replace(/^\/ipfs\//, '')
    .replace(/^ipfs:\/\//, '')
    .replace(/\/$/, '')
  const quoted = text.length > MAX_CID_TEXT ? `"${text.slice(0, MAX_CID_TEXT)}…"` : `"${text}"`
  if (bare.includes('/')) throw new InvalidTextError('cid', `${quoted} is a path: give the CID it resolves to (ipfs resolve)`)
  // Before it is decoded: base58 takes time in the square of the length.
  if (bare.length > MAX_CID_TEXT) throw new InvalidTextError('cid', `${quoted} is longer than ${MAX_CID_BYTES} bytes`)
  let cid: CID
  try {
    cid = CID.parse(bare)
  } catch {
    throw new InvalidTextError('cid', `${quoted} is not a CID`)
  }
  if (cid.byteLength > MAX_CID_BYTES) throw new InvalidTextError('cid', `${quoted} is longer than ${MAX_CID_BYTES} bytes`)
  if (!isSoundCid(cid)) throw new InvalidTextError('cid', `${quoted} is not a CID`)
  return cid
}

/** The name under which CIDs are compared: CIDv1 in base32. `Qm…` and its `bafy…` twin have the same key. */
export function cidKey(cid: CID): string {
  return cid.toV1().toString()
}
