import { hash } from 'node:crypto'
import { base32 } from 'multiformats/bases/base32'
import type { CID } from 'multiformats/cid'
import type { MultihashDigest } from 'multiformats/hashes/interface'
import { ContentError } from './errors.ts'

/** Multicodec codes of the hashes that blocks may have. */
const IDENTITY = 0x00
const SHA2_256 = 0x12
const SHA2_512 = 0x13

/** The name under which a block is known here: its multihash in base32, so that CIDs that differ in version or codec share a block. */
export function blockKey(digest: MultihashDigest): string {
  return base32.baseEncode(digest.bytes)
}

/** Whether the CID carries its content in itself. */
export function isIdentity(cid: CID): boolean {
  return cid.multihash.code === IDENTITY
}

/** Whether the CID names a SHA2-256 of full length. */
export function isSha256({ multihash: { code, size } }: CID): boolean {
  return code === SHA2_256 && size === 32
}

/** Whether {@link checkHash} can check blocks of this hash. */
function isKnownHash(code: number): boolean {
  return code === IDENTITY || code === SHA2_256 || code === SHA2_512
}

/** Throws {@link ContentError} `invalid` naming a hash that is not sha2-256, sha2-512 or identity. */
export function assertKnownHash(cid: CID): void {
  if (isKnownHash(cid.multihash.code)) return
  throw new ContentError('invalid', `${cid} uses the hash 0x${cid.multihash.code.toString(16)}; known are sha2-256, sha2-512 and identity`)
}

/** Whether `bytes` are the block that `cid` names. Throws {@link ContentError} `invalid` for an unknown hash. */
export function checkHash(cid: CID, bytes: Uint8Array): boolean {
  assertKnownHash(cid)
  const { code, digest } = cid.multihash
  const actual = code === IDENTITY ? bytes : hash(code === SHA2_256 ? 'sha256' : 'sha512', bytes, 'buffer')
  return Buffer.compare(actual, digest) === 0
}
