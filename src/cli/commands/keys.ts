/** `pinsub keys`: the signing key of this home, and the keys that may command its node. */
import { mkdir, readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { hostname, userInfo } from 'node:os'
import { readAuthorizedKeys } from '../../identity/authorized-keys-file.ts'
import { generateKeyFile } from '../../identity/key-file.ts'
import type { Grant } from '../../protocol/grants.ts'
import { formatPublicKey } from '../../protocol/ssh-key.ts'
import type { Context } from '../context.ts'
import { EXIT } from '../exit.ts'
import { table } from '../format.ts'
import { publicKey } from '../key.ts'
import { newPassphrase } from '../passphrase.ts'

/** Makes a key file, never over another; encrypted where a passphrase is given, which is asked for with `--passphrase`. */
export async function gen(
  context: Context,
  file: string | undefined,
  { passphrase: ask = false }: { readonly passphrase?: boolean }
): Promise<number> {
  const { home, output } = context
  const path = file === undefined ? home.key : resolve(file)
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const passphrase = await newPassphrase(context, ask)
  const { line, author } = await generateKeyFile(path, `${userInfo().username}@${hostname()}`, passphrase)
  output.event({ event: 'key', line, fingerprint: author, file: path })
  output.note(`Made ${path} (0600${passphrase === undefined ? '' : ', encrypted'}) and ${path}.pub: ${author}`)
  output.result(line)
  return EXIT.ok
}

/** Prints the public line of the signing key, to be pasted into authorized_keys. */
export async function show(context: Context): Promise<number> {
  const { output } = context
  const { signer, comment, place } = await publicKey(context)
  const line = formatPublicKey(signer.blob, comment)
  output.event({ event: 'key', line, fingerprint: signer.author, ...place })
  output.result(line)
  return EXIT.ok
}

/** Lists who may command the node of this home, and lines that grant nothing. */
export async function list({ config, home, output }: Context): Promise<number> {
  const file = config.authorizedKeys ?? home.authorizedKeys
  const keys = await readAuthorizedKeys(file)
  const now = Date.now()
  const texts = (await readFile(file, 'utf8').catch(() => '')).split(/\r?\n/)
  const place = (number: number | undefined): { line: string; number: number } | object =>
    number === undefined ? {} : { line: texts[number - 1] ?? '', number }
  const rows: string[][] = []
  for (const [author, grant] of keys.grants) {
    const state = stateOf(grant, now)
    output.event({
      event: 'authorized',
      ...place(keys.lines.get(author)),
      state,
      fingerprint: author,
      comment: grant.comment,
      ops: grant.rights,
      pinsets: grant.pinsets ?? null,
      valid_after: iso(grant.validAfter),
      expires: iso(grant.expiryTime),
      file
    })
    rows.push([
      author,
      state,
      grant.rights.join(','),
      grant.pinsets?.join(',') ?? 'every pinset',
      grant.expiryTime === undefined ? '' : `until ${iso(grant.expiryTime)}`,
      grant.comment
    ])
  }
  for (const author of keys.revoked) {
    output.event({ event: 'authorized', ...place(keys.lines.get(author)), state: 'revoked', fingerprint: author, file })
    rows.push([author, 'revoked'])
  }
  table(rows).forEach((row) => output.result(row))
  for (const { line, message } of keys.problems) {
    output.event({ event: 'authorized', ...place(line), state: 'broken', message, file })
    output.note(`${file}:${line}: ${message}`)
  }
  if (keys.skipped > 0) output.note(`${keys.skipped} lines with keys of other types (RSA, ECDSA, certificates, FIDO) were skipped`)
  if (rows.length === 0) output.note(`${file} lets nobody command this node: pinsub keys add 'ssh-ed25519 AAAA… you@laptop'`)
  return EXIT.ok
}

function stateOf(grant: Grant, now: number): 'active' | 'expired' | 'not-yet' {
  if (grant.validAfter !== undefined && now < grant.validAfter) return 'not-yet'
  return grant.expiryTime !== undefined && now >= grant.expiryTime ? 'expired' : 'active'
}

function iso(ms: number | undefined): string | null {
  return ms === undefined ? null : new Date(ms).toISOString()
}
