/**
 * OpenSSH's private key file, unencrypted Ed25519.
 * @see https://github.com/openssh/openssh-portable/blob/master/PROTOCOL.key
 */
import { concat } from 'uint8arrays/concat'
import { equals } from 'uint8arrays/equals'
import { fromString } from 'uint8arrays/from-string'
import { toString } from 'uint8arrays/to-string'
import { InvalidTextError } from './errors.ts'
import { publicKeyOfSeed, SEED_BYTES } from './signature.ts'
import { keyBlob, rawKey, SSH_ED25519 } from './ssh-key.ts'
import { sshReader, sshString, sshUint32 } from './ssh-wire.ts'

const BEGIN = '-----BEGIN OPENSSH PRIVATE KEY-----'
const END = '-----END OPENSSH PRIVATE KEY-----'
const MAGIC = fromString('openssh-key-v1\0')
const BLOCK = 8

/** An Ed25519 private key and the comment stored with it. */
export interface PrivateKey {
  /** The 32-byte Ed25519 seed. */
  readonly seed: Uint8Array
  /** The SSH wire blob of the public half. */
  readonly blob: Uint8Array
  readonly comment: string
}

/** Reads an unencrypted OpenSSH Ed25519 key file; throws {@link InvalidTextError} `key` and never quotes the key. */
export function parsePrivateKey(text: string): PrivateKey {
  const body = text.trim()
  if (!body.startsWith(BEGIN) || !body.endsWith(END)) {
    const kind = /^-----BEGIN ([A-Z0-9 ]+)-----/.exec(body)?.[1]
    fail(
      kind === undefined
        ? 'not an OpenSSH private key'
        : `a file of kind "${kind}", not an OpenSSH private key (convert it: ssh-keygen -p -f FILE)`
    )
  }
  try {
    return readBody(fromString(body.slice(BEGIN.length, -END.length).replace(/\s/g, ''), 'base64pad'))
  } catch (err) {
    if (err instanceof InvalidTextError) throw err
    fail('a damaged OpenSSH private key')
  }
}

function readBody(bytes: Uint8Array): PrivateKey {
  const outer = sshReader(bytes)
  if (!equals(outer.raw(MAGIC.byteLength), MAGIC)) fail('a damaged OpenSSH private key')
  const cipher = outer.text()
  if (cipher !== 'none') fail('encrypted with a passphrase: this version reads unencrypted keys only')
  outer.string()
  outer.string()
  if (outer.uint32() !== 1) fail('a file with more than one key')
  const blob = outer.string()
  rawKey(blob)
  const inner = sshReader(outer.string())
  if (inner.uint32() !== inner.uint32()) fail('a damaged OpenSSH private key')
  if (inner.text() !== SSH_ED25519) fail(`not an ${SSH_ED25519} key`)
  inner.string()
  const seed = inner.string().slice(0, SEED_BYTES)
  const comment = inner.text()
  if (seed.byteLength !== SEED_BYTES || !equals(keyBlob(publicKeyOfSeed(seed)), blob)) fail('a key whose halves do not belong together')
  return { seed, blob: blob.slice(), comment }
}

/** Writes the file that `ssh-keygen -t ed25519 -N ''` would write; `check` is 32 random bits of the caller's. */
export function formatPrivateKey(seed: Uint8Array, comment: string, check: number): string {
  const publicKey = publicKeyOfSeed(seed)
  const inner = concat([
    sshUint32(check),
    sshUint32(check),
    sshString(SSH_ED25519),
    sshString(publicKey),
    sshString(concat([seed, publicKey])),
    sshString(comment)
  ])
  const padding = Uint8Array.from({ length: (BLOCK - (inner.byteLength % BLOCK)) % BLOCK }, (_, i) => i + 1)
  const body = concat([
    MAGIC,
    sshString('none'),
    sshString('none'),
    sshString(''),
    sshUint32(1),
    sshString(keyBlob(publicKey)),
    sshString(concat([inner, padding]))
  ])
  return [BEGIN, ...(toString(body, 'base64pad').match(/.{1,70}/g) ?? []), END, ''].join('\n')
}

function fail(why: string): never {
  throw new InvalidTextError('key', why)
}
