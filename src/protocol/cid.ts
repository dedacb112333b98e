import { CID } from 'multiformats/cid'
import { InvalidTextError } from './errors.ts'
import { MAX_CID_BYTES } from './limits.ts'

/**
 * Reads a CID as people write it: CIDv0 or CIDv1, bare, as `/ipfs/CID` or as `ipfs://CID`.
 * A path below the CID is refused: what is pinned is a whole DAG. Throws {@link InvalidTextError} `cid`.
 */
export function parseCid(text: string): CID {
  const bare = text.trim().replace(/^\/ipfs\//, '').replace(/^ipfs:\/\//, '').replace(/\/$/, '')
  if (bare.includes('/')) throw new InvalidTextError('cid', `"${text}" is a path: give the CID it resolves to (ipfs resolve)`)
  let cid: CID
  try {
    cid = CID.parse(bare)
  } catch {
    throw new InvalidTextError('cid', `"${text}" is not a CID`)
  }
  if (cid.byteLength > MAX_CID_BYTES) throw new InvalidTextError('cid', `"${text}" is longer than ${MAX_CID_BYTES} bytes`)
  return cid
}

/** The name under which CIDs are compared: CIDv1 in base32. `Qm…` and its `bafy…` twin have the same key. */
export function cidKey(cid: CID): string {
  return cid.toV1().toString()
}
