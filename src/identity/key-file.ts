/** The author's key, as OpenSSH keeps it. */
import { randomBytes } from 'node:crypto'
import { lstat } from 'node:fs/promises'
import { InvalidTextError } from '../protocol/errors.ts'
import { formatPrivateKey, parsePrivateKey, type PrivateKey } from '../protocol/openssh-private-key.ts'
import { createSeedSigner, SEED_BYTES, publicKeyOfSeed, type Signer } from '../protocol/signature.ts'
import { authorOf, formatPublicKey, keyBlob, type Author } from '../protocol/ssh-key.ts'
import { IdentityError } from './errors.ts'
import { createFile, readSmallFile } from './files.ts'

/** An RSA key of 16,384 bits takes 13 KB; larger is no key. */
const MAX_KEY_BYTES = 32 * 1024

/**
 * Loads the author's key from an unencrypted OpenSSH Ed25519 file.
 * Throws {@link IdentityError}: `missing`, `permissions` (ours, and others may read it; a file of another owner, such as a
 * mounted secret, is taken as it is, as ssh does), `unreadable`, `size`, `key` (encrypted, of another type, damaged).
 */
export async function loadSigner(path: string): Promise<{ readonly signer: Signer; readonly comment: string }> {
  const { seed, comment } = await readPrivateKey(path, `make a key with "pinsub init" or "pinsub keys gen", or name one with --key`)
  return { signer: createSeedSigner(seed), comment }
}

/**
 * Makes an Ed25519 key in OpenSSH's format: `path` (0600) and `path.pub` (0644), each whole or not at all; returns the
 * public line. Throws {@link IdentityError} `exists` when either is there already, `missing` when the folder is not.
 */
export async function generateKeyFile(path: string, comment: string): Promise<{ readonly line: string; readonly author: Author }> {
  const taken = await lstat(`${path}.pub`).then(
    () => true,
    () => false
  )
  if (taken) throw new IdentityError('exists', `${path}.pub`, `${path}.pub exists already and is never overwritten`)
  const words = comment.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  const { seed, blob } = await createPrivateKey(path, words)
  seed.fill(0)
  const line = formatPublicKey(blob, words)
  await createFile(`${path}.pub`, `${line}\n`, 0o644)
  return { line, author: authorOf(blob) }
}

/** Makes a private key file, mode 0600. Throws {@link IdentityError}. */
export async function createPrivateKey(path: string, comment: string): Promise<PrivateKey> {
  const seed = new Uint8Array(randomBytes(SEED_BYTES))
  await createFile(path, formatPrivateKey(seed, comment, randomBytes(4).readUInt32BE()), 0o600)
  return { seed, blob: keyBlob(publicKeyOfSeed(seed)), comment }
}

/** Reads a private key file; `hint` says what to do when there is none. Throws {@link IdentityError}. */
export async function readPrivateKey(path: string, hint: string): Promise<PrivateKey> {
  const { text, mode, uid } = await readSmallFile(path, MAX_KEY_BYTES).catch((err: IdentityError) => {
    throw err.code === 'missing' ? new IdentityError('missing', path, `there is no key ${path}: ${hint}`, { cause: err }) : err
  })
  if (text.startsWith('ssh-')) throw new IdentityError('key', path, `${path} is a public key: name the private one, without .pub`)
  if (process.platform !== 'win32' && uid === process.getuid?.() && (mode & 0o077) !== 0) {
    throw new IdentityError(
      'permissions',
      path,
      `${path} can be read by others (mode ${mode.toString(8).padStart(4, '0')}), so it is not used: chmod 600 ${path}`
    )
  }
  if (/^(\S+="[^"]*",?\s+)?(ssh|ecdsa|sk)-\S+ AAAA/.test(text)) {
    throw new IdentityError('key', path, `${path} is a public key: name the private one, without .pub`)
  }
  try {
    return parsePrivateKey(text)
  } catch (err) {
    if (err instanceof InvalidTextError) throw new IdentityError('key', path, `${path}: ${err.message}`, { cause: err })
    throw err
  }
}
