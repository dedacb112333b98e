/** The author's key, as OpenSSH keeps it. */
import { randomBytes } from 'node:crypto'
import { InvalidTextError } from '../protocol/errors.ts'
import { SALT_BYTES } from '../protocol/openssh-cipher.ts'
import { formatPrivateKey, readKeyFile, type KeyFile, type PrivateKey } from '../protocol/openssh-private-key.ts'
import { createSeedSigner, SEED_BYTES, publicKeyOfSeed, type Signer } from '../protocol/signature.ts'
import { authorOf, formatPublicKey, keyBlob, parseKeyBase64, type Author } from '../protocol/ssh-key.ts'
import { loadBcrypt } from './bcrypt.ts'
import { IdentityError } from './errors.ts'
import { createFile, readSmallFile } from './files.ts'
import { exists } from './folders.ts'
import { requirePrivate } from './secret-file.ts'

/** An RSA key of 16,384 bits takes 13 KB; larger is no key. */
const MAX_KEY_BYTES = 32 * 1024

const MAKE_ONE = `make a key with "pinsub init" or "pinsub keys gen", or name one with --key`

/**
 * Says the passphrase of a key file; asked again, with `attempt` growing from 0, while what it says is wrong. Undefined gives up.
 * What it throws is passed on.
 */
export type AskPassphrase = (path: string, attempt: number) => Promise<string | undefined>

/** A key file, or the public half of one. */
export type KeyMaterial =
  | { readonly kind: 'private'; readonly path: string; readonly file: KeyFile }
  | { readonly kind: 'public'; readonly path: string; readonly blob: Uint8Array; readonly comment: string }

/**
 * Loads the author's key from an OpenSSH Ed25519 file; an encrypted one needs `ask`.
 * Throws {@link IdentityError}: `missing`, `permissions` (ours, and others may read it; a file of another owner, such as a
 * mounted secret, is taken as it is, as ssh does), `unreadable`, `size`, `key` (of another type, damaged, or encrypted in a way that
 * is not supported), `encrypted` (and nobody says the passphrase), `passphrase` (a wrong one was given).
 */
export async function loadSigner(path: string, ask?: AskPassphrase): Promise<{ readonly signer: Signer; readonly comment: string }> {
  const { seed, comment } = await readPrivateKey(path, MAKE_ONE, ask)
  return { signer: createSeedSigner(seed), comment }
}

/**
 * Makes an Ed25519 key in OpenSSH's format, encrypted where a passphrase is given: `path` (0600) and `path.pub` (0644), each whole or
 * not at all; returns the public line. Throws {@link IdentityError} `exists` when either is there already, `missing` when the folder is not.
 */
export async function generateKeyFile(
  path: string,
  comment: string,
  passphrase?: string
): Promise<{ readonly line: string; readonly author: Author }> {
  if (await exists(`${path}.pub`)) throw new IdentityError('exists', `${path}.pub`, `${path}.pub exists already and is never overwritten`)
  const words = comment.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim()
  const { seed, blob } = await createPrivateKey(path, words, passphrase)
  seed.fill(0)
  const line = formatPublicKey(blob, words)
  await createFile(`${path}.pub`, `${line}\n`, 0o644)
  return { line, author: authorOf(blob) }
}

/** Makes a private key file, mode 0600. Throws {@link IdentityError}. */
export async function createPrivateKey(path: string, comment: string, passphrase?: string): Promise<PrivateKey> {
  const seed = new Uint8Array(randomBytes(SEED_BYTES))
  const locked =
    passphrase === undefined
      ? undefined
      : { unlock: { passphrase, derive: await loadBcrypt() }, salt: new Uint8Array(randomBytes(SALT_BYTES)) }
  await createFile(path, formatPrivateKey(seed, comment, randomBytes(4).readUInt32BE(), locked), 0o600)
  return { seed, blob: keyBlob(publicKeyOfSeed(seed)), comment }
}

/** Reads a private key file; `hint` says what to do when there is none. Throws as {@link loadSigner}. */
export async function readPrivateKey(path: string, hint: string, ask?: AskPassphrase): Promise<PrivateKey> {
  const material = await readKeyMaterial(path, hint)
  if (material.kind === 'public') throw new IdentityError('key', path, `${path} is a public key: name the private one, without .pub`)
  return openKeyFile(material, ask)
}

/** Reads what is in a file named as a key, without a passphrase; `hint` says what to do when there is none. Throws {@link IdentityError}. */
export async function readKeyMaterial(path: string, hint = MAKE_ONE): Promise<KeyMaterial> {
  const read = await readSmallFile(path, MAX_KEY_BYTES).catch((err: IdentityError) => {
    throw err.code === 'missing' ? new IdentityError('missing', path, `there is no key ${path}: ${hint}`, { cause: err }) : err
  })
  try {
    const publicHalf = readPublicLine(read.text)
    if (publicHalf !== undefined) return { kind: 'public', path, ...publicHalf }
    requirePrivate(path, read)
    return { kind: 'private', path, file: readKeyFile(read.text) }
  } catch (err) {
    throw asIdentityError(path, err)
  }
}

/** Opens a key file, asking for a passphrase where it needs one. Throws {@link IdentityError}. */
export async function openKeyFile({ path, file }: Extract<KeyMaterial, { kind: 'private' }>, ask?: AskPassphrase): Promise<PrivateKey> {
  for (let attempt = 0, passphrase: string | undefined; ; attempt++) {
    try {
      return file.open(passphrase === undefined ? undefined : { passphrase, derive: await loadBcrypt() })
    } catch (err) {
      if (!(err instanceof InvalidTextError) || (err.code !== 'encrypted' && err.code !== 'passphrase')) throw asIdentityError(path, err)
      passphrase = await ask?.(path, attempt)
      if (passphrase !== undefined) continue
      if (err.code === 'passphrase') throw new IdentityError('passphrase', path, `wrong passphrase for ${path}`, { cause: err })
      throw new IdentityError('encrypted', path, `${path} is encrypted with a passphrase, and none was given`, { cause: err })
    }
  }
}

/** The key in a public key line; undefined for any other text. */
function readPublicLine(text: string): { readonly blob: Uint8Array; readonly comment: string } | undefined {
  const [, base64, comment = ''] = /^(?:\S+="[^"]*",?\s+)?(?:ssh|ecdsa|sk)-\S+ (AAAA\S*)(?:[ \t]+(.*))?/.exec(text.trimStart()) ?? []
  return base64 === undefined ? undefined : { blob: parseKeyBase64(base64), comment: comment.trim() }
}

function asIdentityError(path: string, err: unknown): unknown {
  return err instanceof InvalidTextError ? new IdentityError('key', path, `${path}: ${err.message}`, { cause: err }) : err
}
